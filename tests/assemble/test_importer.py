"""Importing: the commit holds what dpkg would have unpacked, where a tree has it."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from fixtures import realdebs
from fixtures.debrepo import File, make_deb

from apt_ostree.apt.deb import Deb, sha256_of
from apt_ostree.apt.debtar import Kind
from apt_ostree.assemble.entry import Entry, Form
from apt_ostree.assemble.importer import Want, write_package
from apt_ostree.assemble.placement import Policy, place
from apt_ostree.errors import PackageError
from apt_ostree.ostree.repo import Repo

INFO = "usr/lib/sysimage/dpkg/info"


@pytest.fixture
def repo(tmp_path):
    return Repo.create(tmp_path / "repo", mode="bare" if os.geteuid() == 0 else "bare-user-only")


def import_deb(repo: Repo, deb: Path, *, policy=None, want=Want.AUTO) -> Entry:
    with repo.transaction():
        found = write_package(
            repo, deb, sha256=sha256_of(deb), policy=policy or Policy(), want=want
        )
        checksum = repo.write_commit(found.root, timestamp=found.timestamp, metadata=found.metadata)
    entry = Entry.of(repo.commit(checksum))
    assert entry is not None
    return entry


def tree_of(repo: Repo, entry: Entry, target: Path) -> Path:
    repo.checkout(entry.checksum, target, subpath="/root")
    return target


def files_in(root: Path) -> list[str]:
    found = (p for p in root.rglob("*") if p.is_symlink() or not p.is_dir())
    return sorted(str(p.relative_to(root)) for p in found if INFO not in str(p))


# -- the real dpkg as oracle


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A root into which the real dpkg unpacked the varied packages (none has a preinst)."""
    debs = realdebs.fetch(realdebs.VARIED)
    root = tmp_path_factory.mktemp("dpkg")
    admin = root / "var/lib/dpkg"
    (admin / "info").mkdir(parents=True)
    (admin / "updates").mkdir()
    (admin / "status").touch()
    for name in ("etc", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):  # trixie's base-files wants them there
        (root / name).symlink_to(f"usr/{name}")
    # A preinst would need a shell in there, so such a package is left out (and its tests skip).
    debs = {name: deb for name, deb in debs.items() if "preinst" not in Deb.open(deb).scripts}
    assert len(debs) > 10
    subprocess.run(
        ["dpkg", f"--root={root}", "--log=/dev/null", "--force-depends", "--force-unsafe-io",
         "--force-bad-path", "--unpack", *debs.values()],
        check=True, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return root, debs


@pytest.mark.root
@pytest.mark.network
@pytest.mark.parametrize("name", realdebs.VARIED)
def test_info_files_and_stanza_are_byte_for_byte_dpkgs(repo, unpacked, tmp_path, name):
    root, debs = unpacked
    if name not in debs:
        pytest.skip(f"{name} has a preinst in this release")
    entry = import_deb(repo, debs[name], want=Want.TREE)
    ours = tree_of(repo, entry, tmp_path / "tree") / INFO
    theirs = root / "var/lib/dpkg/info"
    expected = sorted(p.name for p in theirs.iterdir() if re.match(rf"{name}[.:]", p.name))
    assert sorted(p.name for p in ours.iterdir()) == expected
    for file in expected:
        assert (ours / file).read_bytes() == (theirs / file).read_bytes(), file
        assert (ours / file).stat().st_mode == (theirs / file).stat().st_mode, file
    stanzas = (root / "var/lib/dpkg/status").read_text().split("\n\n")
    theirs_text = next(s for s in stanzas if s.startswith(f"Package: {name}\n")).strip("\n") + "\n"
    for conffile in entry.conffiles:
        md5 = subprocess.check_output(["md5sum", f"{root}{conffile.path}.dpkg-new"], text=True)
        theirs_text = theirs_text.replace(f" {conffile.path} newconffile\n",
                                          f" {conffile.path} {md5.split()[0]}\n")  # fmt: skip
    assert entry.stanza == theirs_text
    assert list(entry.listed) == (theirs / f"{entry.info_prefix}.list").read_text().splitlines()


@pytest.mark.root
@pytest.mark.network
@pytest.mark.parametrize("name", realdebs.VARIED)
def test_tree_has_what_dpkg_unpacked(repo, unpacked, tmp_path, name):
    root, debs = unpacked
    if name not in debs:
        pytest.skip(f"{name} has a preinst in this release")
    entry = import_deb(repo, debs[name], want=Want.TREE)
    tree = tree_of(repo, entry, tmp_path / "tree")
    conffiles = {c.path for c in entry.conffiles}
    compared = 0
    for listed in entry.listed:
        source = root / (listed.lstrip("/") + (".dpkg-new" if listed in conffiles else ""))
        path = listed.lstrip("/.") if listed == "/." else listed.lstrip("/")
        kind = (
            Kind.LINK if source.is_symlink() else Kind.DIRECTORY if source.is_dir() else Kind.FILE
        )
        where = place(path, kind, Policy(), package=name)
        if where.tree is None or (kind is Kind.LINK and "/" not in path):
            continue
        theirs, ours = os.lstat(source), os.lstat(tree / where.tree)
        if kind is not Kind.DIRECTORY:  # a directory's owner is the first package's that made it
            assert (ours.st_uid, ours.st_gid) == (theirs.st_uid, theirs.st_gid), listed
            assert ours.st_mode == theirs.st_mode, listed
        assert stat.S_IFMT(ours.st_mode) == stat.S_IFMT(theirs.st_mode), listed
        if kind is Kind.FILE:
            assert (tree / where.tree).read_bytes() == source.read_bytes(), listed
        if kind is Kind.LINK:
            assert os.readlink(tree / where.tree) == os.readlink(source), listed
        compared += 1
    assert compared > 3
    assert {p for p, k in entry.placed.items() if k is not Kind.DIRECTORY} == set(files_in(tree))


@pytest.mark.root
def test_odd_package_is_stored_as_dpkg_stores_it(repo, tmp_path):
    """No md5sums, hard link, zero epoch, unknown fields, relations in need of tidying."""
    source = tmp_path / "source"
    for name, text in {
        "DEBIAN/control": "Version: 0:1.0\nPackage: odd\nX-Later: kept\nArchitecture: all\n"
        "Multi-Arch: foreign\nPriority: Optional\nMaintainer: x <x@y>\nDepends: a(>=1),b|c ( < 2 ),\n"
        " d:any\nRecommended: e\nEssential: no\nInstalled-Size: 3\nTag: one,\n two\nDescription: d\n"
        " more\n .\n text\n",
        "DEBIAN/conffiles": "remove-on-upgrade /etc/old.conf\n/etc/odd.conf\n",
        "DEBIAN/postinst": "#!/bin/sh\n",
        "DEBIAN/with.dot": "ignored by dpkg",
        "etc/odd.conf": "conf\n",
        "usr/bin/odd": "odd\n",
        "var/lib/odd/seed": "seed\n",
    }.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith("postinst") else 0o644)
    (source / "DEBIAN").chmod(0o755)
    os.link(source / "usr/bin/odd", source / "usr/bin/same")
    (source / "usr/bin/link").symlink_to("odd")
    deb = tmp_path / "odd.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", source, deb], check=True,
                   capture_output=True)  # fmt: skip
    root = tmp_path / "dpkg"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    subprocess.run(["dpkg", f"--root={root}", "--log=/dev/null", "--force-bad-path", "--unpack", deb],
                   check=True, capture_output=True)  # fmt: skip
    entry = import_deb(repo, deb)
    ours = tree_of(repo, entry, tmp_path / "tree") / INFO
    theirs = root / "var/lib/dpkg/info"
    assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.glob("odd.*"))
    for file in ours.iterdir():
        assert file.read_bytes() == (theirs / file.name).read_bytes(), file.name
        assert file.stat().st_mode == (theirs / file.name).stat().st_mode, file.name
    stanza = re.sub(r"(/etc/odd.conf) \S+", r"\1 newconffile", entry.stanza)
    assert stanza == (root / "var/lib/dpkg/status").read_text().rstrip("\n") + "\n"


# -- placing


def test_paths_move_to_their_places(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={
        "bin/b": File("b", mode=0o755), "usr/bin/u": "u", "lib/x/l": "l", "etc/demo.conf": "conf",
        "boot/vmlinuz-6.1": "k", "boot/config-6.1": "c", "boot/System.map-6.1": "m",
        "boot/other": "o", "opt/vendor/app": "app",
    })  # fmt: skip
    entry = import_deb(repo, deb)
    tree = tree_of(repo, entry, tmp_path / "tree")
    assert files_in(tree) == [
        "usr/bin/b", "usr/bin/u", "usr/etc/demo.conf", "usr/lib/modules/6.1/System.map",
        "usr/lib/modules/6.1/config", "usr/lib/modules/6.1/vmlinuz", "usr/lib/opt/vendor/app",
        "usr/lib/ostree-boot/other", "usr/lib/x/l",
    ]  # fmt: skip
    assert "/bin/b" in entry.listed
    assert [(s.path, s.kind, s.target) for s in entry.state] == [
        ("var/opt/vendor", Kind.LINK, "usr/lib/opt/vendor")
    ]


def test_var_content_goes_to_the_factory_and_is_recorded(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={
        "var/lib/demo/": File(directory=True, mode=0o2750, group=("adm", 4)),
        "var/lib/demo/seed": "seed",
        "var/lib/demo/link": File(link="seed"),
        "var/cache/demo/": File(directory=True, mode=0o700),
        "var/lib/dpkg/info/": File(directory=True, mode=0o755),
        "run/demo/": File(directory=True, mode=0o755),
    })  # fmt: skip
    entry = import_deb(repo, deb)
    tree = tree_of(repo, entry, tmp_path / "tree")
    factory = tree / "usr/share/factory/var/lib/demo"
    assert (factory / "seed").read_text() == "seed"
    assert os.readlink(factory / "link") == "seed"
    assert not (tree / "var").exists()
    assert not (tree / "usr/share/factory/var/cache").exists()
    records = {s.path: s for s in entry.state}
    demo = records["var/lib/demo"]
    assert (demo.kind, demo.mode, demo.gid, demo.gname) == (Kind.DIRECTORY, 0o2750, 4, "adm")
    assert records["var/cache/demo"].mode == 0o700
    assert records["var/lib/demo/link"].target == "seed"
    assert records["var/lib/demo/seed"].kind is Kind.FILE
    assert records["run/demo"].kind is Kind.DIRECTORY
    assert not [p for p in records if "dpkg" in p]


@pytest.mark.root
def test_factory_directories_keep_owner_and_mode(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={
        "var/lib/demo/": File(directory=True, mode=0o2750, group=("adm", 4)),
        "var/lib/demo/seed": File("x", owner=("man", 6), mode=0o640),
    })  # fmt: skip
    tree = tree_of(repo, import_deb(repo, deb), tmp_path / "tree")
    at = os.lstat(tree / "usr/share/factory/var/lib/demo")
    assert (stat.S_IMODE(at.st_mode), at.st_gid) == (0o2750, 4)
    assert os.lstat(tree / "usr/share/factory/var/lib/demo/seed").st_uid == 6


@pytest.mark.root
def test_owners_go_by_fixed_names_and_setid_survives(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={
        "usr/bin/su": File("su", mode=0o4755),
        "usr/bin/crontab": File("c", mode=0o2755, group=("shadow", 999)),
        "usr/lib/odd/": File(directory=True, mode=0o555),
    })  # fmt: skip
    tree = tree_of(repo, import_deb(repo, deb), tmp_path / "tree")
    assert stat.S_IMODE(os.lstat(tree / "usr/bin/su").st_mode) == 0o4755
    crontab = os.lstat(tree / "usr/bin/crontab")
    assert (stat.S_IMODE(crontab.st_mode), crontab.st_gid) == (0o2755, 42)
    assert stat.S_IMODE(os.lstat(tree / "usr/lib/odd").st_mode) == 0o755


def test_hardlinks_become_equal_files(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={
        "bin/one": File("same", mode=0o755),
        "usr/bin/two": File(hardlink="bin/one", mode=0o755),
        "usr/bin/three": File(hardlink="usr/bin/two", mode=0o755),
    })  # fmt: skip
    entry = import_deb(repo, deb)
    tree = tree_of(repo, entry, tmp_path / "tree")
    assert {(tree / "usr/bin" / n).read_text() for n in ("one", "two", "three")} == {"same"}
    assert stat.S_IMODE(os.lstat(tree / "usr/bin/three").st_mode) == 0o755
    assert entry.is_fast


def test_hardlinks_with_other_attributes_are_left_to_dpkg(repo, tmp_path):
    # no tar makes them; dpkg gives the inode the mode of the last name
    deb = make_deb(tmp_path, "demo", files={
        "usr/bin/one": File("same", mode=0o4755), "usr/bin/two": File(hardlink="usr/bin/one"),
    })  # fmt: skip
    entry = import_deb(repo, deb)
    assert "differ in mode or owner" in entry.reason


def test_links_are_listed_last_as_dpkg_does(repo, tmp_path):
    # dpkg-deb puts them at the end itself; other tools that make packages do not
    files = {"usr/share/a": File(link="b"), "usr/share/b": "b"}
    deb = make_deb(tmp_path, "demo", files=files, parents=False)
    assert import_deb(repo, deb).listed == ("/.", "/usr/share/b", "/usr/share/a")


def test_long_and_foreign_names(repo, tmp_path):
    name = "usr/share/" + "/".join(["ä" * 60] * 4) + "/Főtanúsítvány.crt"
    tree = tree_of(
        repo, import_deb(repo, make_deb(tmp_path, "demo", files={name: "x"})), tmp_path / "t"
    )
    assert files_in(tree) == [name]


def test_the_same_file_in_bin_and_usr_bin(repo, tmp_path):
    same = {"bin/x": File("1", mode=0o755), "usr/bin/x": File("1", mode=0o755)}
    entry = import_deb(repo, make_deb(tmp_path / "a", "demo", files=same))
    assert files_in(tree_of(repo, entry, tmp_path / "tree")) == ["usr/bin/x"]
    for other in (File("2", mode=0o755), File("1", mode=0o644), File(link="../usr/bin/x")):
        deb = make_deb(tmp_path / "b", "demo", files={**same, "bin/x": other})
        with pytest.raises(PackageError, match=r"demo-1\.0\.all has different content .*/bin/x"):
            import_deb(repo, deb)


@pytest.mark.parametrize(
    "path", ["home/u/f", "srv/f", "mnt/f", "media/f", "root/.profile", "usr/local/bin/f", "dev/f",
             "proc/f", "usr/etc/f", "strange/f", "file"],
)  # fmt: skip
def test_content_that_no_tree_holds_is_refused_by_name(repo, tmp_path, path):
    with pytest.raises(PackageError, match=rf"package demo-1\.0\.all .*: /{path}$"):
        import_deb(repo, make_deb(tmp_path, "demo", files={path: "x"}, parents=False))


@pytest.mark.parametrize("opt", ["root", "state-overlay"])
def test_opt_and_usr_local_by_mode(repo, tmp_path, opt):
    deb = make_deb(tmp_path, "demo", files={"opt/v/app": "a", "usr/local/bin/f": "f"})
    entry = import_deb(repo, deb, policy=Policy(opt=opt))
    at = "opt/v/app" if opt == "root" else "usr/lib/opt/v/app"
    assert files_in(tree_of(repo, entry, tmp_path / "tree")) == sorted([at, "usr/local/bin/f"])
    assert entry.state == ()


# -- trimming


def test_documentation_is_left_out_but_stays_listed(repo, tmp_path):
    paths = ["usr/share/doc/demo/copyright", "usr/share/doc/demo/README", "usr/share/man/man1/d.1.gz",
             "usr/share/info/d.info", "usr/bin/d"]  # fmt: skip
    files = {**dict.fromkeys(paths, "x"), "usr/share/doc/demo-dev": File(link="demo")}
    deb = make_deb(tmp_path, "demo", files=files)
    entry = import_deb(repo, deb, policy=Policy(documentation=False))
    assert files_in(tree_of(repo, entry, tmp_path / "tree")) == [
        "usr/bin/d", "usr/share/doc/demo-dev", "usr/share/doc/demo/copyright",
    ]  # fmt: skip
    assert {f"/{p}" for p in paths} <= set(entry.listed)
    assert entry.trim != import_deb(repo, deb).trim


@pytest.mark.parametrize(
    ("langs", "kept"),
    [
        (None, "de de_AT fr pt_BR"), (("de",), "de de_AT"), (("de_DE.UTF-8",), "de"),
        (("pt_BR", "fr"), "fr pt_BR"), ((), ""), (("all",), "de de_AT fr pt_BR"),
    ],
)  # fmt: skip
def test_languages_are_chosen(repo, tmp_path, langs, kept):
    names = ["de", "de_AT", "fr", "pt_BR"]
    files = {f"usr/share/locale/{n}/LC_MESSAGES/d.mo": n for n in names}
    files |= {
        "usr/share/locale/locale.alias": "",
        "usr/share/man/man1/d.1": "",
        "usr/share/man/de/man1/d.1": "",
    }
    entry = import_deb(
        repo, make_deb(tmp_path, "demo", files=files), policy=Policy(install_langs=langs)
    )
    found = files_in(tree_of(repo, entry, tmp_path / "tree"))
    assert [p.split("/")[3] for p in found if p.endswith(".mo")] == kept.split()
    assert {"usr/share/locale/locale.alias", "usr/share/man/man1/d.1"} <= set(found)
    assert ("usr/share/man/de/man1/d.1" in found) == ("de" in kept.split())


def test_readonly_executables(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={"usr/bin/x": File("x", mode=0o755), "usr/share/d": "d"})
    tree = tree_of(
        repo, import_deb(repo, deb, policy=Policy(readonly_executables=True)), tmp_path / "t"
    )
    assert stat.S_IMODE(os.lstat(tree / "usr/bin/x").st_mode) == 0o555
    assert stat.S_IMODE(os.lstat(tree / "usr/share/d").st_mode) == 0o644


# -- forms and identity


@pytest.mark.parametrize(
    ("files", "scripts", "reason"),
    [
        ({"usr/bin/x": "x"}, {"preinst": "dpkg-divert --rename --add /usr/bin/x"}, "preinst"),
        ({"usr/bin/x": File("x", owner=("postgres", 116))}, {}, "owner postgres:root"),
        ({"usr/share/a": File(link="b"), "usr/share/a/f": "x"}, {}, "below a link"),
    ],
)  # fmt: skip
def test_what_only_dpkg_can_unpack_is_kept_as_archive(repo, tmp_path, files, scripts, reason):
    deb = make_deb(tmp_path, "demo", files=files, scripts=scripts)
    entry = import_deb(repo, deb)
    assert not entry.is_fast
    assert reason in entry.reason
    assert entry.forms == {Form.ARCHIVE}
    assert repo.read_file(entry.checksum, "package.deb") == deb.read_bytes()
    assert repo.list_dir(entry.checksum, "root") == []


def test_a_tree_that_cannot_be_made_is_refused_when_asked_for(repo, tmp_path):
    deb = make_deb(tmp_path, "demo", files={"usr/share/a": File(link="b"), "usr/share/a/f": "x"})
    with pytest.raises(PackageError, match=r"demo-1\.0\.all can only be unpacked by dpkg"):
        import_deb(repo, deb, want=Want.TREE)


def test_importing_again_gives_the_same_commit(repo, tmp_path):
    deb = make_deb(tmp_path / "a", "demo", files={"usr/bin/x": File("x", mtime=1_600_000_000)})
    first = import_deb(repo, deb, want=Want.BOTH)
    other = Repo.create(tmp_path / "other", mode="bare" if os.geteuid() == 0 else "bare-user-only")
    assert import_deb(other, deb, want=Want.BOTH).checksum == first.checksum
    assert first.commit.timestamp == 1_700_000_000  # the parent directories'
    assert first.forms == set(Form)


def test_other_content_than_promised_is_refused(repo, tmp_path):
    deb = make_deb(tmp_path, "demo")
    with repo.transaction(), pytest.raises(PackageError, match="SHA256 differs"):
        write_package(repo, deb, sha256="0" * 64, policy=Policy())


def test_repository_stays_sound(repo, tmp_path):
    files = {f"usr/share/demo/{i}": f"{i}" for i in range(50)}
    entry = import_deb(repo, make_deb(tmp_path, "demo", files=files), want=Want.BOTH)
    repo.set_ref("aptostree/pkg/demo/1.0.all", entry.checksum)
    subprocess.run(["ostree", f"--repo={repo.path}", "fsck", "-q"], check=True)

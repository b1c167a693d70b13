"""Laying packages without dpkg: which ones, and the same files and database as dpkg would leave."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from fixtures.debrepo import File, make_deb

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.deb import Deb, sha256_of
from apt_ostree.assemble import lay, triggers
from apt_ostree.assemble.entry import Entry, Form
from apt_ostree.assemble.importer import Want
from apt_ostree.assemble.layout import DPKG, create_database
from apt_ostree.assemble.package_cache import PackageCache, Request
from apt_ostree.ostree.repo import Repo

pytestmark = pytest.mark.root


class Quiet:
    def message(self, text): ...
    def task_begin(self, text): ...
    def task_end(self, suffix="done"): ...
    def percent(self, text, percent): ...


@pytest.fixture
def repo(tmp_path):
    return Repo.create(tmp_path / "repo", mode="bare")


@pytest.fixture
def tree(tmp_path) -> Path:
    """A tree with a dpkg database and the aliases of merged /usr."""
    root = tmp_path / "tree"
    for name in ("usr/bin", "usr/lib", "usr/etc"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    create_database(root, ["amd64"])
    return root


def entries(repo: Repo, *debs: Path, want: Want = Want.AUTO) -> list[Entry]:
    """The debs as they are in the cache."""
    asked = [Request(d, sha256_of(d), Deb.open(d).package, want=want, source_id="t") for d in debs]
    found = PackageCache(repo).ensure(asked, progress=Quiet())
    return [found[sha256_of(d)] for d in debs]


def put(root: Path, path: str, text: str = "base") -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def test_packages_that_meet_nothing_are_laid_in_their_order(repo, tree, tmp_path):
    debs = [make_deb(tmp_path, n, files={f"/bin/{n}": n, "/usr/share/x/": ""}) for n in "bac"]
    choice = lay.choose(entries(repo, *debs), lower=[tree])
    assert [e.package.name for e in choice.laid] == ["b", "a", "c"]
    assert (choice.slow, choice.under) == ({}, ())


@pytest.mark.parametrize(
    ("prepare", "files", "reason"),
    [
        (lambda t: put(t, "usr/bin/x"), {"/usr/bin/x": "x"}, "/usr/bin/x exists"),
        (lambda t: put(t, "usr/bin/x"), {"/bin/x": "x"}, "/usr/bin/x exists"),
        (lambda t: put(t, "usr/etc/x"), {"/etc/x": "x"}, "/usr/etc/x exists"),
        (lambda t: put(t, "usr/share/d"), {"/usr/share/d/x": "x"}, "is not a directory in the tree"),
        (
            lambda t: (t / "usr/lib/d").symlink_to("../bin"),
            {"/lib/d/x": "x"}, "/usr/lib/d is not a directory in the tree",
        ),
        (lambda t: (t / "usr/d").mkdir(), {"/usr/d": "x"}, "/usr/d exists"),
        (
            lambda t: (t / DPKG / "diversions").write_text("/bin/x\n/bin/x.real\nother\n"),
            {"/usr/bin/x": "x"}, "/usr/bin/x is diverted or has another owner",
        ),
        (
            lambda t: (t / DPKG / "diversions").write_text("/usr/bin/y\n/usr/bin/x\nother\n"),
            {"/bin/x": "x"}, "/usr/bin/x is diverted or has another owner",
        ),
        (
            lambda t: (t / DPKG / "statoverride").write_text("root mail 2755 /etc/x\n"),
            {"/etc/x": "x"}, "/usr/etc/x is diverted or has another owner",
        ),
    ],
)  # fmt: skip
def test_what_the_tree_has_leaves_a_package_to_dpkg(repo, tree, tmp_path, prepare, files, reason):
    prepare(tree)
    deb = make_deb(tmp_path, "x", files=files)
    choice = lay.choose(entries(repo, deb), lower=[tree])
    assert choice.laid == ()
    assert reason in choice.slow["x:all"]


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"/usr/x": "same"}, {"/usr/x": "same"}, "/usr/x is also in a:all"),
        ({"/bin/x": "1"}, {"/usr/bin/x": "2"}, "/usr/bin/x is also in a:all"),
        ({"/usr/x": File(link="y")}, {"/usr/x/z": "2"}, "/usr/x is a directory here and not in"),
        ({"/usr/x/z": "1"}, {"/usr/x": "2"}, "/usr/x is also in another package as a directory"),
    ],
)
def test_what_two_packages_share_is_dpkgs(repo, tree, tmp_path, first, second, reason):
    debs = [make_deb(tmp_path, "a", files=first), make_deb(tmp_path, "b", files=second)]
    choice = lay.choose(entries(repo, *debs), lower=[tree])
    assert [e.package.name for e in choice.laid] == ["a"]
    assert reason in choice.slow["b:all"]


def test_a_package_behind_a_slow_one_is_still_laid(repo, tree, tmp_path):
    # the files of a slow package are not there yet, but dpkg looks at the others' when it comes
    put(tree, "usr/x")
    debs = [make_deb(tmp_path, "a", files={"/usr/x": "a", "/usr/y": "a"}),
            make_deb(tmp_path, "b", files={"/usr/y": "b"})]  # fmt: skip
    choice = lay.choose(entries(repo, *debs), lower=[tree])
    assert [e.package.name for e in choice.laid] == ["b"]


def test_upgrades_and_acting_scripts_are_dpkgs(repo, tree, tmp_path):
    debs = [make_deb(tmp_path, "old", files={"/usr/o": ""}),
            make_deb(tmp_path, "acts", files={"/usr/a": ""}, scripts={"preinst": "touch /x"})]  # fmt: skip
    found = entries(repo, *debs)
    choice = lay.choose(found, lower=[tree], installed=["old:all"])
    assert choice.slow == {"old:all": "another version is installed",
                           "acts:all": "its preinst acts on a first installation"}  # fmt: skip
    # only the one that could have been laid has no archive in the cache
    assert lay.without_archive(choice, {e.package.key: e for e in found}) == ("old:all",)


@pytest.mark.parametrize(("conffiles", "count"), [([], 1), (["/etc/same"], 2)])
def test_instances_that_share_configuration_are_dpkgs(repo, tree, tmp_path, conffiles, count):
    debs = [make_deb(tmp_path, "same", arch=arch, multi_arch="same", files={"/etc/same": "x"},
                     conffiles=conffiles) for arch in ("amd64", "i386")]  # fmt: skip
    assert len(lay.choose(entries(repo, *debs), lower=[tree]).slow) == count


def test_files_that_are_needed_at_once_are_put_under_those_of_dpkg(repo, tree, tmp_path):
    deb = make_deb(tmp_path, "sh", files={"/usr/bin/sh": "sh"}, scripts={"preinst": "touch /x"})
    found = entries(repo, deb, want=Want.BOTH)
    choice = lay.choose(found, lower=[tree], bootstrap=["sh:all"])
    assert choice.under == tuple(found)
    assert "sh:all" in choice.slow
    lay.checkout(repo, choice, tmp_path / "out")
    assert (tmp_path / "out/usr/bin/sh").read_text() == "sh"


def test_checked_out_directories_look_like_those_of_the_tree(repo, tree, tmp_path):
    there = tree / "usr/share/d"
    there.mkdir(parents=True)
    os.chown(there, 33, 8)
    there.chmod(0o2750)
    deb = make_deb(tmp_path, "x", files={
        "/usr/share/d/f": "x", "/usr/share/own/": File(directory=True, mode=0o1777),
    })  # fmt: skip
    lay.checkout(repo, lay.choose(entries(repo, deb), lower=[tree]), tmp_path / "out")
    info = (tmp_path / "out/usr/share/d").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (33, 8, 0o2750)
    assert stat.S_IMODE((tmp_path / "out/usr/share/own").stat().st_mode) == 0o1777


def test_only_configuration_gets_inodes_of_its_own(repo, tree, tmp_path):
    deb = make_deb(tmp_path, "x", files={"/etc/x": File("a", 0o640, group=("adm", 4)),
                                         "/usr/share/x": File("a", 0o640, group=("adm", 4))})  # fmt: skip
    lay.checkout(repo, lay.choose(entries(repo, deb), lower=[tree]), tmp_path / "out")
    etc, share = (tmp_path / "out" / p for p in ("usr/etc/x", "usr/share/x"))
    assert etc.stat().st_ino != share.stat().st_ino
    assert (etc.stat().st_gid, stat.S_IMODE(etc.stat().st_mode)) == (4, 0o640)
    assert etc.stat().st_nlink == 1
    assert share.stat().st_nlink > 1  # the object of the repository


VARIED = (
    {"name": "plain", "files": {"/usr/share/p/l": File(link="m"), "/usr/bin/p": File("x", 0o4755)}},
    {"name": "conf", "files": {"/etc/c": "c", "/etc/d": "d"}, "conffiles": ["/etc/c"],
     "depends": "plain", "multi_arch": "foreign"},
    {"name": "same", "arch": "amd64", "multi_arch": "same", "files": {"/usr/lib/s": "s"},
     "scripts": {"postinst": "exit 0", "postrm": "exit 0"}},
    {"name": "watch", "triggers": "interest /usr/lib\ninterest-noawait /usr/share/p\n"
     "# why\ninterest named\ninterest-noawait quiet\n\nactivate-noawait ldconfig"},
    {"name": "late", "files": {"/usr/share/p/m": "m"}, "triggers": "activate-await named"},
)  # fmt: skip


def varied(directory: Path) -> list[Path]:
    return [make_deb(directory, **{"version": "1.0", **spec}) for spec in VARIED]


def plain_root(root: Path) -> Path:
    """An empty root for dpkg; returns its database."""
    admindir = root / "var/lib/dpkg"
    for name in ("info", "updates", "triggers"):
        (admindir / name).mkdir(parents=True)
    (admindir / "status").touch()
    (admindir / "triggers/Unincorp").touch()
    (admindir / "info/format").write_text("1\n")
    return admindir


def dpkg(admindir: Path, action: str, debs: Sequence[Path]) -> Path:
    root = admindir.parents[2]
    done = subprocess.run(
        ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless", "--no-triggers",
         "--log=/dev/null", action, *map(str, debs)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return admindir


def laid(repo: Repo, tree: Path, debs: Sequence[Path], out: Path) -> Path:
    """The database after all of the packages were laid and dpkg had a look at it."""
    choice = lay.choose(entries(repo, *debs), lower=[tree])
    assert choice.slow == {}
    lay.checkout(repo, choice, out)
    lay.register(tree, choice)
    triggers.activate(tree / DPKG, choice.laid)
    command = ["dpkg", f"--admindir={tree / DPKG}", "--set-selections"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return tree / DPKG


def stanzas(admindir: Path) -> dict[str, dict[str, str]]:
    return {s["Package"]: dict(s) for s in dpkgdb.load(admindir).stanzas}


def test_the_database_is_the_one_that_dpkg_writes(repo, tree, tmp_path):
    debs = [make_deb(tmp_path, **{"version": "1.0", **spec}) for spec in VARIED]
    mine = laid(repo, tree, debs, tmp_path / "out")
    theirs = dpkg(plain_root(tmp_path / "plain"), "--unpack", debs)
    found, expected = stanzas(mine), stanzas(theirs)
    # dpkg fills this in when it configures, for files that it put in place itself
    assert expected["conf"].pop("Conffiles") == "\n /etc/c newconffile"
    assert found["conf"].pop("Conffiles") == f"\n /etc/c {hashlib.md5(b'c').hexdigest()}"
    assert found == expected
    placed, info = tmp_path / "out" / DPKG / "info", theirs / "info"
    assert {p.name for p in placed.iterdir()} == {p.name for p in info.iterdir()} - {"format"}
    for path in placed.iterdir():
        assert path.read_bytes() == (info / path.name).read_bytes(), path.name
    for name in ("File", "named", "quiet", "Unincorp"):
        files = [(d / "triggers" / name).read_text().splitlines() for d in (mine, theirs)]
        assert sorted(files[0]) == sorted(files[1]), name


@pytest.mark.parametrize("directive", ["interest", "interest-noawait"])
@pytest.mark.parametrize(
    ("watched", "path", "is_hit"),
    [
        ("/usr/share/d", "/usr/share/d/x", True),
        ("/usr/share/d", "/usr/share/d/e/x", True),
        ("/usr/share/d", "/usr/share/d/", True),
        ("/usr/share/d/x", "/usr/share/d/x", True),
        ("/usr/share/d", "/usr/share/dd/x", False),
        ("/usr/share/d/x/y", "/usr/share/d/x", False),
        ("/usr/lib/d", "/lib/d/x", False),  # dpkg compares the paths as packages write them
    ],
)
def test_laid_files_set_off_triggers_as_with_dpkg(
    repo, tree, tmp_path, directive, watched, path, is_hit
):
    theirs = plain_root(tmp_path / "plain")
    watcher = make_deb(tmp_path, "watcher", triggers=f"{directive} {watched}")
    dpkg(theirs, "--install", [watcher])
    shutil.copytree(theirs, tree / DPKG, dirs_exist_ok=True)
    deb = make_deb(tmp_path, "x", files={path: "x"})
    mine = stanzas(laid(repo, tree, [deb], tmp_path / "out"))
    assert mine == stanzas(dpkg(theirs, "--unpack", [deb]))
    assert ("Triggers-Pending" in mine["watcher"]) == is_hit
    assert ("Triggers-Awaited" in mine["x"]) == (is_hit and directive == "interest")


def test_dpkg_does_not_take_the_database_for_an_old_one(tree):
    # without the file dpkg sets off every trigger of every package, and base trees do not have it
    file = tree / DPKG / "triggers/Unincorp"
    file.unlink(missing_ok=True)
    lay.register(tree, lay.choose([], lower=[tree]))
    assert file.read_text() == ""


def test_forms(repo, tree, tmp_path):
    deb = make_deb(tmp_path, "x", files={"/usr/x": "x"})
    [archive] = entries(repo, deb, want=Want.ARCHIVE)
    assert archive.forms == frozenset({Form.ARCHIVE})
    choice = lay.choose([archive], lower=[tree])
    assert choice.slow == {"x:all": "its files are not in the cache"}
    assert lay.without_archive(choice, {"x:all": archive}) == ()

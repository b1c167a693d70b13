"""Packages whose files are hard to place right, on a real machine.

Most are installed together in one change of one machine; each test looks at one of them.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.composes import REF as SMALL_REF
from fixtures.composes import Composer
from fixtures.debrepo import File, make_deb, make_repo
from fixtures.filetraps import LOG, packages
from fixtures.machines import Machine, make_machine, run

pytestmark = [pytest.mark.root, pytest.mark.network]

# The caches of other tests that lay packages out in the same way.
CACHES = {"root": "optroot", "state-overlay": "stateoverlay"}


def names(debs: list[Path]) -> list[str]:
    return [deb.name.split("_")[0] for deb in debs]


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("files")
    made = make_machine(directory)
    debs = packages(directory / "built")
    made.publish(*debs)
    made("install", *names(debs))
    yield made
    made.check()
    made.release()


@pytest.fixture(scope="module")
def tree(machine) -> Path:
    return machine.tree


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def owner(tree: Path, path: str) -> tuple[str, str]:
    """Names by the tree's own account files."""
    out = []
    info = (tree / path).lstat()
    for file, number in (("passwd", info.st_uid), ("group", info.st_gid)):
        rows = [line.split(":") for line in (tree / "usr/etc" / file).read_text().splitlines()]
        out.append(next((row[0] for row in rows if row[2] == str(number)), str(number)))
    return out[0], out[1]


def text(tree: Path, path: str) -> str:
    return (tree / path).read_text().strip()


def test_set_id_bits_and_hard_links(tree):
    assert mode(tree / "usr/bin/t-suid") == 0o4755
    assert mode(tree / "usr/bin/t-sgid") == 0o2755
    assert owner(tree, "usr/bin/t-sgid") == ("root", "shadow")
    for path in ("usr/bin/t-hard", "usr/share/t/hard"):
        assert (mode(tree / path), text(tree, path)) == (0o4711, "h")


def test_capabilities_survive_commit_and_deployment(tree):
    found = subprocess.run(["getcap", str(tree / "usr/bin/t-cap")], capture_output=True, text=True,
                           check=True).stdout  # fmt: skip
    assert "cap_net_raw=ep" in found


def test_statoverrides_of_the_same_another_and_a_base_package(machine, tree):
    assert (mode(tree / "usr/bin/t-stat"), owner(tree, "usr/bin/t-stat")) == (
        0o2755, ("root", "mail"),
    )  # fmt: skip
    assert (mode(tree / "usr/bin/t-target"), owner(tree, "usr/bin/t-target")) == (
        0o4750, ("t-own", "mail"),
    )  # fmt: skip
    assert (mode(tree / "usr/bin/getent"), owner(tree, "usr/bin/getent")[1]) == (0o2711, "mail")
    listed = machine.inside("dpkg-statoverride", "--list").stdout
    assert "t-own mail 4750 /usr/bin/t-target" in listed


def test_modes_and_owners_of_archives_and_scripts(tree):
    assert (mode(tree / "usr/share/t-modes"), owner(tree, "usr/share/t-modes")[1]) == (
        0o2775, "staff",
    )  # fmt: skip
    assert mode(tree / "usr/share/t-modes/sticky") == 0o1777
    assert mode(tree / "usr/share/t-modes/none") == 0
    assert owner(tree, "usr/share/t-modes/www") == ("www-data", "adm")
    assert (mode(tree / "usr/etc/t-modes"), mode(tree / "usr/etc/t-modes/secret")) == (0o700, 0o600)
    assert mode(tree / "etc/t-modes/secret") == 0o600
    # dynamic accounts: by name in the archive, and by scripts
    assert owner(tree, "usr/share/t-owner/f") == ("t-own", "t-own")
    for path, bits in (("usr/share/t-chown/f", 0o4750), ("usr/share/t-chown/d", 0o2770),
                       ("usr/etc/t-chown", 0o644), ("etc/t-chown", 0o644)):  # fmt: skip
        assert (owner(tree, path), mode(tree / path)) == (("t-own", "t-own"), bits), path


def test_files_go_through_links_to_directories_as_with_dpkg(machine, tree):
    for path in ("usr/share/t-link", "usr/etc/t-link"):
        assert os.readlink(tree / path) == "t-real"
    assert sorted(p.name for p in (tree / "usr/share/t-real").iterdir()) == ["file", "own", "sub"]
    assert text(tree, "usr/share/t-real/sub/deep") == "d"
    assert sorted(p.name for p in (tree / "usr/etc/t-real").iterdir()) == ["f", "own"]
    assert "/usr/share/t-link/file" in machine.dpkg("-L", "t-through")
    assert not (tree / "run/t-run").exists()


def test_files_of_unmerged_directories(machine, tree):
    for alias, path in (("/bin/t-bin", "usr/bin/t-bin"), ("/sbin/t-sbin", "usr/sbin/t-sbin"),
                        ("/lib/t-lib/x", "usr/lib/t-lib/x"),
                        ("/lib64/t-lib64", "usr/lib64/t-lib64")):  # fmt: skip
        assert (tree / path).is_file()
        assert alias in machine.dpkg("-L", "t-alias").splitlines()
    for name in ("bin", "sbin", "lib", "lib64"):
        assert os.readlink(tree / name) == f"usr/{name}"


def lines(tree: Path) -> list[str]:
    """What the layers make in /var at boot."""
    return text(tree, "usr/lib/tmpfiles.d/apt-ostree-var-layer.conf").splitlines()


def test_opt_is_in_the_image_behind_links(tree):
    home = tree / "usr/lib/opt"
    assert sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()) == [
        "t/bin/more", "t/bin/tool", "t/etc/x", "t/slow", "t2/made", "t2/x", "t3/f",
    ]  # fmt: skip
    assert mode(home / "t/bin/tool") == 0o755
    assert os.readlink(tree / "usr/bin/t-tool") == "/opt/t/bin/tool"
    for vendor in ("t", "t2", "t3"):
        assert f"L /var/opt/{vendor} - - - - ../../usr/lib/opt/{vendor}" in lines(tree)


def test_usr_local_home_srv_and_root_are_made_on_the_machine(tree):
    factory = tree / "usr/share/factory/var"
    assert mode(factory / "usrlocal/bin/t-made") == 0o755
    assert (text(factory, "home/t/f"), text(factory, "srv/t/data")) == ("h", "s")
    assert mode(factory / "roothome/.t/f") == 0o600
    wanted = ("d /var/usrlocal/t-dir 0755 root root -", "C /var/usrlocal/bin/t-made - - - -",
              "C /var/home/t - - - -", "C /var/srv/t - - - -", "C /var/roothome/.t - - - -")  # fmt: skip
    assert [line for line in wanted if line not in lines(tree)] == []


def test_replaces_takes_files_from_layered_and_base_packages(machine, tree):
    assert (text(tree, "usr/share/t-rep/one"), text(tree, "usr/share/t-rep/two")) == ("b", "a")
    assert text(tree, "usr/share/base-files/motd") == "mine"
    assert "/usr/share/t-rep/one" not in machine.dpkg("-L", "t-rep-a").splitlines()
    assert "/usr/share/base-files/motd" not in machine.dpkg("-L", "base-files").splitlines()
    assert machine.dpkg("-S", "/usr/share/base-files/motd").startswith("t-rep-b:")


def test_a_package_whose_files_are_all_replaced_disappears(machine, tree):
    assert text(tree, "usr/share/t-gone/only") == "new"
    assert text(tree, "usr/share/t/gone") == "disappear t-gone-by 1.0"
    assert "t-gone\n" not in machine.dpkg("--get-selections").replace("\t", "\n")
    # it stays requested: what replaces it may go one day
    assert "t-gone" in machine.deployments[0]["requested-packages"]


def test_scripts_run_before_and_after_the_files_come(tree):
    assert text(tree, "usr/share/t/pre-saw") == "install"
    assert text(tree, "usr/share/t/post-saw") == "configure <>"
    # Pre-Depends: the other package is configured before this one's preinst
    assert text(tree, "usr/share/t/pre-b-saw") == "ready"


def test_scripts_may_remove_and_rename_what_is_there(machine, tree):
    for path in ("own", "victim", "own-dir"):
        assert not (tree / "usr/share/t" / path).exists()
    assert not (tree / "usr/share/pixmaps").exists()
    assert "/usr/share/t/victim" in machine.dpkg("-L", "t-rm-victim")
    renamed = {str(p.relative_to(tree / "usr/share/t-renamed"))
               for p in (tree / "usr/share/t-renamed").rglob("*")}  # fmt: skip
    original = tree / "usr/share/perl5/Debconf"
    assert renamed == {str(p.relative_to(original)) for p in original.rglob("*")}
    assert "Config.pm" in renamed


def test_what_dpkg_says_of_the_result(machine, tree):
    assert machine.dpkg("--audit") == ""
    assert (tree / "usr/share/t/essential").exists()
    assert "ii  t-wants" in machine.dpkg("-l", "t-wants")
    assert machine.verify("t-rm", "t-rm-victim") == [
        "missing     /usr/share/t/own", "missing     /usr/share/t/own-dir",
        "missing     /usr/share/t/own-dir/x", "missing     /usr/share/t/victim",
    ]  # fmt: skip
    for name in ("t-through", "t-alias", "t-setid", "t-rep-a", "t-rep-b"):
        assert machine.verify(name) == []


# -- what cannot be installed


def refused(machine: Machine, *argv: object) -> str:
    before = machine.deployments[0]["checksum"]
    done = machine(*argv, ok=[1])
    assert "Traceback" not in done.stderr
    assert machine.deployments[0]["checksum"] == before
    return done.stderr


def test_two_packages_with_one_file_are_refused_by_name(machine, tmp_path):
    machine.publish(
        make_deb(tmp_path, "t-clash-a", files={"/usr/share/t-clash": "a"}),
        make_deb(tmp_path, "t-clash-b", files={"/usr/share/t-clash": "b"}),
        make_deb(tmp_path, "t-clash-base", files={"/usr/bin/getent": "b"}),
        make_deb(tmp_path, "t-clash-alias", files={"/bin/getent": "b"}),
        make_deb(tmp_path, "t-clash-ab", files={"/bin/t-clash-ab": "a"}),
        make_deb(tmp_path, "t-clash-ba", files={"/usr/bin/t-clash-ab": "a"}),
    )
    said = refused(machine, "install", "t-clash-a", "t-clash-b")
    assert "t-clash-b" in said
    assert "trying to overwrite '/usr/share/t-clash', which is also in package t-clash-a" in said
    assert "D000002" not in said
    for name in ("t-clash-base", "t-clash-alias"):
        said = refused(machine, "install", name)
        assert "which is also in package libc-bin" in said
        assert name in said
    # dpkg itself does not see this one
    said = refused(machine, "install", "t-clash-ab", "t-clash-ba")
    assert "which is also in package t-clash-ab" in said


def test_a_virtual_package_with_two_providers_must_be_chosen(machine, tmp_path):
    machine.publish(make_deb(tmp_path, "t-virt-a", provides="t-many"),
                    make_deb(tmp_path, "t-virt-b", provides="t-many"))  # fmt: skip
    said = refused(machine, "install", "t-many")
    assert "t-virt-a" in said
    assert "t-virt-b" in said


def test_an_owner_override_for_an_unknown_user_is_refused(machine, tmp_path):
    script = "dpkg-statoverride --add t-nobody root 755 /usr/bin/t-never"
    machine.publish(make_deb(tmp_path, "t-nobody", scripts={"postinst": script}))
    said = refused(machine, "install", "t-nobody")
    assert "package t-nobody: postinst configure" in said
    assert "user 't-nobody' does not exist" in said


def test_a_foreign_architecture_has_to_be_asked_for(machine, tmp_path):
    machine.publish(make_deb(tmp_path, "t-foreign", arch="i386"))
    said = refused(machine, "install", "t-foreign:i386")
    assert "this tree has no architecture i386; 'architectures' in a treefile" in said
    said = refused(machine, "install", tmp_path / "t-foreign_1.0_i386.deb")
    assert "is for architecture i386, this tree has amd64" in said


def test_architectures_side_by_side(tmp_path):
    """What the origin asks for; a treefile's `architectures` come with the base."""
    made = make_machine(tmp_path / "machine")
    both = [
        make_deb(
            tmp_path, "t-same", arch=arch, multi_arch="same", conffiles=["/etc/t-same"],
            files={"/usr/share/t-same": "same", f"/usr/lib/{arch}/t-same": arch,
                   "/etc/t-same": "same"},
            scripts={"postinst": f"{LOG}; echo $DPKG_MAINTSCRIPT_ARCH >/usr/share/t/{arch}"},
        )
        for arch in ("amd64", "i386")
    ]  # fmt: skip
    debs = [
        *both,
        make_deb(tmp_path, "t-foreign", arch="i386", depends="t-same", files={"/usr/bin/tf": "f"}),
        make_deb(tmp_path, "t-acts", arch="i386", files={"/usr/bin/ta": "a"},
                 scripts={"preinst": f"{LOG}; touch /usr/share/t/acts"}),
    ]  # fmt: skip
    made.publish(*debs)
    make_repo(made.debs, debs, arches=("amd64", "i386"))
    [origin] = made.path.glob("ostree/deploy/debian/deploy/*.origin")
    origin.write_text(origin.read_text() + "\n[aptostree]\narchitectures=i386;\n")
    made("refresh-md", "--force")
    made("install", "t-foreign:i386", "t-same", "t-acts:i386")
    assert made.dpkg("--audit") == ""
    for name in ("t-foreign:i386", "t-same:amd64", "t-same:i386", "t-acts:i386"):
        assert f"ii  {name} " in made.dpkg("-l", name)
    assert made.inside("dpkg", "--print-foreign-architectures").stdout == "i386\n"
    for arch in ("amd64", "i386"):
        assert text(made.tree, f"usr/lib/{arch}/t-same") == arch
        assert text(made.tree, f"usr/share/t/{arch}") == arch
    assert made.verify("t-same:amd64", "t-same:i386", "t-foreign:i386") == []
    # it stays so
    made("uninstall", "t-acts:i386")
    assert made.inside("dpkg", "--print-foreign-architectures").stdout == "i386\n"
    made.check()
    made.release()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["root", "state-overlay"])
def test_opt_of_a_base_that_keeps_it_in_the_image(tmp_path, where):
    home = "opt" if where == "root" else "usr/lib/opt"
    composer = Composer(tmp_path / "compose", cache=CACHES[where])
    # libostree deploys nothing without a kernel; this one has no modules to index
    composer.publish(make_deb(tmp_path, "t-kernel", files={
        "/usr/lib/modules/6.0-test/vmlinuz": "kernel",
        "/usr/sbin/depmod": File("#!/bin/sh\n", 0o755)}))  # fmt: skip
    composer.tree(f"packages: [passwd, t-kernel]\nno-initramfs: true\nopt-usrlocal: {where}\n")
    path = tmp_path / "sysroot"
    run("init", "--stateroot=debian", path)
    made = Machine(path, tmp_path / "debs")
    subprocess.run(["ostree", f"--repo={made.repo}", "pull-local", str(composer.repo), SMALL_REF],
                   check=True)  # fmt: skip
    made("rebase", SMALL_REF)
    made.publish(
        make_deb(tmp_path, "t-opt", files={"/opt/t/tool": "t", "/opt/t/empty/": "",
                                           "/usr/local/bin/t-local": "l"}),
        make_deb(tmp_path, "t-opt-acts", files={"/opt/t/slow": "s", "/usr/local/lib/t": "l"},
                 scripts={"preinst": "true && test ! -e /opt/t/slow",
                          "postinst": "echo made >/opt/t/made; echo made >/usr/local/t-made"}),
    )  # fmt: skip
    made("install", "t-opt", "t-opt-acts")
    found = made.tree / home / "t"
    assert {p.name for p in found.iterdir()} == {"tool", "empty", "slow", "made"}
    local = made.tree / "usr/local"
    for name in ("bin/t-local", "lib/t", "t-made"):
        assert (local / name).is_file()
    assert made.verify("t-opt", "t-opt-acts") == []
    lines = made.tree / "usr/lib/tmpfiles.d/apt-ostree-var-layer.conf"
    assert not lines.exists() or "/opt" not in lines.read_text()
    made.check()
    made.release()

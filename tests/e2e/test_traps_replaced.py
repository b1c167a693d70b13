"""Packages of the base that are hard to replace or to take out again.

A small base is composed with them; one change replaces some, and one takes others out.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.composes import REF, Composer
from fixtures.debrepo import File, make_deb
from fixtures.machines import Machine, run

pytestmark = [pytest.mark.root, pytest.mark.network]

CONF = ("keep", "moved", "gone", "edited", "dropped")
REMOVED = ("t-postrm", "t-divert", "t-alt", "t-state", "t-shared", "t-suid-too", "t-unit")
HELPED = {
    "t-conf": "dpkg-maintscript-helper rm_conffile /etc/t-conf/gone.conf 2.0~ -- \"$@\"\n"
              "dpkg-maintscript-helper mv_conffile /etc/t-conf/moved.conf /etc/t-conf/new.conf "
              "2.0~ -- \"$@\"",
    "t-swap": "dpkg-maintscript-helper symlink_to_dir /usr/share/t-swap/s2d d2l 2.0~ -- \"$@\"\n"
              "dpkg-maintscript-helper dir_to_symlink /usr/share/t-swap/d2l s2d 2.0~ -- \"$@\"",
}  # fmt: skip
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


def old(d: Path) -> list[Path]:
    return [
        # libostree deploys nothing without a kernel; this one has no modules to index
        make_deb(d, "t-kernel", files={"/usr/lib/modules/6.0-test/vmlinuz": "kernel",
                                       "/usr/sbin/depmod": File("#!/bin/sh\n", 0o755)}),
        make_deb(d, "t-suid", files={"/usr/bin/t-suid": File("s", 0o4755),
                                     "/usr/bin/t-sgid": File("g", 0o2755)}),
        make_deb(d, "t-suid-too", files={"/usr/bin/t-suid-too": File("t", 0o6755)}),
        make_deb(d, "t-stat", files={"/usr/bin/t-stat": "x"}, scripts={
            "postinst": "dpkg-statoverride --list /usr/bin/t-stat >/dev/null || "
                        "dpkg-statoverride --update --add root mail 2755 /usr/bin/t-stat"}),
        make_deb(d, "t-conf", files={f"/etc/t-conf/{n}.conf": n for n in CONF},
                 conffiles=[f"/etc/t-conf/{n}.conf" for n in CONF]),
        make_deb(d, "t-swap", files={
            "/usr/share/t-swap/f2d": "file", "/usr/share/t-swap/d2f/x": "dir",
            "/usr/share/t-swap/d2l/x": "dir", "/usr/share/t-swap/s2d": File(link="d2l"),
            "/usr/share/t-swap/gone/x": "x"}),
        make_deb(d, "t-shared", files={"/usr/share/t-swap/gone/y": "y", "/etc/t-conf/other": "o"}),
        make_deb(d, "t-scripts", files={"/usr/share/t-scripts": "1"}),
        make_deb(d, "t-postrm", files={"/etc/t-postrm.conf": "c", "/usr/share/t-postrm": "p"},
                 conffiles=["/etc/t-postrm.conf"], scripts={
            "postinst": "echo made >/etc/t-postrm.made\n"
                        "mkdir -p /var/lib/t-postrm; echo d >/var/lib/t-postrm/d",
            "postrm": 'mkdir -p /usr/share/t; echo "$1" >>/usr/share/t/postrm\n'
                      '[ "$1" != purge ] || rm -r /etc/t-postrm.made /var/lib/t-postrm'}),
        make_deb(d, "t-divert", files={"/usr/bin/tac": "mine"}, scripts={
            "preinst": "dpkg-divert --quiet --package t-divert --add --rename --divert "
                       "/usr/bin/tac.real /usr/bin/tac",
            "postrm": '[ "$1" != remove ] || dpkg-divert --quiet --package t-divert --remove '
                      "--rename --divert /usr/bin/tac.real /usr/bin/tac"}),
        make_deb(d, "t-alt", files={"/usr/bin/t-alt.1": "1"}, scripts={
            "postinst": "update-alternatives --install /usr/bin/t-alt t-alt /usr/bin/t-alt.1 10",
            "prerm": "update-alternatives --remove t-alt /usr/bin/t-alt.1"}),
        make_deb(d, "t-state", files={"/var/lib/t-state/f": "x", "/opt/t-state/x": "x"},
                 scripts={"postinst": "echo m >/var/lib/t-state/made"}),
        make_deb(d, "t-stays", files={"/var/lib/t-stays/f": "x", "/opt/t-stays/x": "x"}),
        make_deb(d, "t-unit", files={"/usr/lib/systemd/system/t-unit.service": UNIT}, scripts={
            "postinst": "deb-systemd-helper enable t-unit.service",
            "postrm": '[ "$1" != purge ] || deb-systemd-helper purge t-unit.service'}),
        make_deb(d, "t-essential", essential="yes", files={"/usr/share/t-essential": "e"}),
        make_deb(d, "t-needed", files={"/usr/share/t-needed": "n"}),
        make_deb(d, "t-needs", depends="t-needed"),
    ]  # fmt: skip


def new(d: Path) -> list[Path]:
    helped = {name: dict.fromkeys(("preinst", "postinst", "postrm"), text)
              for name, text in HELPED.items()}  # fmt: skip
    return [
        make_deb(d, "t-suid", "2.0", files={"/usr/bin/t-suid": File("s2", 0o4755)}),
        make_deb(d, "t-stat", "2.0", files={"/usr/bin/t-stat": "x2"}),
        make_deb(d, "t-conf", "2.0", scripts=helped["t-conf"],
                 files={f"/etc/t-conf/{n}.conf": f"{n} 2" for n in ("keep", "new", "edited")},
                 members={"conffiles": "/etc/t-conf/keep.conf\n/etc/t-conf/new.conf\n"
                          "/etc/t-conf/edited.conf\nremove-on-upgrade /etc/t-conf/dropped.conf\n"}),
        make_deb(d, "t-swap", "2.0", scripts=helped["t-swap"], files={
            "/usr/share/t-swap/f2d/x": "now a directory", "/usr/share/t-swap/d2f": "now a file",
            "/usr/share/t-swap/s2d/y": "real", "/usr/share/t-swap/d2l": File(link="s2d")}),
        make_deb(d, "t-scripts", "2.0", files={"/usr/share/t-scripts": "2"}, scripts={
            "preinst": 'echo "preinst $*" >/usr/share/t-said',
            "postinst": 'echo "postinst $*" >>/usr/share/t-said'}),
    ]  # fmt: skip


Attributes = tuple[int, int, int]


@dataclass
class Replaced:
    """`base` are the files of the base, the same inodes as in the store."""

    machine: Machine
    checksum: str
    base: Path
    before: dict[Path, Attributes]


def objects(machine: Machine) -> dict[Path, Attributes]:
    """Mode and owner of every file in the store."""
    found = {}
    for path in (machine.repo / "objects").rglob("*.file"):
        info = path.lstat()
        found[path] = info.st_mode, info.st_uid, info.st_gid
    return found


@pytest.fixture(scope="module")
def replaced(tmp_path_factory) -> Iterator[Replaced]:
    directory = tmp_path_factory.mktemp("replaced")
    debs = old(directory / "old")
    composer = Composer(directory / "compose", cache="traps")
    composer.publish(*debs)
    names = ", ".join(deb.name.split("_")[0] for deb in debs)
    composer.tree(f"packages: [passwd, {names}]\nno-initramfs: true\n")
    path = directory / "sysroot"
    run("init", "--stateroot=debian", path)
    machine = Machine(path, directory / "debs")
    for command in (["config", "set", "core.fsync", "false"],
                    ["pull-local", str(composer.repo), REF]):  # fmt: skip
        subprocess.run(["ostree", f"--repo={machine.repo}", *command], check=True)
    machine("rebase", REF)
    checksum, base = machine.deployments[0]["checksum"], directory / "base"
    subprocess.run(["ostree", f"--repo={machine.repo}", "checkout", "-H", checksum, str(base)],
                   check=True)  # fmt: skip
    for name in ("edited", "moved"):
        (machine.tree / f"etc/t-conf/{name}.conf").write_text("mine")
    before = objects(machine)
    machine("override", "replace", *new(directory / "new"))
    machine("override", "remove", *REMOVED)
    yield Replaced(machine, checksum, base, before)
    machine.check()
    machine.release()


@pytest.fixture(scope="module")
def tree(replaced) -> Path:
    return replaced.machine.tree


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_no_object_of_the_store_changes(replaced, tree):
    # dpkg takes the set-id bits away from the old file before it unlinks it
    now = objects(replaced.machine)
    assert {p: a for p, a in replaced.before.items() if p in now and now[p] != a} == {}
    assert mode(replaced.base / "usr/bin/t-suid") == 0o4755
    assert mode(replaced.base / "usr/bin/t-suid-too") == 0o6755
    assert (mode(tree / "usr/bin/t-suid"), (tree / "usr/bin/t-suid").read_text()) == (0o4755, "s2")
    assert not (tree / "usr/bin/t-sgid").exists()
    assert not (tree / "usr/bin/t-suid-too").exists()


def test_owner_overrides_hold_for_the_new_file(tree):
    info = (tree / "usr/bin/t-stat").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o2755, 8)
    assert (tree / "usr/bin/t-stat").read_text() == "x2"


def test_conffiles_move_and_go_and_edited_ones_stay(replaced, tree):
    default, here = tree / "usr/etc/t-conf", tree / "etc/t-conf"
    assert {p.name: p.read_text() for p in default.iterdir()} == {
        "edited.conf": "edited 2", "keep.conf": "keep 2", "new.conf": "new 2",
    }  # fmt: skip
    assert {p.name: p.read_text() for p in here.iterdir()} == {
        "edited.conf": "mine", "keep.conf": "keep 2", "moved.conf": "mine", "new.conf": "new 2",
    }  # fmt: skip
    # as on plain Debian, the one that was edited is the one that differs
    [said] = replaced.machine.verify("t-conf")
    assert said.split()[-2:] == ["c", "/etc/t-conf/edited.conf"]


def test_files_directories_and_links_change_places(tree):
    swap = tree / "usr/share/t-swap"
    assert (swap / "f2d/x").read_text() == "now a directory"
    assert (swap / "d2f").read_text() == "now a file"
    assert os.readlink(swap / "d2l") == "s2d"
    assert not (swap / "s2d").is_symlink()
    assert {str(p.relative_to(swap)) for p in swap.rglob("*")} == {
        "f2d", "f2d/x", "d2f", "d2l", "s2d", "s2d/y",
    }  # fmt: skip


def test_scripts_learn_the_old_version(tree):
    said = (tree / "usr/share/t-said").read_text().splitlines()
    assert said == ["preinst upgrade 1.0 2.0", "postinst configure 1.0"]


def test_a_removed_package_is_purged(replaced, tree):
    assert (tree / "usr/share/t/postrm").read_text().split() == ["remove", "purge"]
    for path in ("usr/share/t-postrm", "usr/etc/t-postrm.conf", "usr/etc/t-postrm.made",
                 "usr/share/factory/var/lib/t-postrm", "usr/share/t-swap/gone", "usr/bin/tac.real",
                 "usr/bin/t-alt", "usr/etc/alternatives/t-alt",
                 "usr/etc/alternatives-admindir/t-alt", "usr/etc/t-conf/other",
                 "usr/lib/opt/t-state", "usr/share/factory/var/lib/t-state/f",
                 "usr/etc/systemd/system/multi-user.target.wants/t-unit.service"):  # fmt: skip
        assert not os.path.lexists(tree / path), path
    assert (replaced.base / "usr/bin/tac").read_text() == "mine"
    assert (tree / "usr/bin/tac").read_bytes() == (replaced.base / "usr/bin/tac.real").read_bytes()
    listed = replaced.machine.dpkg("--get-selections").split()
    assert [name for name in REMOVED if name in listed] == []
    assert "t-divert" not in (tree / "usr/lib/sysimage/dpkg/diversions").read_text()


def test_state_of_removed_packages_is_not_made_again(tree):
    lines = "".join(p.read_text() for p in (tree / "usr/lib/tmpfiles.d").glob("apt-ostree-*"))
    # what its script made stays, as dpkg leaves it
    assert [line for line in lines.splitlines() if "t-state" in line] == [
        "C /var/lib/t-state - - - -"
    ]
    assert (tree / "usr/share/factory/var/lib/t-state/made").exists()
    assert "t-postrm" not in lines
    for line in ("L /var/opt/t-stays - - - - ../../usr/lib/opt/t-stays",
                 "C /var/lib/t-stays/f - - - -"):  # fmt: skip
        assert line in lines.splitlines()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t-essential", "Package 't-essential' is essential and cannot be removed"),
        ("t-needed", "t-needs"),
    ],
)
def test_what_must_stay_is_said(replaced, name, said):
    before = replaced.machine.deployments[0]["checksum"]
    done = replaced.machine("override", "remove", name, ok=[1])
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert replaced.machine.deployments[0]["checksum"] == before


def test_reset_brings_the_base_back(replaced):
    machine = replaced.machine
    machine("override", "reset", "--all")
    assert machine.deployments[0]["checksum"] == replaced.checksum
    # edited files of the machine are its own
    assert (machine.tree / "etc/t-conf/edited.conf").read_text() == "mine"
    assert (machine.tree / "etc/t-conf/keep.conf").read_text() == "keep"

"""The same hard packages on plain Debian, installed by apt and dpkg: nothing may differ."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures import filetraps, oracle, statetraps
from fixtures.booted import booted, private_mounts  # noqa: F401 - one is a fixture
from fixtures.debrepo import make_repo
from fixtures.machines import Machine, make_machine

from apt_ostree.system import mount

pytestmark = [
    pytest.mark.root, pytest.mark.network, pytest.mark.slow,
    pytest.mark.usefixtures("private_mounts"),
]  # fmt: skip

INSTALL = """\
mount -t proc proc "$1/proc"
root=$1; shift
chroot "$root" apt-get -qq update
chroot "$root" apt-get -qq --yes --no-install-recommends \\
    -o Dpkg::Options::=--force-confnew install "$@"
"""
# As on a machine where nothing may be started.
STAND_INS = {
    "usr/sbin/policy-rc.d": "exit 101",
    "usr/sbin/service": "exit 0",
    "usr/bin/systemctl": """\
case $0,$1 in
    */systemctl,enable | */systemctl,mask) exec "$0.real" "$1" $(echo "$*" | grep -o '[^ ]*service');;
esac
exit 0""",
}  # fmt: skip
NEW = ("/usr/share/t", "/usr/bin/t-", "/etc/t-", "/usr/share/t-", "/opt/t", "/var/lib/t-")
# Pattern of a path in the running system -> why it differs or is on one side only.


@dataclass(frozen=True)
class Both:
    machine: Machine
    plain: Path


@pytest.fixture(scope="module", params=["files", "state"])
def both(request, tmp_path_factory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp(f"plain-{request.param}")
    if request.param == "files":
        debs = filetraps.packages(directory / "built")
    else:
        debs = [
            *statetraps.scripted(directory / "built"),
            *statetraps.stateful(directory / "built"),
        ]
    names = [deb.name.split("_")[0] for deb in debs]
    machine = make_machine(directory)
    base = oracle.plain(machine.tree)
    machine.publish(*debs)
    machine("install", *names)
    root = directory / "root"
    for name in ("root", "upper", "work"):
        (directory / name).mkdir()
    with mount.overlay(root, lower=[base], upper=directory / "upper", work=directory / "work"):
        install(root, debs, names)
        yield Both(machine, root)
    machine.release()


def install(root: Path, debs: list[Path], names: list[str]) -> None:
    """With apt-get, as on a machine where services may not be started."""
    make_repo(root / "tmp/debs", debs)
    for old in (root / "etc/apt").glob("sources.list*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/tmp/debs stable main\n")
    for path, text in STAND_INS.items():
        if (root / path).exists():
            (root / path).rename(root / f"{path}.real")
        (root / path).write_text(f"#!/bin/sh\n{text}\n")
        (root / path).chmod(0o755)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", INSTALL, "sh", str(root), *names],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
             "LC_ALL": "C.UTF-8", "SYSTEMD_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shutil.rmtree(root / "tmp/debs")
    for path in STAND_INS:
        (root / path).unlink()
        if (root / f"{path}.real").exists():
            (root / f"{path}.real").rename(root / path)


def ours(machine: Machine) -> dict[str, oracle.Item]:
    """With the vendor configuration as /etc and the vendors' directories in /opt."""
    moved = {"/etc": "/of-the-machine", "/usr/etc": "/etc", "/opt": "/link",
             "/usr/lib/opt": "/opt"}  # fmt: skip
    return oracle.scan(machine.tree, moved=moved)


def new(items: dict[str, oracle.Item]) -> dict[str, oracle.Item]:
    return {p: i for p, i in items.items() if p.startswith(NEW)}


NOTHING: dict[str, list[str]] = {"only ours": [], "only plain": [], "different": []}


def test_what_the_packages_made_is_the_same(both):
    here, there = new(ours(both.machine)), new(oracle.scan(both.plain, moved={}))
    here = {p: i for p, i in here.items() if not p.startswith("/var/")}
    there = {p: i for p, i in there.items() if not p.startswith("/var/")}
    report = oracle.differences(here, there, only_here={}, only_there={}, differs={})
    assert len(here) > 20
    assert report == NOTHING, json.dumps(report, indent=1)


def test_dpkg_knows_the_same(both):
    mine, theirs = both.machine.tree / oracle.DPKG, both.plain / "var/lib/dpkg"
    assert oracle.stanzas(mine / "status") == oracle.stanzas(theirs / "status")
    assert (mine / "statoverride").read_text() == (theirs / "statoverride").read_text()
    info = [{p.name: p.read_bytes() for p in (d / "info").glob("t-*")} for d in (mine, theirs)]
    assert info[0].keys() == info[1].keys()
    assert [name for name in info[0] if info[0][name] != info[1][name]] == []
    for name in (p.name for p in (theirs / "triggers").iterdir() if p.name != "Lock"):
        lists = [set((d / "triggers" / name).read_text().splitlines()) if (d / "triggers" / name)
                 .exists() else set() for d in (mine, theirs)]  # fmt: skip
        assert lists[0] == lists[1], name


def test_state_after_a_boot_is_the_same(both, tmp_path):
    with booted(both.machine, tmp_path / "boot") as root:
        here = oracle.scan(root / "var", moved={}, names=root)
    there = oracle.scan(both.plain / "var", moved={}, names=both.plain)
    trees = [{f"/var{p}": i for p, i in items.items() if p.startswith("/lib/t-")}
             for items in (here, there)]  # fmt: skip
    differs = {"/var/lib/t-var/link": "a link in a set-gid directory gets its group"}
    report = oracle.differences(*trees, only_here={}, only_there={}, differs=differs)
    assert report == NOTHING, json.dumps(report, indent=1)

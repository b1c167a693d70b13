"""The larger examples: they compose, take a layer, and boot without a failed unit."""

import re
import subprocess
from pathlib import Path

import pytest
from fixtures import vm
from fixtures.machines import CHECKOUT, Machine, run, suite
from fixtures.rootfs import CACHE

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]
NUMBERS = {"bookworm": "12", "trixie": "13"}
GRAPHICAL = re.compile(r"Reached target.*[Gg]raphical")


def deployed(work: Path, kind: str) -> Machine:
    """A machine with the example of the suite under test, composed anew."""
    name = f"debian-{NUMBERS[suite()]}-{kind}"
    treefile = CHECKOUT / "examples" / f"{name}.yaml"
    if not treefile.exists():
        pytest.skip(f"there is no {name}")
    path = work / "sysroot"
    run("init", "--stateroot=debian", path)
    cache = CACHE / f"compose-{suite()}-{kind}"
    run("compose", "tree", f"--repo={path}/ostree/repo", f"--cachedir={cache}", treefile)
    machine = Machine(path, work / "debs")
    machine("rebase", f"debian/{NUMBERS[suite()]}/amd64/{kind}")
    return machine


def check(machine: Machine) -> None:
    machine.check()
    assert machine.dpkg("--audit") == ""
    changed = [
        line
        for line in machine.verify()
        if "/usr/share/" not in line and "/boot/" not in line and "/etc/" not in line
    ]
    assert changed == []


def test_the_server_boots_with_a_layer(tmp_path_factory):
    vm.require()
    work = tmp_path_factory.mktemp("server")
    machine = deployed(work, "server")
    machine("install", "nginx-light" if suite() == "bookworm" else "nginx")
    check(machine)
    text = vm.boot(vm.disk_of(machine.path, work / "disk"), machine.path, work / "console.log")
    machine.release()
    assert "[FAILED]" not in text
    assert re.search(r"Started.*nginx", text)
    assert re.search(r"Started.*ssh", text)


def test_the_desktop_boots_to_its_greeter(tmp_path_factory):
    vm.require()
    work = tmp_path_factory.mktemp("desktop")
    machine = deployed(work, "desktop")
    machine("install", "gimp", "--dry-run")
    machine("install", "mousepad")
    check(machine)
    disk = vm.disk_of(machine.path, work / "disk", size_gib=8)
    text = vm.boot(
        disk, machine.path, work / "console.log", until=GRAPHICAL, memory_mib=2048,
        extra=("-vga", "std"), timeout_s=900,
    )  # fmt: skip
    machine.release()
    assert "[FAILED]" not in text
    assert re.search(r"Started.*[Ll]ight[Dd][Mm]|Started.*Light Display Manager", text)


def test_a_compose_needs_no_other_suite_than_its_own(tmp_path_factory):
    """The other release's minimal tree composes on this host, too."""
    other = {"bookworm": "13", "trixie": "12"}[suite()]
    repo = tmp_path_factory.mktemp("other") / "repo"
    subprocess.run(["ostree", "init", f"--repo={repo}", "--mode=archive"], check=True)
    treefile = CHECKOUT / f"examples/debian-{other}-minimal.yaml"
    run("compose", "tree", f"--repo={repo}", f"--cachedir={CACHE}/compose-other-{other}", treefile)
    refs = subprocess.run(
        ["ostree", f"--repo={repo}", "refs"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert refs == [f"debian/{other}/amd64/minimal"]

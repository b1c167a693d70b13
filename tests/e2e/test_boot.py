"""A composed, deployed and layered tree boots to a login without a failed unit."""

import subprocess

import pytest
from fixtures import vm
from fixtures.bootable import bootable_repo, example_ref
from fixtures.machines import Machine, run

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]


def test_a_layered_tree_boots(tmp_path_factory):
    vm.require()
    work = tmp_path_factory.mktemp("boot")
    path = work / "sysroot"
    run("init", "--stateroot=debian", path)
    subprocess.run(
        ["ostree", f"--repo={path}/ostree/repo", "pull-local", str(bootable_repo()), example_ref()],
        check=True, capture_output=True,
    )  # fmt: skip
    machine = Machine(path, work / "debs")
    machine("rebase", example_ref())
    machine("install", "htop")
    disk = vm.disk_of(path, work / "disk.ext4")
    text = vm.boot(disk, path, work / "console.log")
    machine.release()
    assert "[FAILED]" not in text
    assert "Reached target" in text

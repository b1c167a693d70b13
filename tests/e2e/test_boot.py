"""A composed, deployed and layered tree boots to a login without a failed unit."""

import pytest
from fixtures import vm
from fixtures.bootable import example_machine

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]


def test_a_layered_tree_boots(tmp_path_factory):
    vm.require()
    work = tmp_path_factory.mktemp("boot")
    machine = example_machine(work)
    path = machine.path
    machine("install", "htop")
    disk = vm.disk_of(path, work / "disk.ext4")
    text = vm.boot(disk, path, work / "console.log")
    machine.release()
    assert "[FAILED]" not in text
    assert "Reached target" in text

"""The main job: layer packages, see them, take them away, go back."""

import pytest
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]


def test_install_uninstall_and_roll_back(machine, tmp_path):
    machine.publish(
        make_deb(
            tmp_path,
            "hello",
            "1.0",
            depends="libhello",
            files={"/usr/bin/hello": "#!/bin/sh\necho hi\n"},
        ),
        make_deb(tmp_path, "libhello", "2.0", files={"/usr/lib/libhello.so": "x"}),
    )
    base = machine.tree
    done = machine("install", "hello")
    assert "Installing 2 packages:" in done.stdout
    assert machine.deployments[0]["packages"] == ["hello"]
    assert "ii  libhello" in machine.dpkg("-l", "libhello")
    assert (machine.tree / "usr/bin/hello").is_file()
    assert not (base / "usr/bin/hello").exists()
    machine.check()

    machine("rollback")
    assert machine.tree == base
    machine("rollback")
    machine("uninstall", "hello")
    assert not (machine.tree / "usr/lib/libhello.so").exists()
    assert machine.deployments[0]["checksum"] == base.name.split(".")[0]
    machine.check()

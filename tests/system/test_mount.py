"""Mount namespaces."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
SOURCE = Path(__file__).parents[2] / "src"
CODE = f"""
import os, sys
sys.path.insert(0, {str(SOURCE)!r})
from apt_ostree.errors import AptOstreeError
from apt_ostree.system import mount
os.chroot(sys.argv[1])
os.chdir("/")
try:
    mount.enter_private_namespace()
except AptOstreeError as err:
    print(err.message)
    print(err.hint)
else:
    print("entered")
"""


def entered(root: Path) -> list[str]:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", CODE, str(root)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_root_of_a_chroot_must_be_a_mount_point(tmp_path):
    assert entered(Path("/")) == ["entered"]
    assert entered(tmp_path) == [
        "keeping mounts below / private: it is no mount point",
        "in a chroot: mount --bind DIRECTORY DIRECTORY before entering it",
    ]

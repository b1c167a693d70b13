from pathlib import Path

import pytest

from apt_ostree.assemble import kernel
from apt_ostree.errors import AptOstreeError

INFO = "usr/lib/sysimage/dpkg/info"


def tree(root: Path, *versions: str) -> Path:
    for version in versions:
        folder = root / "usr/lib/modules" / version
        folder.mkdir(parents=True)
        (folder / "vmlinuz").touch()
    (root / INFO).mkdir(parents=True)
    (root / "boot").mkdir()
    return root


def test_boot_files_move_to_the_modules(tmp_path):
    root = tree(tmp_path)
    for name in ("vmlinuz-6.1", "config-6.1", "System.map-6.1", "grub.cfg"):
        (root / "boot" / name).write_text(name)
    kernel.adopt_boot_files(root)
    assert (root / "usr/lib/modules/6.1/vmlinuz").read_text() == "vmlinuz-6.1"
    assert (root / "usr/lib/modules/6.1/System.map").exists()
    assert [p.name for p in (root / "boot").iterdir()] == ["grub.cfg"]


def test_the_database_names_files_where_they_are(tmp_path):
    root = tree(tmp_path, "6.1")
    listing, sums = root / INFO / "linux-image-6.1.list", root / INFO / "linux-image-6.1.md5sums"
    digest = "0" * 32
    listing.write_text("/.\n/boot\n/boot/vmlinuz-6.1\n/boot/other\n/lib/modules/6.1\n")
    sums.write_text(f"{digest}  boot/vmlinuz-6.1\n{digest}  lib/modules/6.1/kernel/x.ko\n")
    kernel.describe_boot_files(root)
    assert listing.read_text() == (
        "/.\n/boot\n/usr/lib/modules/6.1/vmlinuz\n/boot/other\n/lib/modules/6.1\n"
    )
    assert sums.read_text() == (
        f"{digest}  usr/lib/modules/6.1/vmlinuz\n{digest}  lib/modules/6.1/kernel/x.ko\n"
    )


def test_several_kernels_are_refused(tmp_path):
    assert kernel.only_version(tree(tmp_path / "one", "6.1")) == "6.1"
    assert kernel.only_version(tmp_path / "none") is None
    with pytest.raises(AptOstreeError, match=r"Multiple kernels: 6\.1, 6\.2"):
        kernel.only_version(tree(tmp_path / "two", "6.1", "6.2"))

import os
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


def test_a_kernel_of_the_same_name_may_be_new(tmp_path):
    base, root = tree(tmp_path / "base", "6.1"), tree(tmp_path / "root", "6.1", "6.2")
    assert not kernel.is_new("6.1", root, base=base)
    assert kernel.is_new("6.2", root, base=base)
    (root / "usr/lib/modules/6.1/vmlinuz").write_text("fixed")
    assert kernel.is_new("6.1", root, base=base)
    # equal in size and time, as everything in a tree: only the content tells
    (base / "usr/lib/modules/6.1/vmlinuz").write_text("holed")
    for each in (base, root):
        os.utime(each / "usr/lib/modules/6.1/vmlinuz", (0, 0))
    assert kernel.is_new("6.1", root, base=base)


def test_what_was_generated_for_a_removed_kernel_goes(tmp_path):
    for version, names in {
        "6.0": ("vmlinuz", "initramfs.img", "modules.dep"),
        "5.0": ("initramfs.img", "modules.dep"),
        "4.0": ("initramfs.img", "extra.ko"),
        "3.0": ("extra.ko",),
    }.items():
        folder = tmp_path / "usr/lib/modules" / version
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
    kernel.drop_orphans(tmp_path)
    left = {str(p.relative_to(tmp_path / "usr/lib/modules")) for p in tmp_path.rglob("*.*")}
    assert {x for x in left if "/" in x} == {
        "6.0/initramfs.img", "6.0/modules.dep", "4.0/extra.ko", "3.0/extra.ko",
    }  # fmt: skip
    assert not (tmp_path / "usr/lib/modules/5.0").exists()

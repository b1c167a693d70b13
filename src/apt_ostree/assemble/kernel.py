"""The one kernel of a bootable tree.

libostree wants `/usr/lib/modules/KVER/vmlinuz` and takes the first it finds; so there must be
exactly one.  Debian's packages ship `/boot/vmlinuz-KVER`.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
from pathlib import Path

from apt_ostree.assemble.layout import DPKG
from apt_ostree.errors import AptOstreeError, MissingToolError
from apt_ostree.sandbox.bwrap import Sandbox

MODULES = "usr/lib/modules"
_BOOT_FILE = re.compile(r"/boot/(?P<kind>vmlinuz|vmlinux|config|System\.map)-(?P<version>[^/]+)")


def adopt_boot_files(root: Path) -> None:
    """Move what a kernel package put in `/boot` to its module directory.

    Packages laid from the cache have it there already; this is for those that dpkg unpacked.
    """
    boot = root / "boot"
    if not boot.is_dir():
        return
    for entry in sorted(boot.iterdir()):
        place = _place(f"/boot/{entry.name}")
        if place is not None and entry.is_file():
            target = root / place.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(entry, target)


def _place(path: str) -> str | None:
    """Where a kernel package's file in `/boot` is in a tree: `/usr/lib/modules/KVER/NAME`."""
    match = _BOOT_FILE.fullmatch(path)
    if match is None:
        return None
    name = "vmlinuz" if match["kind"] == "vmlinux" else match["kind"]
    return f"/{MODULES}/{match['version']}/{name}"


def describe_boot_files(root: Path) -> None:
    """Let dpkg's database name kernel files where they are, so that `dpkg -V` and `-S` are right.

    Cost: reads the file lists of packages called `linux-*`.
    """
    for path in sorted((root / DPKG / "info").glob("linux-*")):
        if path.suffix not in (".list", ".md5sums"):
            continue
        old = path.read_text(encoding="utf-8", errors="surrogateescape")
        new = "".join(_moved(line, root) for line in old.splitlines(keepends=True))
        if new != old:
            mode = path.stat().st_mode
            path.unlink()  # the inode may be shared with the package cache
            path.write_text(new, encoding="utf-8", errors="surrogateescape")
            os.chmod(path, mode & 0o777)


def _moved(line: str, root: Path) -> str:
    """A line of a `.list` (`/boot/x`) or `.md5sums` (`DIGEST  boot/x`) file, corrected."""
    match = re.fullmatch(r"((?:[0-9a-f]{32}  )|/)(boot/.*)\n?", line)
    if match is None:
        return line
    place = _place(f"/{match[2]}")
    if place is None or not (root / place.lstrip("/")).exists():
        return line
    return f"{match[1]}{place.lstrip('/')}\n"


def versions(root: Path) -> tuple[str, ...]:
    """Every KVER with a kernel image."""
    modules = root / MODULES
    if not modules.is_dir():
        return ()
    return tuple(sorted(p.name for p in modules.iterdir() if (p / "vmlinuz").is_file()))


def drop_orphans(root: Path) -> None:
    """Remove what was generated for kernels that are gone: no package takes it along.

    An initramfs is tens of megabytes.  Modules that something else put there stay.
    """
    modules = root / MODULES
    for folder in sorted(modules.iterdir()) if modules.is_dir() else ():
        image = folder / "initramfs.img"
        if (folder / "vmlinuz").exists() or not image.is_file():
            continue
        for path in (image, *folder.glob("modules.*")):
            path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def only_version(root: Path) -> str | None:
    """The kernel version of the tree, None when it has none.

    Raises AptOstreeError when there are several: libostree would boot an arbitrary one.
    """
    found = versions(root)
    if len(found) > 1:
        raise AptOstreeError(
            f"Multiple kernels: {', '.join(found)}",
            hint="keep one linux-image package; name the others in exclude-packages or "
            "'apt-ostree override remove'",
        )
    return found[0] if found else None


def is_new(version: str, root: Path, *, base: Path) -> bool:
    """Whether the kernel is another one than the base's, which its version alone does not say:
    Debian's security updates keep the name `6.1.0-N` as long as modules fit.

    Cost: reads both images (8 MB each) when their sizes are equal.
    """
    ours, theirs = (tree / MODULES / version / "vmlinuz" for tree in (root, base))
    return not theirs.is_file() or not filecmp.cmp(ours, theirs, shallow=False)


def copy_to_ostree_boot(root: Path, version: str) -> None:
    """Put kernel and initramfs where libostree looked before 2018 as well (`boot-location: new`).

    The suffix is the checksum of both together (ostree-sysroot-deploy.c, "usr/lib/ostree-boot").
    """
    modules, boot = root / MODULES / version, root / "usr/lib/ostree-boot"
    images = {"vmlinuz": f"vmlinuz-{version}", "initramfs.img": f"initramfs-{version}.img"}
    present = {name: target for name, target in images.items() if (modules / name).is_file()}
    digest = hashlib.sha256()
    for name in present:
        digest.update((modules / name).read_bytes())
    boot.mkdir(exist_ok=True)
    for name, target in present.items():
        shutil.copy(modules / name, boot / f"{target}-{digest.hexdigest()}")


def depmod(box: Sandbox, version: str) -> None:
    """Write the module indexes (`modules.dep` …) for one kernel."""
    try:
        box.run(["depmod", "-a", version])
    except MissingToolError as err:
        err.hint = "add 'kmod' to the packages"
        raise

"""The one kernel of a bootable tree.

libostree wants `/usr/lib/modules/KVER/vmlinuz` and takes the first it finds; so there must be
exactly one.  Debian's packages ship `/boot/vmlinuz-KVER`.
"""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.sandbox.bwrap import Sandbox

MODULES = "usr/lib/modules"
_BOOT_FILES = ("vmlinuz", "vmlinux", "config", "System.map")


def adopt_boot_files(root: Path) -> None:
    """Move what a kernel package put in `/boot` to its module directory.

    Packages laid from the cache have it there already; this is for those that dpkg unpacked.
    """
    boot = root / "boot"
    if not boot.is_dir():
        return
    for entry in sorted(boot.iterdir()):
        for kind in _BOOT_FILES:
            if not entry.name.startswith(f"{kind}-") or not entry.is_file():
                continue
            version = entry.name.removeprefix(f"{kind}-")
            name = "vmlinuz" if kind == "vmlinux" else kind
            target = root / MODULES / version
            target.mkdir(parents=True, exist_ok=True)
            _move(entry, target / name)


def _move(source: Path, target: Path) -> None:
    # Within one overlay a rename is possible for files; a lower file is copied up first.
    os.rename(source, target)


def versions(root: Path) -> tuple[str, ...]:
    """Every KVER with a kernel image."""
    modules = root / MODULES
    if not modules.is_dir():
        return ()
    return tuple(sorted(p.name for p in modules.iterdir() if (p / "vmlinuz").is_file()))


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


def depmod(box: Sandbox, version: str) -> None:
    """Write the module indexes (`modules.dep` …) for one kernel."""
    box.run(["depmod", "-a", version])

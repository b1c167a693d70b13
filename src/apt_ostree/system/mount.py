"""Mounts: a private mount namespace, overlays and binds that end with their block."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from apt_ostree.errors import AptOstreeError

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 4096, 16384, 1 << 18, 1 << 19
MNT_DETACH = 2


def _mount(source: str, target: Path, fstype: str, flags: int, data: str = "") -> None:
    done = _libc.mount(source.encode(), os.fsencode(target), fstype.encode(), flags, data.encode())
    if done != 0:
        number = ctypes.get_errno()
        raise AptOstreeError(f"mounting {fstype or 'bind'} on {target}: {os.strerror(number)}")


def _umount(target: Path) -> None:
    _libc.umount2(os.fsencode(target), MNT_DETACH)


def enter_private_namespace() -> None:
    """Give this process its own mount namespace; later mounts end with the process.

    Needs CAP_SYS_ADMIN; affects only the calling thread, so call it before starting others.
    """
    if _libc.unshare(CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise AptOstreeError(
            f"entering a mount namespace: {os.strerror(number)}", hint="run this command as root"
        )
    if _libc.mount(b"none", b"/", b"", MS_REC | MS_SLAVE, b"") != 0:
        number = ctypes.get_errno()
        # Only a mount point can be kept from spreading mounts; the root of a chroot may be none.
        why = "it is no mount point" if number == errno.EINVAL else os.strerror(number)
        raise AptOstreeError(
            f"keeping mounts below / private: {why}",
            hint="in a chroot: mount --bind DIRECTORY DIRECTORY before entering it",
        )


def is_overlay(path: Path) -> bool:
    """Whether an overlay is mounted exactly at `path`, by this process's table of mounts."""
    found = ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")  # proc(5): 5 is the mount point, after " - " comes the type
        if fields[4] == str(path):
            found = fields[fields.index("-") + 1]
    return found == "overlay"  # the last mount covers the others


def make_writable(target: Path) -> None:
    """Let this namespace write to a mount that is read-only everywhere else.

    Needs a private namespace; the file system itself must allow it (mount(2), MS_REMOUNT).
    """
    _mount("none", target, "", MS_REMOUNT)


@contextmanager
def overlay(target: Path, *, lower: Sequence[Path], upper: Path, work: Path) -> Iterator[None]:
    """Mount an overlay for the time of the block; `lower[0]` is the topmost lower layer.

    Index and metacopy are off: files in the upper directory must be readable on their own, since
    it is what gets committed.  Directories of lower layers can be renamed, as dpkg does where one
    becomes a file; the upper directory then says so in an attribute, `trusted.overlay.redirect`,
    and lacks the content (kernel: Documentation/filesystems/overlayfs.rst).
    """
    layers = ":".join(str(p).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
                      for p in lower)  # fmt: skip
    options = (f"lowerdir={layers},upperdir={upper},workdir={work},"
               "index=off,metacopy=off,redirect_dir=on,xino=off")  # fmt: skip
    _mount("overlay", target, "overlay", 0, options)
    try:
        yield
    finally:
        _umount(target)


@contextmanager
def bind(source: Path, target: Path, *, read_only: bool = False) -> Iterator[None]:
    _mount(str(source), target, "", MS_BIND)
    try:
        if read_only:
            _mount("none", target, "", MS_BIND | MS_REMOUNT | MS_RDONLY)
        yield
    finally:
        _umount(target)


@contextmanager
def tmpfs(target: Path) -> Iterator[None]:
    """An empty tmpfs on which device nodes work, for the time of the block."""
    _mount("tmpfs", target, "tmpfs", MS_NOSUID, "mode=0755,size=64m")
    try:
        yield
    finally:
        _umount(target)

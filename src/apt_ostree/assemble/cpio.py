"""The `newc` archives that an initramfs is made of: names out, device nodes in.

Source: kernel, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import lzma
import os
import stat
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from apt_ostree.errors import AptOstreeError
from apt_ostree.system.run import run_bytes

_HEADER = 110
_TRAILER = "TRAILER!!!"
# What init needs before devtmpfs is there, and dracut cannot make without CAP_MKNOD.
DEVICES = (
    ("dev/console", 0o600, 5, 1),
    ("dev/kmsg", 0o644, 1, 11),
    ("dev/null", 0o666, 1, 3),
    ("dev/random", 0o666, 1, 8),
    ("dev/urandom", 0o666, 1, 9),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry; `mode` holds the file type too, `content` is a link's target for links."""

    name: str
    mode: int
    content: bytes = b""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)


def archive(members: Iterable[Member]) -> bytes:
    """A `newc` archive of `members`, in their order, with constant inode numbers and times."""
    out = bytearray()
    for inode, member in enumerate((*members, Member(_TRAILER, 0)), 1):
        raw = os.fsencode(member.name) + b"\0"
        fields = (
            inode, member.mode, member.uid, member.gid, 1, 0, len(member.content), 0, 0,
            *member.device, len(raw), 0,
        )  # fmt: skip
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        out += b"\0" * (-len(out) % 4) + member.content
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def device_archive() -> bytes:
    """A constant archive of DEVICES, to be appended to an initramfs.

    Four NUL bytes and alignment come first, as the kernel demands between archives.
    """
    members = [Member("dev", stat.S_IFDIR | 0o755)]
    members += [Member(n, stat.S_IFCHR | mode, device=(a, b)) for n, mode, a, b in DEVICES]
    return b"\0" * 8 + archive(members)


def names(image: bytes) -> tuple[str, ...]:
    """Every path in an initramfs image, compressed or not, without leading slash.

    Several archives after one another (early microcode) are followed.  Raises AptOstreeError for
    what is no initramfs.
    """
    found: list[str] = []
    data, at = image, 0
    while at < len(data):
        if data[at : at + 1] == b"\0":
            at += 1
            continue
        if data[at : at + 6] not in (b"070701", b"070702"):
            data, at = _decompress(data[at:]), 0
            continue
        try:
            size = int(data[at + 54 : at + 62], 16)
            name_size = int(data[at + 94 : at + 102], 16)
        except ValueError as err:
            raise AptOstreeError("malformed initramfs archive") from err
        name = data[at + _HEADER : at + _HEADER + name_size - 1].decode(errors="surrogateescape")
        at = _aligned(at + _HEADER + name_size)
        at = _aligned(at + size)
        if name not in (_TRAILER, "."):
            found.append(name)
    return tuple(found)


def _aligned(offset: int) -> int:
    return (offset + 3) & ~3


def _decompress(data: bytes) -> bytes:
    try:
        match data[:4]:
            case b"\x28\xb5\x2f\xfd":
                return run_bytes(["zstd", "-dcq"], stdin=data)
            case head if head[:2] == b"\x1f\x8b":
                return zlib.decompressobj(wbits=31).decompress(data)
            case b"\xfd7zX":
                return lzma.LZMADecompressor().decompress(data)
    except (zlib.error, lzma.LZMAError) as err:
        raise AptOstreeError("malformed initramfs") from err
    raise AptOstreeError("unknown initramfs compression")

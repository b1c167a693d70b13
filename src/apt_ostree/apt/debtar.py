"""The two archives inside a .deb, as checked members in their own order.

A local .deb comes from anywhere, so nothing here trusts it: decompression runs without privileges
in `dpkg-deb`, and what a member claims is checked before anyone acts on it.  What a package may
contain at all is dpkg's rule (tarfn.c, archives.c); what a tree can hold is `assemble`'s.
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from apt_ostree.errors import PackageError
from apt_ostree.system.run import spawn

CHUNK_BYTES = 1 << 16
MAX_ID = 0xFFFF_FFFE  # (uid_t) -1 is no id, chown(2)
CAPABILITY = "security.capability"
# Overflow ids (user_namespaces(7)): own nothing.  setpriv is in the Essential util-linux.
_UNPRIVILEGED = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
)  # fmt: skip


class Kind(StrEnum):
    FILE = "f"
    DIRECTORY = "d"
    LINK = "l"
    HARDLINK = "h"


_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.LNKTYPE: Kind.HARDLINK,
}
_REFUSED = {
    tarfile.CHRTYPE: "a device node",
    tarfile.BLKTYPE: "a device node",
    tarfile.FIFOTYPE: "a named pipe",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member.  `path` is relative and clean (`usr/bin/x`, empty for the top directory).

    `target` is the text of a symbolic link, or the clean path of a hard link's earlier member;
    `mode` has the permission and set-id bits only; `capability` is the raw xattr, if any.
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    size_bytes: int = 0
    mtime: int = 0
    target: str = ""
    capability: bytes | None = field(default=None)

    @property
    def listed(self) -> str:
        """How dpkg writes it in `info/*.list` (its path, `/.` for the top)."""
        return f"/{self.path}" if self.path else "/."


@contextmanager
def control_members(deb: Path) -> Iterator[Iterator[tuple[Member, IO[bytes] | None]]]:
    """The control archive's members; see `data_members`."""
    with _members(deb, "--ctrl-tarfile") as members:
        yield members


@contextmanager
def data_members(deb: Path) -> Iterator[Iterator[tuple[Member, IO[bytes] | None]]]:
    """The data archive's members with a reader for the content of regular files.

    A reader is valid until the next member is taken.  Raises PackageError, naming package file
    and path, for a damaged archive and for members that no package may have.
    Cost: 0.1 ms a member and the decompression.
    """
    with _members(deb, "--fsys-tarfile") as members:
        yield members


@contextmanager
def _members(deb: Path, part: str) -> Iterator[Iterator[tuple[Member, IO[bytes] | None]]]:
    with ExitStack() as stack:
        source = _open_file(deb)
        stack.callback(os.close, source)
        complaints = stack.enter_context(tempfile.TemporaryFile())
        drop = _UNPRIVILEGED if os.geteuid() == 0 else ()
        child = stack.enter_context(
            spawn([*drop, "dpkg-deb", part, "-"], stdin=source, stderr=complaints.fileno())
        )
        assert child.stdout is not None
        try:
            with tarfile.open(fileobj=child.stdout, mode="r|", bufsize=CHUNK_BYTES) as tar:
                yield _checked(tar, deb.name)
                while child.stdout.read(CHUNK_BYTES):
                    pass
            status = child.wait()
        except (tarfile.TarError, EOFError) as err:
            child.stdout.close()  # dpkg-deb then ends, and says what it had found before
            child.wait()
            raise damaged(deb.name, _said(complaints) or str(err)) from err
        if status != 0:
            raise damaged(deb.name, _said(complaints) or f"dpkg-deb ended with status {status}")


def _open_file(deb: Path) -> int:
    try:
        source = os.open(deb, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # no wait on a pipe
    except OSError as err:
        raise PackageError(f"cannot open package '{deb}': {err.strerror}") from err
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise PackageError(f"package '{deb}' is not a regular file")
    return source


def damaged(name: str, reason: str) -> PackageError:
    return PackageError(
        f"'{name}' is not a usable Debian package: {reason}", hint="get the file again"
    )


def _said(complaints: IO[bytes]) -> str:
    """The first thing dpkg-deb complained of (later lines are its children ending)."""
    complaints.seek(0)
    lines = complaints.read(1 << 16).decode(errors="replace").strip().splitlines()
    line = lines[0].strip() if lines else ""
    return line.removeprefix("dpkg-deb: ").removeprefix("error: ").replace("'-'", "it")


def _checked(tar: tarfile.TarFile, name: str) -> Iterator[tuple[Member, IO[bytes] | None]]:
    entries = iter(tar)
    while True:
        try:
            entry = next(entries)
            member = _member(entry, name)
        except StopIteration:
            return
        # tarfile lets its own slips on forged headers through as these (bpo-39017 and alike).
        except (ValueError, OverflowError, IndexError, UnicodeError, OSError) as err:
            raise damaged(name, f"malformed archive member ({err})") from err
        content = tar.extractfile(entry) if member.kind is Kind.FILE else None
        yield member, content
        _forget(tar)


def _forget(tar: tarfile.TarFile) -> None:
    """A stream cannot go back, so drop what was read: memory stays flat on huge packages.

    `members` is what `TarFile.next` appends to; typeshed does not list it.
    """
    vars(tar)["members"].clear()


def _member(entry: tarfile.TarInfo, name: str) -> Member:
    path = clean_path(entry.name, name)
    kind = _KINDS.get(entry.type)
    if kind is None:
        what = _REFUSED.get(entry.type, f"a member of unknown type {entry.type!r}")
        raise PackageError(f"'{name}' contains {what}: /{path}")
    if not path and kind is not Kind.DIRECTORY:
        raise PackageError(f"'{name}' replaces the top directory")
    target = entry.linkname
    if kind is Kind.HARDLINK:
        target = clean_path(target, name)
    elif kind is Kind.LINK:
        _check_text(target, name)
        if not target:
            raise PackageError(f"'{name}' contains a link to nowhere: /{path}")
    if entry.size < 0 or not 0 <= entry.uid <= MAX_ID or not 0 <= entry.gid <= MAX_ID:
        raise damaged(name, f"impossible number in the header of /{path}")
    _check_text(entry.uname + entry.gname, name)
    return Member(
        path=path, kind=kind, mode=entry.mode & 0o7777,
        uid=entry.uid, gid=entry.gid, uname=entry.uname, gname=entry.gname,
        size_bytes=entry.size if kind is Kind.FILE else 0, mtime=max(int(entry.mtime), 0),
        target=target if kind in (Kind.LINK, Kind.HARDLINK) else "",
        capability=_capability(entry),
    )  # fmt: skip


def clean_path(raw: str, name: str) -> str:
    """`./usr//bin/x/` -> `usr/bin/x`; PackageError for a path that leaves the tree."""
    _check_text(raw, name)
    if raw.startswith("/"):
        raise PackageError(f"'{name}' contains an absolute path: {raw}")
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PackageError(f"'{name}' contains a path that leaves the tree: {raw}")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise PackageError(f"'{name}' contains a name longer than 255 bytes: {raw[:80]}…")
    return "/".join(parts)


def _check_text(text: str, name: str) -> None:
    """dpkg's file lists cannot hold a newline, libostree's trees only UTF-8."""
    if "\n" in text or "\0" in text:
        raise PackageError(f"'{name}' contains a name with a newline: {text!r}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as err:
            raise PackageError(f"'{name}' contains a name that is not UTF-8: {text!r}") from err


def _capability(entry: tarfile.TarInfo) -> bytes | None:
    text = entry.pax_headers.get(f"SCHILY.xattr.{CAPABILITY}")
    return None if text is None else text.encode("utf-8", "surrogateescape")

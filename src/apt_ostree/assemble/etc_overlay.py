"""Files of a machine's `/etc` as an archive that its boot loader loads after the initramfs.

The kernel unpacks one archive over the other, so that the initramfs of a base finds, say, this
machine's `/etc/crypttab` without being generated anew.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from apt_ostree.assemble import cpio
from apt_ostree.assemble.cpio import Member


def archive(etc: Path, tracked: Iterable[str]) -> bytes | None:
    """The `tracked` paths (`/etc/...`) of the directory `etc`, with all that is below them.

    Directories above come along, links stay links, special files are left out.  A path that is
    not there is no fault: it may come and go.  None when nothing is left.  Equal files give equal
    bytes.
    """
    members: dict[str, Member] = {}
    for path in sorted(tracked):
        for found in _below(etc / os.path.relpath(path, "/etc")):
            for place in reversed((found, *found.parents)):
                if place == etc or etc in place.parents:
                    name = os.path.join("etc", os.path.relpath(place, etc))
                    member = _member(place, os.path.normpath(name))
                    if member is not None:
                        members.setdefault(member.name, member)
    is_empty = all(stat.S_ISDIR(m.mode) for m in members.values())
    return None if is_empty else cpio.archive(members.values())


def _below(path: Path) -> Iterable[Path]:
    if not os.path.lexists(path):
        return
    yield path
    if path.is_dir() and not path.is_symlink():
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted((*folders, *names)))


def _member(path: Path, name: str) -> Member | None:
    info = os.lstat(path)
    if stat.S_ISREG(info.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(info.st_mode):
        content = os.fsencode(os.readlink(path))
    elif stat.S_ISDIR(info.st_mode):
        content = b""
    else:
        return None
    return Member(name, info.st_mode, content, uid=info.st_uid, gid=info.st_gid)

"""What is kept in inodes rather than in files: owners, and times."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from apt_ostree.assemble.dirtree import DirTree, Found, walk

CAPABILITY = "security.capability"
ACLS = ("system.posix_acl_access", "system.posix_acl_default")
# linux/posix_acl_xattr.h: a version word, then tag, permissions and id of each entry
_ACL_USER, _ACL_GROUP = 0x02, 0x08
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_HEADER = 4


def renumber(root: Path, upper: Path, *, uids: Mapping[int, int], gids: Mapping[int, int]) -> int:
    """Map the owners of everything in `upper`, all at once; returns the number of inodes changed.

    `root` is the merged tree through which the changes are made.  Set-id bits and file
    capabilities, which chown(2) clears, are put back; access lists are mapped too.
    Cost: O(upper), nothing when both maps are empty.
    """
    if not uids and not gids:
        return 0
    done: set[tuple[int, int]] = set()
    with DirTree(root) as tree:
        for found in walk(tree, along=upper):
            # A second name of a file would map it a second time.
            if found.info.st_nlink > 1 and not found.is_dir:
                inode = (found.info.st_dev, found.info.st_ino)
                if inode in done:
                    continue
            owner = found.info.st_uid, found.info.st_gid
            mapped = uids.get(owner[0], owner[0]), gids.get(owner[1], owner[1])
            is_changed = mapped != owner
            if is_changed:
                _chown(found, mapped)
            if not found.is_link:
                is_changed |= _map_acls(found, uids, gids)
            if is_changed:
                done.add((found.info.st_dev, found.info.st_ino))
    return len(done)


def _chown(found: Found, owner: tuple[int, int]) -> None:
    capability = None
    path = _proc_path(found)
    if found.is_file:
        with suppress(OSError):
            capability = os.getxattr(path, CAPABILITY, follow_symlinks=False)
    os.chown(found.name, *owner, dir_fd=found.parent, follow_symlinks=False)
    if found.is_link:
        return
    mode = stat.S_IMODE(found.info.st_mode)
    if mode & (stat.S_ISUID | stat.S_ISGID):
        os.chmod(path, mode)
    if capability is not None:
        os.setxattr(path, CAPABILITY, capability, follow_symlinks=False)


def _proc_path(found: Found) -> str:
    """A path for calls that take no directory descriptor; its last part is not a link when the
    caller has seen that, and nothing else runs in the tree."""
    return f"/proc/self/fd/{found.parent}/{found.name}"


def _map_acls(found: Found, uids: Mapping[int, int], gids: Mapping[int, int]) -> bool:
    path = _proc_path(found)
    is_changed = False
    for name in os.listxattr(path, follow_symlinks=False):
        if name in ACLS:
            old = os.getxattr(path, name, follow_symlinks=False)
            new = mapped_acl(old, uids, gids)
            if new != old:
                os.setxattr(path, name, new, follow_symlinks=False)
                is_changed = True
    return is_changed


def mapped_acl(data: bytes, uids: Mapping[int, int], gids: Mapping[int, int]) -> bytes:
    """An access list in its xattr form with named users and groups mapped."""
    tables = {_ACL_USER: uids, _ACL_GROUP: gids}
    out = [data[:_ACL_HEADER]]
    for tag, permissions, number in _ACL_ENTRY.iter_unpack(data[_ACL_HEADER:]):
        out.append(_ACL_ENTRY.pack(tag, permissions, tables.get(tag, {}).get(number, number)))
    return b"".join(out)


def zero_mtimes(root: Path, upper: Path, *, start: str = "") -> int:
    """Set the times of every file in `upper` below `start` to 0, as in a deployment.

    Returns the number of files.  Before dpkg configures what it unpacked itself, so that what
    scripts compile or compare sees the times that will hold (libostree knows no others).
    Directories and links have no times there and are left alone.  Cost: about 5 µs a file.
    """
    count = 0
    with DirTree(root) as tree:
        for found in walk(tree, start, along=upper):
            if found.is_file and found.info.st_mtime_ns != 0:
                os.utime(found.name, ns=(0, 0), dir_fd=found.parent, follow_symlinks=False)
                count += 1
    return count

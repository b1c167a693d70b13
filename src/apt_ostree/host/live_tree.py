"""Bring directories of the running system to the content of another tree, file by file."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from apt_ostree.assemble.dirtree import DirTree
from apt_ostree.ostree.treediff import Changes


def apply(
    changes: Changes, source: Path, target: Path, *, under: str, keep: Collection[str]
) -> None:
    """Make `changes` in `target`, with the content of the checkout `source`.

    `under` is what the paths of the changes begin with (`usr`) and `target` stands for; paths in
    `keep` and below stay as they are.  Each file is replaced in one step; nothing is followed.
    """
    with DirTree(source) as old, DirTree(target) as new:
        for path in _wanted(changes.removed, keep):
            new.remove(_inner(path, under))
        for path in _wanted(changes.directories, keep):
            new.make_dirs(_inner(path, under))
            _like(old, path, new, _inner(path, under))
        for path in _wanted(changes.files, keep):
            with suppress(FileNotFoundError, NotADirectoryError):  # its directory was kept away
                _copy(old, path, new, _inner(path, under))
        for path in _wanted(changes.attributes, keep):
            if path != under and new.is_dir(_inner(path, under)):
                _like(old, path, new, _inner(path, under))


def _inner(path: str, under: str) -> str:
    return path.removeprefix(under).lstrip("/")


def _wanted(paths: Iterable[str], keep: Collection[str]) -> Iterable[str]:
    return (p for p in paths if not any(p == k or p.startswith(f"{k}/") for k in keep))


def locally_changed(changes: Changes, before: Path, etc: Path, *, under: str) -> tuple[str, ...]:
    """The paths of `changes` whose counterpart in `etc` is not as `before` has it.

    `before` is a checkout of the tree that `etc` was made from, `under` its `usr/etc`.
    """
    with DirTree(before) as old, DirTree(etc) as now:
        paths = (*changes.removed, *changes.files, *changes.attributes)
        return tuple(p for p in dict.fromkeys(paths) if not _is_same(old, p, now, _inner(p, under)))


def _is_same(one: DirTree, path: str, other: DirTree, inner: str) -> bool:
    here, there = one.stat(path), other.stat(inner)
    if here is None or there is None:
        return here is there
    if (here.st_mode, here.st_uid, here.st_gid) != (there.st_mode, there.st_uid, there.st_gid):
        return False
    if stat.S_ISLNK(here.st_mode):
        return one.readlink(path) == other.readlink(inner)
    if stat.S_ISREG(here.st_mode):
        return here.st_size == there.st_size and one.read(path) == other.read(inner)
    return all(_is_same(one, f"{path}/{n}", other, f"{inner}/{n}") for n in one.names(path)) and (
        one.names(path) == other.names(inner)
    )


def _copy(source: DirTree, path: str, target: DirTree, inner: str) -> None:
    info = source.stat(path)
    if info is None:
        raise FileNotFoundError(path)
    parent, _, name = inner.rpartition("/")
    temp = f".{name}.apt-ostree-live"
    with target.directory(parent) as folder:
        with suppress(FileNotFoundError):
            os.unlink(temp, dir_fd=folder)
        if stat.S_ISLNK(info.st_mode):
            os.symlink(source.readlink(path) or "", temp, dir_fd=folder)
            os.chown(temp, info.st_uid, info.st_gid, dir_fd=folder, follow_symlinks=False)
        else:
            _copy_file(source, path, folder, temp)
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)


def _copy_file(source: DirTree, path: str, folder: int, temp: str) -> None:
    parent, _, name = path.rpartition("/")
    with source.directory(parent) as there:
        one = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=there)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        two = os.open(temp, flags, 0o600, dir_fd=folder)
        try:
            info = os.fstat(one)
            while os.sendfile(two, one, None, 1 << 24):
                pass
            os.fchown(two, info.st_uid, info.st_gid)
            os.fchmod(two, stat.S_IMODE(info.st_mode))
            for attribute in os.listxattr(one):  # after chown, which takes capabilities away
                os.setxattr(two, attribute, os.getxattr(one, attribute))
            os.utime(two, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(two)
    finally:
        os.close(one)


def _like(source: DirTree, path: str, target: DirTree, inner: str) -> None:
    with source.directory(path) as one, target.directory(inner) as two:
        info = os.fstat(one)
        os.fchown(two, info.st_uid, info.st_gid)
        os.fchmod(two, stat.S_IMODE(info.st_mode))

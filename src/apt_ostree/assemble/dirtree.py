"""A tree reached by descriptors, so that no link inside it leads out of it.

Package scripts may leave any link anywhere (`/var/lib/x -> /etc`); work on a tree from outside
must not follow it onto the machine that builds.  Every directory of a path is opened by itself
with O_NOFOLLOW.  Paths are relative to the tree; one with `..` is refused, since it may come from
a file of a package.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What moves with a directory besides owner and mode; overlayfs's own attributes must not.
_KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    if ".." in parts or "." in parts:
        raise NotADirectoryError(errno.ENOTDIR, "leads out of the tree", path)
    return parts


class DirTree:
    """An open tree; a context manager.  Missing parents and links on the way read as absent."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    @contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """A descriptor of the directory `path` (empty: the tree) for the time of the block.

        Raises FileNotFoundError or NotADirectoryError; a link on the way is the latter.
        """
        fd = os.dup(self.fd)
        try:
            for part in _parts(path):
                inner = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def stat(self, path: str) -> os.stat_result | None:
        """What `path` itself is; None when it is not there."""
        parent, _, name = path.rpartition("/")
        with suppress(FileNotFoundError, NotADirectoryError), self.directory(parent) as fd:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        return None

    def is_dir(self, path: str) -> bool:
        info = self.stat(path)
        return info is not None and stat.S_ISDIR(info.st_mode)

    def names(self, path: str) -> tuple[str, ...]:
        """Sorted names in a directory; none when it is not there."""
        with suppress(FileNotFoundError, NotADirectoryError), self.directory(path) as fd:
            return tuple(sorted(os.listdir(fd)))
        return ()

    def read(self, path: str) -> bytes | None:
        """The content of a regular file; None for anything else."""
        parent, _, name = path.rpartition("/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self.directory(parent) as folder:
                fd = os.open(name, flags, dir_fd=folder)
        except OSError:
            return None
        with open(fd, "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else None

    def readlink(self, path: str) -> str | None:
        parent, _, name = path.rpartition("/")
        with suppress(OSError), self.directory(parent) as fd:
            return os.readlink(name, dir_fd=fd)
        return None

    def make_dirs(self, path: str, mode: int = 0o755) -> None:
        """Make `path` and its missing parents, owned by root."""
        fd = os.dup(self.fd)
        try:
            for part in _parts(path):
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=fd)
                    os.chmod(part, mode, dir_fd=fd)
                inner = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = inner
        finally:
            os.close(fd)

    def write(
        self, path: str, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)
    ) -> None:
        """Replace `path` by a file; parents must exist.

        The new file is renamed into place, so a link there is replaced, never followed.
        """
        parent, _, name = path.rpartition("/")
        temp = f".{name}.apt-ostree"
        with self.directory(parent) as folder:
            with suppress(FileNotFoundError):
                os.unlink(temp, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(temp, flags, 0o600, dir_fd=folder)
            with open(fd, "wb") as file:
                file.write(data)
                if owner != (os.geteuid(), os.getegid()):
                    os.fchown(fd, *owner)
                os.fchmod(fd, mode)
            os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)

    def symlink(self, path: str, target: str) -> None:
        parent, _, name = path.rpartition("/")
        with self.directory(parent) as fd:
            os.symlink(target, name, dir_fd=fd)

    def rename(self, old: str, new: str) -> None:
        """Move a file or link over whatever file or link is at `new`; parents must exist."""
        old_parent, _, old_name = old.rpartition("/")
        new_parent, _, new_name = new.rpartition("/")
        with self.directory(old_parent) as source, self.directory(new_parent) as target:
            os.rename(old_name, new_name, src_dir_fd=source, dst_dir_fd=target)

    def remove(self, path: str) -> bool:
        """Delete `path` and what is below it; whether there was anything."""
        parent, _, name = path.rpartition("/")
        with suppress(FileNotFoundError, NotADirectoryError), self.directory(parent) as fd:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                _remove_below(fd, name)
                os.rmdir(name, dir_fd=fd)
            else:
                os.unlink(name, dir_fd=fd)
            return True
        return False

    def copy_attributes(self, source: str, target: str) -> None:
        """Give directory `target` the owner, mode and attributes of directory `source`."""
        with self.directory(source) as one, self.directory(target) as two:
            old, new = os.fstat(one), os.fstat(two)
            if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                os.fchown(two, old.st_uid, old.st_gid)
            if stat.S_IMODE(old.st_mode) != stat.S_IMODE(os.fstat(two).st_mode):
                os.fchmod(two, stat.S_IMODE(old.st_mode))
            for name in os.listxattr(one):
                if name.startswith(_KEPT_XATTRS):
                    os.setxattr(two, name, os.getxattr(one, name))


def _remove_below(parent: int, name: str) -> None:
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        with os.scandir(fd) as entries:
            found = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries]
        for inner, is_directory in found:
            if is_directory:
                _remove_below(fd, inner)
                os.rmdir(inner, dir_fd=fd)
            else:
                os.unlink(inner, dir_fd=fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Found:
    """One path met by a walk.  `parent` is the descriptor of its directory, valid until the walk
    goes on; `info` is the status of the path itself."""

    path: str
    parent: int
    name: str
    info: os.stat_result

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.info.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.info.st_mode)

    def opened(self) -> int:
        """A new descriptor for reading a regular file."""
        return os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.parent)


def walk(
    tree: DirTree,
    start: str = "",
    *,
    along: Path | None = None,
    prune: Callable[[str], bool] = lambda _: False,
) -> Iterator[Found]:
    """Everything below `start`, parents first, names sorted.

    With `along` only what is also below the directory `along`: the upper directory of an overlay
    says what changed, while the merged tree is the one to look at and to change (changing a mounted
    overlay's upper directly is undefined: kernel, overlayfs.rst).  Whiteouts are not met, since
    they have nothing in the merged tree.  Directories for which `prune` holds are met, not entered.
    """
    with ExitStack() as stack:
        try:
            fd = stack.enter_context(tree.directory(start))
            guide = fd
            if along is not None:
                guide = stack.enter_context(stack.enter_context(DirTree(along)).directory(start))
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from _walk(fd, guide, start, prune)


def _walk(fd: int, guide: int, at: str, prune: Callable[[str], bool]) -> Iterator[Found]:
    for name in sorted(os.listdir(guide)):
        path = f"{at}/{name}" if at else name
        try:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue  # a whiteout
        yield Found(path, fd, name, info)
        if not stat.S_ISDIR(info.st_mode) or prune(path):
            continue
        with ExitStack() as stack:
            try:
                inner = os.open(name, _DIRECTORY, dir_fd=fd)
                stack.callback(os.close, inner)
                below = inner
                if guide != fd:
                    below = os.open(name, _DIRECTORY, dir_fd=guide)
                    stack.callback(os.close, below)
            except (FileNotFoundError, NotADirectoryError):
                continue  # whoever walks has just removed it
            yield from _walk(inner, below, path, prune)

"""Places inside a tree where the sandbox mounts something, looked up as the tree itself would.

A package may have left any link anywhere in the tree, and bwrap looks paths up on the host before
it changes root.  So every path is resolved here as chroot(2) would, and bwrap gets none with links.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from apt_ostree.errors import AptOstreeError

_LINKS_MAX = 40  # path_resolution(7)


def resolve(root: Path, path: str) -> str:
    """`path` with all links followed inside `root`, as an absolute path inside `root`.

    Components that do not exist are kept as they are.
    """
    pending = [p for p in reversed(path.split("/")) if p not in ("", ".")]
    done: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            done = done[:-1]
            continue
        try:
            target = os.readlink(os.path.join(root, *done, name))
        except OSError:
            done.append(name)
            continue
        links += 1
        if links > _LINKS_MAX:
            raise AptOstreeError(f"too many levels of symbolic links at '{path}' in the tree")
        if target.startswith("/"):
            done = []
        pending.extend(p for p in reversed(target.split("/")) if p not in ("", "."))
    return "/" + "/".join(done)


def has_no_links(root: Path, path: Path) -> bool:
    """Whether the lookup of `path`, which lies below `root`, stays below it and meets no link."""
    inside = "/" + os.path.normpath(path.relative_to(root)).removeprefix(".").lstrip("/")
    return not inside.startswith("/..") and resolve(root, inside) == inside


class MountPoints:
    """Mount points in a tree; those that had to be made are taken away by `remove`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: list[tuple[Path, int]] = []

    def directory(self, path: str) -> str:
        """The directory inside the tree to mount on for `path`, made when it is missing."""
        inside = resolve(self._root, path)
        here = self._root
        for name in inside.split("/")[1:]:
            here = here / name
            self._make_directory(here)
        return inside

    def file(self, path: str) -> str:
        """The file inside the tree to mount on for `path`, made (empty) when it is missing."""
        inside = resolve(self._root, path)
        self.directory(os.path.dirname(inside))
        place = Path(f"{self._root}{inside}")
        with suppress(FileExistsError):
            fd = os.open(place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                self._made.append((place, os.fstat(fd).st_ino))
            finally:
                os.close(fd)
        return inside

    def _make_directory(self, place: Path) -> None:
        try:
            os.mkdir(place, 0o755)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                raise AptOstreeError(f"'{place}' is not a directory") from None
        else:
            self._made.append((place, os.lstat(place).st_ino))

    def remove(self) -> None:
        """Take away what was made, unless a script has put something there since."""
        for place, inode in reversed(self._made):
            with suppress(OSError):
                found = os.lstat(place)
                if stat.S_ISDIR(found.st_mode):
                    os.rmdir(place)
                elif found.st_ino == inode and found.st_size == 0:
                    os.unlink(place)
        self._made.clear()

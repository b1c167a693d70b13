"""Files and directories: atomic writes, removal that never leaves its tree, sizes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apt_ostree.system import failpoint

ABANDONED_S = 3600


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data`: a crash leaves the old or the new content, never a part."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        failpoint.reach("fs.before-rename")
        os.rename(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Delete `path` and what is below it; never follows links, never crosses into a mount.

    Immutable flags (`chattr +i`, which libostree sets on deployment roots) are not cleared here.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)


@contextmanager
def temp_dir(parent: Path, prefix: str) -> Iterator[Path]:
    """A private directory (0700) for the time of the block.

    It is locked while it is used.  A process that is killed leaves its directory behind; the next
    one to use the same prefix removes those that are old and unlocked.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent, prefix)
    path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    finally:
        remove_tree(path)
        os.close(fd)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Old enough that its maker has had the time to lock it, and not locked: nobody's."""
    for path in parent.glob(f"{prefix}*"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if time.time() - os.fstat(fd).st_mtime < ABANDONED_S:
                continue
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(path)
        except OSError:
            continue  # in use
        finally:
            os.close(fd)


def free_bytes(path: Path) -> int:
    """Bytes an ordinary user could still write on the filesystem that holds `path`."""
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize


def resolve_inside(root: Path, path: str) -> Path:
    """Follow the links in `path` as a process chrooted to `root` would.

    `path` is relative; parts that do not exist are kept as they are.  The result lies in `root`.
    Raises OSError(ELOOP) for more links than the kernel would follow.
    """
    done: list[str] = []
    todo = [p for p in path.split("/") if p not in ("", ".")][::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        if not here.is_symlink():
            done.append(part)
            continue
        followed += 1
        if followed > 40:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(here))
        target = os.readlink(here)
        if target.startswith("/"):
            done = []
        todo += [p for p in target.split("/") if p not in ("", ".")][::-1]
    return root.joinpath(*done)

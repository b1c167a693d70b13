"""Files and directories: atomic writes, removal that never leaves its tree, sizes.

What is temporary is locked (`flock(2)`) while it is in use, so that the leavings of a killed
process can be told from it: `sweep`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apt_ostree.errors import AptOstreeError, SpaceError
from apt_ostree.system import failpoint

# Directories that hold a process's files outside of any repository.
SCRATCH = "apt-ostree-tmp-"
_RANDOM = re.compile(r"[a-z0-9_]{8}\Z")  # what tempfile puts at the end of a name


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data`: a crash leaves the old or the new content, never a part."""
    prefix = f".{path.name}."
    sweep(path.parent, prefix)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    try:
        with os.fdopen(fd, "wb") as out:
            fcntl.flock(fd, fcntl.LOCK_EX)
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
    """A private directory (0700) for the time of the block; those that killed processes left under
    the same `prefix` are removed."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    path, fd = _locked_dir(parent, prefix)
    try:
        yield path
    finally:
        try:
            remove_tree(path)
        except KeyboardInterrupt:  # signalled once (signals.py)
            remove_tree(path)
            raise
        finally:
            os.close(fd)


@contextmanager
def scratch_dir(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """A private directory outside of every sysroot and repository, for the time of the block.

    `parent` defaults to `$TMPDIR`, else /var/tmp, which has room for trees (file-hierarchy(7)).
    Whatever any of our killed processes left there is removed.
    """
    sweep_scratch()
    with temp_dir(parent or _scratch(), f"{SCRATCH}{kind}-") as path:
        yield path


def _scratch() -> Path:
    return Path(os.environ.get("TMPDIR") or "/var/tmp")


def sweep_scratch() -> int:
    """As `sweep`, where `scratch_dir` makes its directories."""
    return sum(sweep(place, SCRATCH) for place in {_scratch(), Path(tempfile.gettempdir())})


def _locked_dir(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # another process's sweep was faster
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)


def sweep(parent: Path, prefix: str) -> int:
    """Remove what `temp_dir` and `write_atomic` of killed processes left; returns how many.

    Only names that end as tempfile makes them count, and in a directory that is everybody's
    (`/tmp`) only our own files.
    """
    count = 0
    with suppress(FileNotFoundError), os.scandir(parent) as entries:
        is_shared = bool(os.stat(parent).st_mode & stat.S_ISVTX)
        for entry in entries:
            if entry.name.startswith(prefix) and _RANDOM.search(entry.name):
                count += _sweep(Path(entry.path), only_own=is_shared)
    return count


def _sweep(path: Path, *, only_own: bool) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone, or not ours: a link, a socket
        return False
    try:
        info = os.fstat(fd)
        is_plain = stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode)
        if not is_plain or (only_own and info.st_uid != os.geteuid()):
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # what cannot go now may go next time
            remove_tree(path)
            return True
        return False
    except BlockingIOError:
        return False  # in use
    finally:
        os.close(fd)


# What the machine refuses, as opposed to what we did wrong, and what to do about it.
_REFUSALS = {
    errno.ENOSPC: "free some space: apt-ostree cleanup -bpr, or apt-ostree prune",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EROFS: "it is mounted read-only; an error of the disk may be the cause: dmesg",
    errno.EIO: "the disk is failing: dmesg",
    errno.EACCES: "run this command as root",
    errno.EPERM: "run this command as root; 'lsattr' shows immutable files",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "raise fs.file-max",
    errno.ENOMEM: "free some memory",
}


def refusal(err: OSError) -> AptOstreeError | None:
    """An error of the machine as a user should see it; None for one that is a bug of ours."""
    hint = _REFUSALS.get(err.errno or 0)
    if hint is None:
        return None
    kind = SpaceError if err.errno in (errno.ENOSPC, errno.EDQUOT) else AptOstreeError
    text = os.strerror(err.errno or 0)
    text = text[0].lower() + text[1:]
    return kind(f"{err.filename}: {text}" if err.filename else text, hint=hint)


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

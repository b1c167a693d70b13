"""The files that treefiles name: found from their directory, opened once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apt_ostree.errors import TreefileError
from apt_ostree.treefile.values import FileRef

MAX_TEXT_BYTES = 4 << 20


@contextmanager
def opened(ref: FileRef) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor of a regular file and what fstat(2) says about it.

    The name is looked up from the directory's descriptor, so a directory that is moved meanwhile
    cannot mix two of them.  TreefileError names the line that wanted the file.
    """
    try:
        top = os.open(ref.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Not blocking: opening a FIFO would otherwise wait for a writer.
            fd = os.open(ref.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=top)
        finally:
            os.close(top)
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else str(err)
        raise TreefileError(
            f"cannot open '{ref.name}': {reason}", where=ref.where or str(ref.path),
            hint=f"it was looked for in {ref.directory}",
        ) from err  # fmt: skip
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise TreefileError(
                f"'{ref.name}' is not a regular file", where=ref.where or str(ref.path)
            )
        yield fd, status
    finally:
        os.close(fd)


def read_text(ref: FileRef) -> tuple[str, tuple[int, int]]:
    """The file's text and its identity (device, inode)."""
    with opened(ref) as (fd, status):
        data = bytearray()
        while len(data) <= MAX_TEXT_BYTES and (chunk := os.read(fd, 1 << 20)):
            data += chunk
    if len(data) > MAX_TEXT_BYTES:
        raise TreefileError(
            f"larger than {MAX_TEXT_BYTES >> 20} MiB, which no treefile is", where=str(ref.path)
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise TreefileError("not UTF-8 text", where=f"{ref.path}:{line}") from err
    return text, (status.st_dev, status.st_ino)


def executables(directory: Path) -> list[FileRef]:
    """The regular files of a directory that their owner may execute, by name; none when it is not
    there."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        FileRef(entry.name, directory, str(directory / entry.name))
        for entry in entries
        if entry.is_file() and entry.stat().st_mode & stat.S_IXUSR
    ]

"""What users type where a package is wanted: names, files, URLs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.cli.transaction import reporting
from apt_ostree.errors import AptOstreeError, FetchError
from apt_ostree.model.progress import Progress, task

_SCHEMES = ("http://", "https://")
_SOURCES = (".dsc", ".src", ".tar.xz", ".tar.gz")
_TIMEOUT_S = 60
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Requests:
    """`names` are for the solver, `files` are packages on this machine (absolute paths)."""

    names: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def sort(words: Sequence[str], downloads: Path, progress: Progress) -> Requests:
    """Tell names from files; what stands behind a URL is downloaded into `downloads` first.

    Raises AptOstreeError for source packages and files that are not there, FetchError.
    """
    names: list[str] = []
    files: list[Path] = []
    for word in words:
        if word.endswith(_SOURCES):
            raise AptOstreeError(
                f"{word} appears to be a source package which are not usually intended to be "
                "installed"
            )
        if word.startswith(_SCHEMES):
            files.append(_download(word, downloads, progress))
        elif word.startswith("file://") or word.endswith(".deb"):
            files.append(_local(word))
        else:
            names.append(word)
    return Requests(tuple(names), tuple(files))


def is_local(word: str) -> bool:
    """Whether `sort` makes a file of it."""
    return word.startswith((*_SCHEMES, "file://")) or word.endswith(".deb")


def _local(word: str) -> Path:
    name = unquote(urlsplit(word).path) if word.startswith("file://") else word
    path = Path(os.path.abspath(name))
    if not path.is_file():
        raise AptOstreeError(
            f"'{word}' is not a file", hint="a name without '.deb' is looked up in the apt sources"
        )
    return path


def _download(url: str, downloads: Path, progress: Progress) -> Path:
    name = unquote(os.path.basename(urlsplit(url).path))
    if not name.endswith(".deb"):
        raise AptOstreeError(f"'{url}' does not name a .deb")
    # urllib brings the whole of http.client and ssl along: only for those who ask for it
    import http.client
    import urllib.request

    target = downloads / name
    with task(progress, f"Downloading {url}"):
        try:
            with (
                urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer,
                target.open("wb") as out,
            ):
                _copy(answer, out)
        except (OSError, http.client.HTTPException, ValueError) as err:
            raise FetchError(
                f"Downloading '{url}': {err}", hint="check the URL and the network"
            ) from err
    return target


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(_CHUNK_BYTES):
        target.write(chunk)


@contextmanager
def gathered(session: Session, args: Args, words: Sequence[str]) -> Iterator[Requests]:
    """The sorted `words`; downloads exist for the time of the block."""
    from apt_ostree.system import fs

    with fs.scratch_dir("download") as folder:
        with reporting(session, args) as progress:
            found = sort(words, folder, progress)
        yield found

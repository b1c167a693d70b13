"""The `refresh` job: fetch and verify the indexes of every source into the lists directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apt_pkg

from apt_ostree.apt.engine import Context, error_lines
from apt_ostree.apt.engine.acquire import Watch, failure, fetcher, make_partial
from apt_ostree.apt.engine.config import configure
from apt_ostree.apt.engine.indexes import (
    COUNTS,
    count_packages,
    date_of,
    prefixes,
    source_infos,
    write_counts,
)
from apt_ostree.apt.sources import Source
from apt_ostree.errors import TrustError

_DOING = "Updating apt source"


def refresh(context: Context, _arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    configure(context)
    root, progress = context.root, context.progress
    sources = root.sources or ()
    found: Any = apt_pkg.SourceList()  # python-apt's stubs lack get_indexes
    found.read_main_list()
    watch = _Offers(root.lists)
    queue = fetcher(watch)
    make_partial(root.lists)
    progress.task_begin(f"Updating metadata for '{sources[0].id}'")
    try:
        found.get_indexes(queue, False)  # noqa: FBT003 - not those that libapt skips
        queue.run()
    except apt_pkg.Error as err:
        text = "\n".join(error_lines(err))
        raise failure(_named_in(text, sources), text, doing=_DOING) from err
    failed = [item for item in queue.items if item.status != item.STAT_DONE]
    # An index of an old Release file does not fit the newer one that libapt kept.
    if not any(_is_release(item.desc_uri) for item in failed):
        _refuse_older(watch, sources)
    for item in failed:
        text = item.error_text or f"{item.desc_uri} was not fetched"
        raise failure(_source_of(item.desc_uri, sources), text, doing=_DOING)
    progress.task_end()
    for source in sources[1:]:
        progress.task_begin(f"Updating metadata for '{source.id}'")
        progress.task_end()
    queue.shutdown()
    _clean(context)
    write_counts(root.lists, count_packages(root, sources))
    return [
        {"id": i.id, "generated": i.generated, "packages": i.packages} for i in source_infos(root)
    ]


class _Offers(Watch):
    """Notices Release files that are older than those we have: libapt keeps the newer ones, and
    says nothing (acquire-item.cc, pkgAcqMetaBase::VerifyVendor)."""

    def __init__(self, lists: Path) -> None:
        super().__init__()
        self._known = {_stem(p): date_of(p.read_text()) for p in lists.glob("*Release")}
        self._offered: dict[str, tuple[str, int]] = {}

    def done(self, item: apt_pkg.AcquireItemDesc) -> None:
        path = Path(item.owner.destfile)
        if path.parent.name == "partial" and path.name.endswith("Release"):
            with suppress(OSError):  # not there yet; libapt tells of each step
                text = path.read_text(errors="replace")
                self._offered[_stem(path)] = item.owner.desc_uri, date_of(text)

    def older(self) -> Iterator[tuple[str, str]]:
        """(URI, what is wrong with it).  To be asked when all signatures were found good."""
        for stem, (uri, date) in self._offered.items():
            known = self._known.get(stem, 0)
            if date < known:
                yield uri, f"the Release file of {_day(date)} is older than that of {_day(known)}"


def _is_release(uri: str) -> bool:
    return uri.rpartition("/")[2] in ("InRelease", "Release", "Release.gpg")


def _refuse_older(watch: _Offers, sources: tuple[Source, ...]) -> None:
    for uri, text in watch.older():
        raise TrustError(
            f"{_DOING} '{_source_of(uri, sources)}': {text}",
            hint="the mirror is stale, or old lists are replayed; another mirror may help, and "
            "'apt-ostree cleanup -m' forgets the newer ones",
        )


def _stem(path: Path) -> str:
    return path.name.removesuffix("Release").removesuffix("In")


def _day(date: int) -> str:
    return datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _source_of(uri: str, sources: tuple[Source, ...]) -> str:
    """The id of the source that `uri` (of an index file) belongs to."""
    for source in sources:
        for base in source.uris:
            clean = base.rstrip("/")
            suite = source.suite.rstrip("/")
            start = f"{clean}/{suite}" if source.suite.endswith("/") else f"{clean}/dists/{suite}/"
            if uri.startswith(start):
                return source.id
    return sources[0].id


def _named_in(text: str, sources: tuple[Source, ...]) -> str:
    """The id of the source that an error of libapt speaks of (`The repository 'URI SUITE …'`)."""
    for source in sources:
        for uri in source.uris:
            base = uri.rstrip("/")
            if f"{base} {source.suite} " in text or f"{base}/dists/{source.suite}/" in text:
                return source.id
    return " ".join(s.id for s in sources)


def _clean(context: Context) -> None:
    """Drop what belongs to no source any more, and apt's working directories."""
    root = context.root
    known = tuple(p for s in root.sources or () for p in prefixes(s, root.arch))
    for entry in os.scandir(root.lists):
        if entry.is_file() and entry.name != COUNTS and not entry.name.startswith(known):
            os.unlink(entry.path)

"""The `refresh` job: fetch and verify the indexes of every source into the lists directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import apt_pkg

from apt_ostree.apt.engine import Context, error_lines
from apt_ostree.apt.engine.acquire import Watch, failure, fetcher, make_partial
from apt_ostree.apt.engine.config import configure
from apt_ostree.apt.engine.indexes import (
    COUNTS,
    count_packages,
    prefixes,
    source_infos,
    write_counts,
)
from apt_ostree.apt.sources import Source

_DOING = "Updating apt source"


def refresh(context: Context, _arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    configure(context)
    root, progress = context.root, context.progress
    sources = root.sources or ()
    found: Any = apt_pkg.SourceList()  # python-apt's stubs lack get_indexes
    found.read_main_list()
    queue = fetcher(Watch())
    make_partial(root.lists)
    progress.task_begin(f"Updating metadata for '{sources[0].id}'")
    try:
        found.get_indexes(queue, False)  # noqa: FBT003 - not those that libapt skips
        queue.run()
    except apt_pkg.Error as err:
        text = "\n".join(error_lines(err))
        raise failure(_named_in(text, sources), text, doing=_DOING) from err
    for item in queue.items:
        if item.status != item.STAT_DONE:
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

"""What is in a lists directory, without opening apt's cache: dates, counts, presence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import apt_pkg

from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.sources import Source
from apt_ostree.model.plan import SourceInfo

# Written by a refresh beside apt's files: the number of packages by source id.
COUNTS = "apt-ostree-counts.json"


def source_infos(root: AptRoot) -> tuple[SourceInfo, ...]:
    """Each source of `root` (which must be frozen) with the date of its Release file.

    A source that was never refreshed has the date 0.  Counts come from the last refresh.
    """
    counts = _read_counts(root.lists)
    return tuple(
        SourceInfo(s.id, release_date(root, s), counts.get(s.id, 0)) for s in root.sources or ()
    )


def release_date(root: AptRoot, source: Source) -> int:
    """The `Date` of the source's Release file in UNIX seconds; 0 when it is not there."""
    return date_of(release_text(root, source))


def date_of(text: str) -> int:
    """The `Date` field of a Release file in UNIX seconds; 0 without one."""
    match = re.search(r"^Date:\s*(.+)$", text, re.M)
    return max(0, apt_pkg.str_to_time(match[1])) if match else 0


def release_text(root: AptRoot, source: Source) -> str:
    for prefix in prefixes(source, root.arch):
        for name in ("InRelease", "Release"):
            path = root.lists / (prefix + name)
            if path.is_file():
                return path.read_text(errors="replace")
    return ""


def count_packages(root: AptRoot, sources: Iterable[Source]) -> dict[str, int]:
    """Packages by source id: the number of stanzas in its Packages files."""
    counts = {}
    for source in sources:
        files = {
            path
            for prefix in prefixes(source, root.arch)
            for path in root.lists.glob(f"{_no_glob(prefix)}*Packages")
        }
        counts[source.id] = sum(_stanzas(path) for path in files)
    return counts


def write_counts(lists: Path, counts: dict[str, int]) -> None:
    (lists / COUNTS).write_text(json.dumps(counts, sort_keys=True) + "\n")


def _read_counts(lists: Path) -> dict[str, int]:
    try:
        found = json.loads((lists / COUNTS).read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): int(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _stanzas(path: Path) -> int:
    data = path.read_bytes()
    return data.count(b"\nPackage: ") + data.startswith(b"Package: ")


def _no_glob(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def prefixes(source: Source, arch: str) -> list[str]:
    """How the names of a source's files in the lists directory begin.

    Source: apt's debReleaseIndex::MetaIndexURI.
    """
    out = []
    for uri in source.uris:
        base = uri if uri.endswith("/") else uri + "/"
        if source.suite == "/":
            where = base
        elif source.suite.endswith("/"):
            where = base + source.suite
        else:
            where = f"{base}dists/{source.suite}/"
        out.append(apt_pkg.uri_to_filename(where.replace("$(ARCH)", arch)))
    return out

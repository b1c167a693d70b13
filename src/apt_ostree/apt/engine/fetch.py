"""The `fetch` job: download archives with libapt's fetcher, which checks size and SHA-256."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apt_pkg

from apt_ostree.apt.engine import Context
from apt_ostree.apt.engine.acquire import Watch, failure, fetcher
from apt_ostree.apt.engine.config import configure
from apt_ostree.apt.fetch import mismatch
from apt_ostree.errors import AptOstreeError

_DOING = "Downloading from"


def fetch(context: Context, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Path by SHA-256; for `file:` URIs that is the file in the repository itself."""
    configure(context)
    by_source: dict[str, list[Mapping[str, Any]]] = {}
    for archive in arguments["archives"]:
        by_source.setdefault(archive["source"], []).append(archive)
    found = {}
    for source, archives in by_source.items():
        found.update(_from_source(context, source, archives, arguments["dest"]))
    return found


def _from_source(
    context: Context, source: str, archives: Sequence[Mapping[str, Any]], dest: str
) -> dict[str, str]:
    report = partial(context.progress.percent, f"{_DOING} '{source}'")
    queue = fetcher(Watch(report))
    files = []
    for archive in archives:
        sha256 = archive["sha256"]
        name = archive["uri"].rpartition("/")[2]
        item = apt_pkg.AcquireFile(
            queue, archive["uri"], f"SHA256:{sha256}", archive["size"], name, name,
            destfile=str(Path(dest) / f"{sha256}.deb"),
        )  # fmt: skip
        files.append((archive, name, item))
    report(0)
    queue.run()
    for archive, name, item in files:
        if item.status != item.STAT_DONE or not item.complete:
            raise _failure(source, name, archive["sha256"], item.error_text)
    report(100)
    return {archive["sha256"]: item.destfile for archive, _, item in files}


def _failure(source: str, name: str, expected: str, text: str) -> AptOstreeError:
    """libapt's words for a wrong file as ours; they list the hashes of what came."""
    match = re.search(r"SHA256:([0-9a-fA-F]{64})", text.partition("received")[2])
    if match:
        return mismatch(name, expected, match[1].lower())
    size = re.search(r"unexpected size \((\d+) != (\d+)\)", text)
    if size:
        return mismatch(name, f"{size[2]} bytes", f"{size[1]} bytes")
    return failure(source, f"{name}: {text}", doing=_DOING)

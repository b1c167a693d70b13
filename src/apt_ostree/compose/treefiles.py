"""Loading a treefile for a compose, and what follows from it and from the branch's past."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import CommitRequest
from apt_ostree.model.progress import Progress, Silent
from apt_ostree.ostree.repo import Repo
from apt_ostree.system.run import run
from apt_ostree.treefile import include, restrict, result
from apt_ostree.treefile import version as versions
from apt_ostree.treefile.schema import Treefile


def load(path: Path, progress: Progress) -> Treefile:
    """A treefile for the machine's architecture, with every file it names looked at.

    Raises TreefileError for what does not fit a compose.
    """
    treefile = include.load(path, basearch=host_arch())
    restrict.for_compose(treefile)
    result.check_files(treefile)
    for line in treefile.warnings():
        progress.message(line)
    return treefile


def expanded(path: Path) -> dict[str, Any]:
    """What `--print-only` shows."""
    return load(path, Silent()).as_json()


def host_arch() -> str:
    return run(["dpkg", "--print-architecture"]).output.strip()


def timestamp() -> int:
    """UNIX seconds of a commit: SOURCE_DATE_EPOCH where it is set, else now."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return int(time.time())
    if not text.isdecimal():
        raise AptOstreeError(f"SOURCE_DATE_EPOCH is not a number: '{text}'")
    return int(text)


def version(
    treefile: Treefile, repo: Repo | None, previous: str | None, *, given: str | None = None
) -> str | None:
    """The version of the new commit: given, counted up, or none.

    `previous` is the version to count from (`--previous-version`); without it that of the branch's
    tip in `repo`.
    """
    if given is not None:
        return given
    prefix = treefile.automatic_version_prefix
    if prefix is None:
        return None
    if previous is None and treefile.ref is not None and repo is not None:
        tip = repo.lookup(treefile.ref)
        previous = None if tip is None else repo.commit(tip).version
    return versions.next_version(
        prefix, previous=previous, now=now(), suffix=treefile.automatic_version_suffix
    )


def given_version(request: CommitRequest) -> str | None:
    """`version` of `--add-metadata-string`, which wins over counting."""
    value = dict(request.metadata).get("version")
    return value if isinstance(value, str) else None


def now() -> datetime:
    return at(timestamp())


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

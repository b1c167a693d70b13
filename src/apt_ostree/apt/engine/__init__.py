"""The inside of the apt process: the only modules that import apt_pkg.

Every job is a function `(context, arguments) -> JSON value`, found by name in `JOBS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree.apt.root import AptRoot
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.progress import Progress

# Job name: module (its function has the job's name).
JOBS = {
    "solve": "solve",
    "refresh": "refresh",
    "fetch": "fetch",
    "search": "query",
    "show": "query",
    "providers": "query",
    "candidates": "query",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What a job works on; `work` is its private directory, deleted after the job."""

    root: AptRoot
    work: Path
    progress: Progress


def run(
    job: str, root: AptRoot, work: Path, arguments: Mapping[str, Any], progress: Progress
) -> Any:
    """Carry out one job; libapt's own errors become AptOstreeError."""
    import apt_pkg

    function = getattr(importlib.import_module(f"{__name__}.{JOBS[job]}"), job)
    try:
        return function(Context(root, work, progress), arguments)
    except apt_pkg.Error as err:
        lines = error_lines(err)
        raise AptOstreeError(f"apt: {lines[0]}", details=lines[1:]) from err


def error_lines(err: Exception) -> list[str]:
    """libapt's error stack as lines, errors first, without its `E:`/`W:` marks."""
    parts = [
        p.strip() for p in str(err).replace(", W:", "\nW:").replace(", E:", "\nE:").split("\n")
    ]
    ranked = sorted((p for p in parts if p), key=lambda p: not p.startswith("E:"))
    return [p.removeprefix("E:").removeprefix("W:").strip() for p in ranked] or ["unknown error"]

"""What a compose asks for and what it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apt_ostree.model.plan import Plan


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """How `compose tree` and `compose install` turn a treefile into a root.

    `previous_*` replace what would be looked up in the repository for change detection.
    """

    treefile: Path
    repo: Path | None = None
    layer_repo: Path | None = None
    cachedir: Path | None = None
    source_root: Path | None = None
    workdir: Path | None = None
    proxy: str | None = None
    force_nocache: bool = False
    cache_only: bool = False
    download_only: bool = False  # download and import, then stop
    download_only_debs: bool = False  # download, then stop
    dry_run: bool = False
    touch_if_changed: Path | None = None
    previous_commit: str | None = None
    previous_inputhash: str | None = None
    previous_version: str | None = None
    lockfiles: tuple[Path, ...] = ()
    lockfile_strict: bool = False
    write_lockfile_to: Path | None = None
    command_line: str = ""


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """How a root becomes a commit.  `metadata` values are strings or raw JSON values."""

    repo: Path
    layer_repo: Path | None = None
    metadata: tuple[tuple[str, Any], ...] = ()
    metadata_files: tuple[Path, ...] = ()  # JSON objects
    write_commitid_to: Path | None = None
    write_composejson_to: Path | None = None
    no_parent: bool = False
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ExtensionsRequest:
    treefile: Path
    extensions: Path
    output_dir: Path
    repo: Path | None = None
    layer_repo: Path | None = None
    rootfs: Path | None = None
    base_rev: str | None = None
    cachedir: Path | None = None
    touch_if_changed: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Composed:
    """What a compose made.

    `changed` is False when the inputs were those of the previous commit.  `ref` is None when the
    commit was written without one, `commit` when none was to be written.  `statistics` are the
    contract's lines (`Metadata Total` …) in order; `timings` seconds by phase.
    """

    changed: bool
    plan: Plan | None = None
    ref: str | None = None
    commit: str | None = None
    root: Path | None = None
    statistics: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

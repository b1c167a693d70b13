"""What the running system was brought to since it booted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.sysroot import Deployment

APPLIED, IN_PROGRESS = "aptostree/live-apply", "aptostree/live-apply-inprogress"
STATE = Path("/run/ostree/deployment-state")
STAMP = "aptostree-is-live.stamp"


@dataclass(frozen=True, slots=True)
class Live:
    """What runs beside the booted commit: `applied` is what it was brought to, `in_progress` what
    an interrupted run wanted; both None when the system runs as it booted."""

    applied: str | None = None
    in_progress: str | None = None


def stamp(booted: Deployment) -> Path:
    return STATE / f"{booted.checksum}.{booted.serial}" / STAMP


def of(repo: Repo, booted: Deployment) -> Live:
    """The refs outlive a boot, so that they only count where the stamp of this one is."""
    if not stamp(booted).exists():
        return Live()
    return Live(repo.lookup(APPLIED), repo.lookup(IN_PROGRESS))

"""The package metadata of a target: refreshed when it is needed, searched and shown."""

from __future__ import annotations

import time

from apt_ostree.apt import refresh as refreshing
from apt_ostree.apt.root import AptRoot
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Options
from apt_ostree.model.progress import Progress

# As long as apt's own daily timer lets lists age before an unattended run refreshes them.
MAX_AGE_S = 24 * 3600


def age_s(root: AptRoot) -> float | None:
    """Seconds since the lists were refreshed, None when there are none."""
    stamps = [p.stat().st_mtime for p in root.lists.glob("*_Packages*")] if (
        root.lists.is_dir()) else []  # fmt: skip
    return time.time() - root.lists.stat().st_mtime if stamps else None


def ensure(root: AptRoot, *, is_upgrade: bool, options: Options, progress: Progress) -> None:
    """Refresh before an upgrade, and whenever the lists are missing or old.

    A dry run uses what is there, since it may not write.
    """
    age = age_s(root)
    if options.cache_only or options.dry_run:
        if age is None:
            raise AptOstreeError("there is no package metadata yet", hint="apt-ostree refresh-md")
        return
    if is_upgrade or age is None or age > MAX_AGE_S:
        refreshing.refresh(root, progress)

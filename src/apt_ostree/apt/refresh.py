"""Bring the package indexes of a root up to date: all of them, or none.

apt works on a copy of the lists directory (hard links), which takes the place of the old one in
one step when everything in it was fetched and verified.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from apt_ostree.apt import job
from apt_ostree.apt.root import AptRoot
from apt_ostree.model.plan import SourceInfo
from apt_ostree.model.progress import Progress
from apt_ostree.system import failpoint, fs, lock

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def refresh(root: AptRoot, progress: Progress, *, force: bool = False) -> tuple[SourceInfo, ...]:
    """Update `root.lists` from all sources; `force` fetches also what seems unchanged.

    Raises TrustError for a source that is unsigned, expired, wrongly signed or not the one it
    was; FetchError for one that cannot be reached.  In both cases, and when it is interrupted,
    `root.lists` is as it was.
    """
    root = root.frozen()
    progress.message(f"Enabled apt sources: {' '.join(s.id for s in root.sources or ())}")
    lists = root.lists
    lists.parent.mkdir(parents=True, exist_ok=True)
    with (
        lock.exclusive(lists.with_name(f".{lists.name}.lock"), what=f"the package index {lists}"),
        fs.temp_dir(lists.parent, f".{lists.name}.") as staging,
    ):
        # The user _apt must be able to pass through to apt's own partial/ directory.
        os.chmod(staging, 0o755)
        new = staging / "lists"
        _copy_links(lists, new, only_releases=force)
        raw = job.call("refresh", replace(root, lists=new), {}, progress)
        failpoint.reach("apt.before-lists-swap")
        if lists.exists():
            _exchange(new, lists)
        else:
            os.rename(new, lists)
        failpoint.reach("apt.after-lists-swap")
    infos = tuple(SourceInfo(i["id"], i["generated"], i["packages"]) for i in raw)
    for info in infos:
        when = datetime.fromtimestamp(info.generated, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        progress.message(f"apt source '{info.id}'; generated: {when} packages: {info.packages}")
    return infos


def _copy_links(old: Path, new: Path, *, only_releases: bool) -> None:
    """Release files are what a source must not go back behind, or turn into another one."""
    new.mkdir(mode=0o755)
    os.chmod(new, 0o755)
    if not old.is_dir():
        return
    for entry in os.scandir(old):
        if not entry.is_file(follow_symlinks=False) or entry.name == "lock":
            continue
        if not only_releases or entry.name.endswith(("Release", "Release.gpg")):
            os.link(entry.path, new / entry.name)


def _exchange(a: Path, b: Path) -> None:
    """Swap two directories atomically (renameat2(2) RENAME_EXCHANGE)."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(
        _AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    if done != 0:
        # A filesystem without exchange: a crash between the two steps leaves no lists, which a
        # refresh makes again.
        fs.remove_tree(b)
        os.rename(a, b)

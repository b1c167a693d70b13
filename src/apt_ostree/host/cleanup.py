"""Remove deployments, caches and whatever nothing needs any more."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from apt_ostree.deploy.retain import Freed
from apt_ostree.deploy.roles import Roles
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import base, garbage
from apt_ostree.host.target import choose_stateroot
from apt_ostree.model.progress import Progress, Silent, task
from apt_ostree.ostree.sysroot import Deployment, Sysroot
from apt_ostree.system import fs

Json = dict[str, Any]
BASE, PENDING, ROLLBACK, REPOMD = WORDS = ("base", "pending-deploy", "rollback-deploy", "repomd")
CACHE = Path("cache/apt-ostree")  # below a stateroot's /var
# apt's metadata below CACHE; `archives` holds downloads, which are another matter.
METADATA = ("lists", "lists.sources", "apt", "cached-update.gv")
DOWNLOADS = "archives"


def run(
    sysroot_path: Path,
    stateroot: str | None,
    what: Collection[str],
    progress: Progress,
    *,
    dry_run: bool = False,
) -> Json:
    """Carry out the `WORDS` of `what`; pinned deployments stay, and are named.

    Returns {removed, pinned, freed-bytes, packages}: ids of deployments, and what was freed.
    Raises AptOstreeError for an unknown word.
    """
    for word in what:
        if word not in WORDS:
            raise AptOstreeError(f"Invalid cleanup type: {word}", hint=f"one of {', '.join(WORDS)}")
    sysroot = Sysroot.open(sysroot_path)
    with sysroot.lock() if not dry_run else nullcontext():
        osname = choose_stateroot(sysroot, stateroot)
        removed, pinned = _chosen(Roles.of(sysroot, osname), what)
        freed = Freed()
        metadata_bytes = 0
        if {BASE, PENDING, ROLLBACK} & set(what):
            for deployment in pinned:
                progress.message(f"Keeping pinned deployment {deployment.id}")
            freed = _clean_deployments(sysroot, removed, progress, dry_run=dry_run)
        if REPOMD in what:
            cache = sysroot.path / "ostree/deploy" / osname / "var" / CACHE
            metadata_bytes = sum(_remove(cache / n, dry_run=dry_run) for n in METADATA)
    return {
        "removed": [d.id for d in removed],
        "pinned": [d.id for d in pinned],
        "freed-bytes": freed.bytes + metadata_bytes,
        "packages": freed.packages,
    }


def _chosen(
    roles: Roles, what: Collection[str]
) -> tuple[tuple[Deployment, ...], tuple[Deployment, ...]]:
    """The deployments to remove, and those that only their pin saves."""
    named = (
        *(roles.pending if PENDING in what else ()),
        *(roles.rollback if ROLLBACK in what else ()),
    )
    return tuple(d for d in named if not d.pinned), tuple(d for d in named if d.pinned)


def _clean_deployments(
    sysroot: Sysroot, removed: tuple[Deployment, ...], progress: Progress, *, dry_run: bool
) -> Freed:
    gone = {d.id for d in removed}
    remaining = tuple(d for d in sysroot.deployments if d.id not in gone)
    if not removed:
        progress.message("Deployments unchanged.")
    for deployment in removed if dry_run else ():
        progress.message(f"Would remove deployment {deployment.id}")
    if dry_run:
        freed = garbage.would_collect(sysroot, remaining=remaining)
        progress.message(f"Would free: {freed.amount}")
        return freed
    if removed:
        sysroot.write(remaining)
    return garbage.collect(sysroot, progress)


def prune(sysroot_path: Path, dry_run: bool, progress: Progress) -> Json:  # noqa: FBT001
    """Delete every commit, package, cached image, checkout and download that nothing needs.

    Returns {commits, packages, downloads, freed-bytes}; `downloads` counts files.  A dry run
    counts the same and deletes nothing.
    """
    sysroot = Sysroot.open(sysroot_path)
    with sysroot.lock() if not dry_run else nullcontext():
        if dry_run:
            freed = garbage.would_collect(sysroot, kept_initramfs=0, keeps_downloads=False)
        else:
            base.drop_kept(sysroot)
            with task(progress, "Pruning the repository"):
                freed = garbage.collect(sysroot, Silent(), kept_initramfs=0, keeps_downloads=False)
        downloads = downloaded_bytes = 0
        for folder in (sysroot.path / "ostree/deploy").glob(f"*/var/{CACHE}/{DOWNLOADS}"):
            downloads += sum(1 for name in _files(folder) if name.suffix == ".deb")
            downloaded_bytes += sum(_remove(p, dry_run=dry_run) for p in list(folder.iterdir()))
    return {
        "commits": freed.commits,
        "packages": freed.packages,
        "downloads": downloads,
        "freed-bytes": freed.bytes + downloaded_bytes,
    }


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name) for name in names)
    elif os.path.lexists(path):
        yield path


def _remove(path: Path, *, dry_run: bool) -> int:
    """Delete `path` and all below it; the bytes that its files took on disk."""
    freed_bytes = sum(os.lstat(p).st_blocks * 512 for p in _files(path))
    if not dry_run:
        fs.remove_tree(path)
    return freed_bytes

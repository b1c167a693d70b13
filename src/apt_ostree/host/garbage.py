"""Delete what no deployment needs any more, in the one order that is safe.

Boot entries first, then refs in one transaction, then objects: a crash in between leaves more than
is needed, never less, and the next run finishes.
"""

from __future__ import annotations

from collections.abc import Iterable

from apt_ostree.assemble import local_files, refs
from apt_ostree.assemble.initramfs import REF_PREFIX as INITRAMFS_PREFIX
from apt_ostree.deploy import forecast, retain
from apt_ostree.deploy.retain import Freed, Needs
from apt_ostree.errors import PackageError
from apt_ostree.host import base, leavings
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.sysroot import Deployment, Sysroot
from apt_ostree.system import failpoint, fs

# One image a kernel and set of arguments: enough for the deployments of a host and their rollbacks.
KEPT_INITRAMFS = 4
# What `--download-only` brought, which nothing else refers to yet.
DOWNLOADED = "aptostree/downloaded"


def collect(
    sysroot: Sysroot,
    progress: Progress,
    *,
    kept_initramfs: int = KEPT_INITRAMFS,
    keeps_downloads: bool = True,
) -> Freed:
    """Delete deployments without boot entry, refs of unneeded packages, and pruned objects.

    Needs the sysroot lock.  Says what was freed when there was anything.  Raises AptOstreeError,
    with nothing deleted from the package cache, when a deployment cannot be read.
    """
    repo = sysroot.repo
    leavings.sweep(sysroot)
    needs = retain.needs(sysroot)
    failpoint.reach("cleanup.before-deployments")
    sysroot.prepare_cleanup()
    failpoint.reach("cleanup.after-deployments")
    _drop_checkouts(sysroot, needs)
    downloads = {} if keeps_downloads else repo.refs(DOWNLOADED)
    packages = unneeded_packages(repo, needs, keeps_downloads=keeps_downloads)
    files = unneeded_files(repo, needs)
    before = forecast.commits(repo)
    gone = (*packages, *files, *downloads, *old_initramfs(repo, kept_initramfs))
    changes = {**dict.fromkeys(gone), **retain.base_refs(repo, needs.bases)}
    if changes:  # a transaction waits for the disk
        with repo.transaction():
            for ref, checksum in changes.items():
                repo.set_ref(ref, checksum)
    failpoint.reach("cleanup.before-prune")
    _, freed_bytes = repo.prune()
    failpoint.reach("cleanup.after-prune")
    commits = len(before - forecast.commits(repo)) if freed_bytes else 0
    freed = Freed(bytes=freed_bytes, packages=len(packages), commits=commits)
    if freed_bytes or packages:
        progress.message(str(freed))
    return freed


def would_collect(
    sysroot: Sysroot,
    *,
    remaining: Iterable[Deployment] | None = None,
    kept_initramfs: int = KEPT_INITRAMFS,
    keeps_downloads: bool = True,
) -> Freed:
    """What `collect` would free if only `remaining` (default: all) deployments were left."""
    repo = sysroot.repo
    left = tuple(sysroot.deployments if remaining is None else remaining)
    needs = retain.needs(sysroot, left)
    stay = {d.checksum for d in left} | set(needs.bases)
    derived = {**repo.refs("ostree"), **repo.refs(retain.BASE_PREFIX)}
    packages = unneeded_packages(repo, needs, keeps_downloads=keeps_downloads)
    gone = {
        *({} if keeps_downloads else repo.refs(DOWNLOADED)),
        *packages,
        *unneeded_files(repo, needs),
        *old_initramfs(repo, kept_initramfs),
        *(ref for ref, checksum in derived.items() if checksum not in stay),
    }
    commits, freed_bytes = forecast.prunable(repo, without=gone, keep=stay)
    return Freed(bytes=freed_bytes, packages=len(packages), commits=commits)


def unneeded_packages(repo: Repo, needs: Needs, *, keeps_downloads: bool = True) -> tuple[str, ...]:
    """Refs of cached packages that are in no deployment and in no origin."""
    downloads = set(repo.refs(DOWNLOADED).values()) if keeps_downloads else set()
    return tuple(
        sorted(
            ref
            for ref, checksum in repo.refs(refs.PREFIX).items()
            if not (_is_wanted(ref, needs) or checksum in downloads)
            and not (needs.local and repo.commit(checksum).get("aptostree.sha256") in needs.local)
        )
    )


def keep_downloads(repo: Repo, commits: Iterable[str]) -> None:
    """Keep these commits (a base, packages) instead of what was downloaded before.

    They stay until the base is moved, the next such call, or `prune`.
    """
    wanted = {f"{DOWNLOADED}/{n}": checksum for n, checksum in enumerate(sorted(set(commits)))}
    with repo.transaction():
        for ref in repo.refs(DOWNLOADED).keys() - wanted.keys():
            repo.set_ref(ref, None)
        for ref, checksum in wanted.items():
            repo.set_ref(ref, checksum)


def unneeded_files(repo: Repo, needs: Needs) -> tuple[str, ...]:
    """Refs of .debs, given as files, that no origin names any more."""
    wanted = {local_files.ref_of(sha256) for sha256 in needs.local}
    return tuple(sorted(repo.refs(local_files.PREFIX).keys() - wanted))


def _is_wanted(ref: str, needs: Needs) -> bool:
    try:
        return refs.package_of(ref) in needs.packages
    except PackageError:
        return False  # of a version of this program that named them otherwise


def old_initramfs(repo: Repo, kept: int) -> tuple[str, ...]:
    """Refs of cached images but the `kept` newest; libostree writes each ref as a file."""
    dated = sorted(
        ((repo.path / "refs/heads" / ref).stat().st_mtime_ns, ref)
        for ref in repo.refs(INITRAMFS_PREFIX)
    )
    return tuple(ref for _, ref in (dated[:-kept] if kept else dated))


def _drop_checkouts(sysroot: Sysroot, needs: Needs) -> None:
    """Checked out bases that no deployment is built on."""
    folder = sysroot.path / base.KEPT
    if folder.is_dir():
        current = {*needs.bases, *(d.checksum for d in sysroot.deployments)}
        for entry in folder.iterdir():
            if entry.name not in current:
                fs.remove_tree(entry)

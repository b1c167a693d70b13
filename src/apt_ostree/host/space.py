"""Whether a change fits on the disk, told before anything is written.

Two filesystems count: the one of the sysroot, and `/boot`, which is often a small one of its own
and holds the kernel and initramfs of every deployment until the boot entries have been switched.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.deploy.retain import size_text
from apt_ostree.deploy.roles import Roles
from apt_ostree.errors import AptOstreeError, SpaceError
from apt_ostree.host.target import Target
from apt_ostree.model.origin import Origin
from apt_ostree.model.plan import Action, Plan
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import fs

# A deployment has its own /etc and directory inodes, whatever is layered on it.
_DEPLOYMENT_BYTES = 24 << 20
# Boot entries and directories.
_ENTRIES_BYTES = 1 << 20
# Of Debian's kernels and a dracut image of most drivers, for want of anything to measure.
_KERNEL_BYTES, _INITRAMFS_BYTES = 10 << 20, 60 << 20
_MODULES = "usr/lib/modules"
_WAY_OUT = "free some space: apt-ostree cleanup -bpr, or apt-ostree prune"


@dataclass(frozen=True, slots=True)
class BootFile:
    """A kernel or initramfs of a commit; equal `checksum` (of the object) means equal content."""

    checksum: str
    size_bytes: int


def boot_files(repo: Repo, checksum: str) -> frozenset[BootFile]:
    """What libostree copies to `/boot` for a commit: one directory with all of these."""
    found = set()
    for version in repo.list_dir(checksum, _MODULES):
        for name in ("vmlinuz", "initramfs.img"):
            known = repo.file_info(checksum, f"{_MODULES}/{version}/{name}")
            if known is not None:
                found.add(BootFile(*known))
    return frozenset(found)


def _total(files: Iterable[BootFile]) -> int:
    return sum(f.size_bytes for f in files)


def needed_bytes(plan: Plan) -> int:
    """Upper bound of what a change writes: downloads, their content, and the deployment."""
    return _DEPLOYMENT_BYTES + plan.download_bytes + 2 * max(plan.installed_bytes, 0)


def check(where: Target, plan: Plan, origin: Origin) -> None:
    """Raises SpaceError with the numbers when the filesystems cannot hold the result.

    libostree refuses to go below its reserve (`min-free-space`), so that counts as used.  Bytes in
    `/boot` are exact for a kernel of the base, and guessed by it for one that is yet to be built.
    """
    boot_bytes = _forecast_boot(where, plan, origin)
    wanted = needed_bytes(plan) + (0 if _has_own_boot(where) else boot_bytes)
    free = where.repo.free_bytes()
    if wanted > free:
        raise _too_little(wanted, free, where.sysroot.path, hint=_WAY_OUT)
    _check_boot(where, boot_bytes)


def check_boot(where: Target, checksum: str) -> None:
    """As `check`, of `/boot` alone and exact, for a commit that is about to be deployed."""
    _check_boot(where, _boot_bytes(where, boot_files(where.repo, checksum)))


def _check_boot(where: Target, wanted: int) -> None:
    if wanted and _has_own_boot(where):
        free = fs.free_bytes(_boot(where))
        if wanted > free:
            raise _too_little(wanted, free, _boot(where), hint=_boot_way_out(where))


def _too_little(wanted: int, free: int, place: Path, *, hint: str) -> SpaceError:
    return SpaceError(
        f"needs about {size_text(wanted)}, but only {size_text(max(free, 0))} are free on {place}",
        hint=hint,
    )


def _boot(where: Target) -> Path:
    return where.sysroot.path / "boot"


def _has_own_boot(where: Target) -> bool:
    boot = _boot(where)
    return boot.is_dir() and os.stat(boot).st_dev != os.stat(where.sysroot.path).st_dev


def _forecast_boot(where: Target, plan: Plan, origin: Origin) -> int:
    base = boot_files(where.repo, plan.base) if plan.base else frozenset()
    changed = plan.of_action(Action.INSTALL, Action.UPGRADE, Action.DOWNGRADE)
    has_new_kernel = any(s.package.name.startswith("linux-image-") for s in changed)
    # Where an initramfs was generated before, the next one is most often the same.
    has_new_image = origin.regenerate_initramfs and not where.origin.regenerate_initramfs
    if has_new_kernel or has_new_image:
        return _ENTRIES_BYTES + (_total(base) or _KERNEL_BYTES + _INITRAMFS_BYTES)
    return _boot_bytes(where, base)


def _boot_bytes(where: Target, files: frozenset[BootFile]) -> int:
    """None of the files is copied when a deployment has exactly them."""
    for deployment in where.sysroot.deployments:
        if boot_files(where.repo, deployment.checksum) == files:
            return 0
    return _ENTRIES_BYTES + _total(files)


def _boot_way_out(where: Target) -> str:
    roles = Roles.of(where.sysroot, where.stateroot)
    gone = [d for d in roles.rollback if not d.pinned]
    kept = {boot_files(where.repo, d.checksum) for d in where.sysroot.deployments if d not in gone}
    freed = {boot_files(where.repo, d.checksum) for d in gone} - kept
    if freed:
        amount = size_text(sum(map(_total, freed)))
        return f"apt-ostree cleanup -r removes the rollback deployment and frees {amount} there"
    return "make that filesystem larger, or remove what else is on it"


def add_way_out(error: AptOstreeError) -> None:
    """Give a failure that a full disk caused the way out."""
    said = (error.message, *error.details)
    if not isinstance(error, SpaceError) and any(os.strerror(errno.ENOSPC) in x for x in said):
        error.hint = f"the disk is full; {_WAY_OUT}"

"""Allow a locked staged deployment to take effect at shutdown."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.host.target import base_of, choose_stateroot
from apt_ostree.model.change import Outcome
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.sysroot import LOCK, Deployment, Sysroot


def run(
    sysroot_path: Path,
    stateroot: str | None,
    checksum: str | None,
    progress: Progress,
    *,
    allow_unlocked: bool,
    dry_run: bool = False,
) -> Outcome:
    """Unlock the staged deployment, which must be of `checksum` where one is given.

    `checksum` is that of the deployed commit, of its base, or a container's manifest digest.
    Raises AptOstreeError when nothing is staged, something else is, or it is not locked.
    """
    sysroot = Sysroot.open(sysroot_path)
    with sysroot.lock() if not dry_run else nullcontext():
        osname = choose_stateroot(sysroot, stateroot)
        staged = _staged(sysroot, osname)
        if checksum is not None:
            _check(sysroot, staged, checksum)
        was_locked = LOCK.exists() if dry_run else sysroot.unlock_staged()
        if not was_locked and not allow_unlocked:
            raise AptOstreeError(
                "Staged deployment already unlocked", hint="systemctl reboot applies it"
            )
    progress.message(f"Finalizing deployment {staged.id}")
    return Outcome(changed=True, deployment=staged.id)


def _staged(sysroot: Sysroot, osname: str) -> Deployment:
    deployments = sysroot.deployments
    if not deployments:
        raise AptOstreeError("No deployments found")
    first = deployments[0]
    if not first.staged:
        raise AptOstreeError("No pending staged deployment found")
    if first.osname != osname:
        raise AptOstreeError(f"Staged deployment is not for osname '{osname}'")
    return first


def _check(sysroot: Sysroot, staged: Deployment, wanted: str) -> None:
    base = base_of(sysroot.repo, staged.checksum)
    digest = sysroot.repo.commit(base).get("ostree.manifest-digest")
    if wanted not in (staged.checksum, base, digest):
        raise AptOstreeError(f"Expected staged base checksum {wanted}, but found {base}")

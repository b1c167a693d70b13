"""Boot the previous deployment next.  Nothing is built, nothing merged."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from apt_ostree.deploy import rollback
from apt_ostree.deploy.roles import Roles
from apt_ostree.host.target import choose_stateroot
from apt_ostree.model.change import Outcome
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.sysroot import Sysroot


def run(
    sysroot_path: Path, stateroot: str | None, progress: Progress, *, dry_run: bool = False
) -> Outcome:
    """Raises AptOstreeError when there is no deployment to return to."""
    sysroot = Sysroot.open(sysroot_path)
    with sysroot.lock() if not dry_run else nullcontext():
        osname = choose_stateroot(sysroot, stateroot)
        chosen = rollback.choose(Roles.of(sysroot, osname))
        progress.message(f"Moving '{chosen.checksum}.{chosen.serial}' to be first deployment")
        if not dry_run:
            sysroot.write(rollback.order(sysroot.deployments, chosen))
    return Outcome(changed=not dry_run, deployment=chosen.id)

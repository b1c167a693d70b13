"""Whether a change fits on the disk, told before anything is written."""

from __future__ import annotations

from apt_ostree.deploy.retain import size_text
from apt_ostree.errors import SpaceError
from apt_ostree.host.target import Target
from apt_ostree.model.plan import Plan

# A deployment has its own /etc and directory inodes, whatever is layered on it.
_DEPLOYMENT_BYTES = 24 << 20


def needed_bytes(plan: Plan) -> int:
    """Upper bound of what a change writes: downloads, their content, and the deployment."""
    return _DEPLOYMENT_BYTES + plan.download_bytes + 2 * max(plan.installed_bytes, 0)


def check(where: Target, plan: Plan) -> None:
    """Raises SpaceError with the numbers when the filesystem cannot hold the result.

    libostree refuses to go below its reserve (`min-free-space`), so that counts as used.
    """
    repo = where.repo
    with_reserve = repo.free_bytes()
    wanted = needed_bytes(plan)
    if wanted > with_reserve:
        raise SpaceError(
            f"needs about {size_text(wanted)}, but only {size_text(max(with_reserve, 0))} are free "
            f"on {where.sysroot.path}",
            hint="free some space: apt-ostree cleanup -bpr, or apt-ostree prune",
        )

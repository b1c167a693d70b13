"""The order of boot after a rollback."""

from __future__ import annotations

from collections.abc import Sequence

from apt_ostree.deploy.roles import Roles
from apt_ostree.errors import AptOstreeError
from apt_ostree.ostree.sysroot import Deployment


def choose(roles: Roles) -> Deployment:
    """The deployment to boot next: the rollback, or the current one when only a pending one exists.

    Raises AptOstreeError when there is nothing to return to, or a staged deployment would be
    written over what was chosen at shutdown.
    """
    if any(d.staged for d in roles.pending):
        raise AptOstreeError(
            "Staged deployment (remove with cleanup -p)", hint="apt-ostree cleanup -p"
        )
    if roles.rollback:
        return roles.rollback[0]
    if roles.pending and roles.current is not None:
        return roles.current
    raise AptOstreeError(
        "No rollback deployment found", hint="apt-ostree status lists the deployments"
    )


def order(deployments: Sequence[Deployment], first: Deployment) -> tuple[Deployment, ...]:
    """`first`, then the others as they were; doing this twice restores the beginning."""
    return (first, *(d for d in deployments if d.id != first.id))

"""Which deployment a question is about, and what is base in it."""

from __future__ import annotations

from apt_ostree.errors import AptOstreeError
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.sysroot import Deployment, Sysroot


def choose(sysroot: Sysroot, stateroot: str | None, ident: str | None) -> Deployment:
    """The deployment called `ident`, else the booted one, else the one that boots next.

    `ident` is the id of `status --json`, or a part of it that no other deployment has
    (`CHECKSUM.SERIAL`, the beginning of a checksum).  Raises AptOstreeError when there is none.
    """
    own = [d for d in sysroot.deployments if stateroot is None or d.osname == stateroot]
    if ident is not None:
        return _called(own, ident)
    if not own:
        raise AptOstreeError(
            f"No deployments found for OS '{stateroot}'" if stateroot else "No deployments found",
            hint="apt-ostree rebase REFSPEC makes one",
        )
    return next((d for d in own if d.booted), own[0])


def _called(deployments: list[Deployment], ident: str) -> Deployment:
    if not ident:
        raise AptOstreeError("empty deployment ID", hint="apt-ostree status --json has them")
    found = [d for d in deployments if d.id == ident] or [
        d
        for d in deployments
        if f"{d.checksum}.{d.serial}" == ident or d.checksum.startswith(ident)
    ]
    if not found:
        raise AptOstreeError(
            f"Deployment with id '{ident}' not found", hint="apt-ostree status --json has them"
        )
    if len(found) > 1:
        raise AptOstreeError(
            f"'{ident}' is the beginning of several deployments",
            hint=f"name one: {', '.join(d.id for d in found)}",
        )
    return found[0]


def base_of(repo: Repo, deployment: Deployment) -> str | None:
    """The base commit under a layered deployment; None where the deployment is the base."""
    commit = repo.commit(deployment.checksum)
    return commit.parent if commit.get("aptostree.clientlayer") else None

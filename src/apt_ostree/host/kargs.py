"""The kernel command line that a deployment boots with."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import target
from apt_ostree.ostree.sysroot import Deployment, Sysroot


def show(sysroot_path: Path, stateroot: str | None, index: int | None) -> str:
    """The `options` line of a boot entry as stored, `ostree=` included.

    `index` counts as `status -v` does; None means the deployment that boots next.
    """
    sysroot = Sysroot.open(sysroot_path)
    if index is None:
        return target.find(sysroot, stateroot).current.options
    return at_index(sysroot, index).options


def at_index(sysroot: Sysroot, index: int) -> Deployment:
    """Raises AptOstreeError with the contract's texts for an index that names none."""
    deployments = sysroot.deployments
    if index < 0:
        raise AptOstreeError(f"Invalid deployment index {index}, must be a number and >= 0")
    if index >= len(deployments):
        raise AptOstreeError(
            f"Out of range deployment index {index}, expected < {len(deployments)}",
            hint="apt-ostree status -v shows the index of each deployment",
        )
    return deployments[index]

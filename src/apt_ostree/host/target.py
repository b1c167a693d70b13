"""What a command works on: a sysroot, one of its stateroots, and where that stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import leavings
from apt_ostree.model import origin as origins
from apt_ostree.model.origin import Origin
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.sysroot import Deployment, Sysroot

CLIENT_LAYER = "aptostree.clientlayer"


@dataclass(frozen=True, slots=True)
class Target:
    """`pending` is the deployment that boots next: new requests start from its origin and kernel
    arguments.  `merge` is the one whose `/etc` counts: the booted one where there is one.  Both
    are None in a stateroot that has no deployment yet; then `origin` is empty."""

    sysroot: Sysroot
    stateroot: str
    pending: Deployment | None
    merge: Deployment | None
    origin: Origin

    @property
    def repo(self) -> Repo:
        return self.sysroot.repo

    @property
    def var(self) -> Path:
        """The stateroot's `/var`, as the machine has it when it runs."""
        return self.sysroot.path / "ostree/deploy" / self.stateroot / "var"

    @property
    def cache(self) -> Path:
        return self.var / "cache/apt-ostree"

    @property
    def state(self) -> Path:
        return self.var / "lib/apt-ostree"

    @property
    def current(self) -> Deployment:
        """`pending`, which must be there.  Raises AptOstreeError when nothing is deployed."""
        if self.pending is None:
            raise no_deployments(self.stateroot)
        return self.pending

    @property
    def base_checksum(self) -> str:
        return base_of(self.repo, self.current.checksum)


def no_deployments(stateroot: str) -> AptOstreeError:
    return AptOstreeError(
        f"No deployments found for OS '{stateroot}'",
        hint=f"apt-ostree rebase --stateroot={stateroot} REFSPEC",
    )


def base_of(repo: Repo, checksum: str) -> str:
    """The base commit of a deployed commit: its parent when packages were layered on it."""
    commit = repo.commit(checksum)
    if commit.get(CLIENT_LAYER) and commit.parent:
        return commit.parent
    return checksum


def choose_stateroot(sysroot: Sysroot, wanted: str | None) -> str:
    """The stateroot to work on: the one asked for, the booted one, or the only one."""
    if wanted:
        if wanted not in sysroot.stateroots:
            raise AptOstreeError(
                f'OS name "{wanted}" not found',
                hint=f"there is: {', '.join(sysroot.stateroots) or 'none'}",
            )
        return wanted
    booted = next((d for d in sysroot.deployments if d.booted), None)
    if booted is not None:
        return booted.osname
    if len(sysroot.stateroots) == 1:
        return sysroot.stateroots[0]
    raise AptOstreeError(
        "Not currently booted into an OSTree system and no OS specified",
        hint="name the stateroot: --stateroot=NAME"
        if sysroot.stateroots
        else "apt-ostree init --stateroot=NAME PATH",
    )


def find(sysroot: Sysroot, wanted: str | None) -> Target:
    """The target of a change."""
    stateroot = choose_stateroot(sysroot, wanted)
    own = sysroot.of(stateroot)
    if not own:
        return Target(sysroot, stateroot, pending=None, merge=None, origin=Origin())
    return Target(
        sysroot=sysroot,
        stateroot=stateroot,
        pending=own[0],
        merge=sysroot.merge_deployment(stateroot) or own[0],
        origin=origins.parse(own[0].origin, source=f"the origin of {own[0].id}"),
    )


@contextmanager
def locked(path: Path, wanted: str | None) -> Iterator[Target]:
    """Open a sysroot and hold its lock for the time of the block."""
    sysroot = Sysroot.open(path)
    with sysroot.lock():
        leavings.sweep(sysroot)
        yield find(sysroot, wanted)

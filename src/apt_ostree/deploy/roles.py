"""Which deployment is what to a stateroot: current, pending, rollback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from apt_ostree.ostree.sysroot import Deployment, Sysroot


@dataclass(frozen=True, slots=True)
class Roles:
    """The deployments of one stateroot, in boot order, by their place beside the current one.

    Current is the booted one.  Where nothing of the stateroot runs (an offline sysroot) it is the
    default, which then has no pending one before it: what boots next is what counts there.
    """

    pending: tuple[Deployment, ...] = ()
    current: Deployment | None = None
    rollback: tuple[Deployment, ...] = ()

    @classmethod
    def of(cls, sysroot: Sysroot, stateroot: str) -> Self:
        own = sysroot.of(stateroot)
        if not own:
            return cls()
        at = next((i for i, d in enumerate(own) if d.booted), 0)
        return cls(own[:at], own[at], own[at + 1 :])

"""The sysroot as the daemon last read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import status, target, update
from apt_ostree.ostree.sysroot import Sysroot
from apt_ostree.wire import codec
from apt_ostree.wire.glib import GLib

Json = Mapping[str, Any]
ROLES = ("BootedDeployment", "DefaultDeployment", "RollbackDeployment")


class State:
    """`deployments` are dictionaries in boot order; `stateroots` those that exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.deployments: tuple[Json, ...] = ()
        self.stateroots: tuple[str, ...] = ()

    def reload(self) -> None:
        """Read it anew.  On failure what was known stays; the error says that it is a reload."""
        try:
            self.stateroots = Sysroot.open(self.path).stateroots
            self.deployments = tuple(status.deployments(self.path))
        except AptOstreeError as err:
            raise AptOstreeError(f"Sysroot reload: {err.message}", hint=err.hint) from err

    @property
    def booted(self) -> Json | None:
        return next((d for d in self.deployments if d["booted"]), None)

    def choose(self, name: str) -> str:
        """The stateroot of that name; the booted or only one for the empty name."""
        if name and name not in self.stateroots:
            raise AptOstreeError(f'OS name "{name}" not found')
        if name:
            return name
        return target.choose_stateroot(Sysroot.open(self.path), None)

    def role(self, stateroot: str, name: str) -> GLib.Variant:
        """The deployment of a stateroot that is its property `name`, `{}` where there is none."""
        own = [d for d in self.deployments if d["osname"] == stateroot]
        booted = next((d for d in own if d["booted"]), None)
        after = own[own.index(booted) + 1 :] if booted is not None else own[1:]
        found = dict(
            zip(ROLES, (booted, next(iter(own), None), next(iter(after), None)), strict=True)
        )
        return codec.dictionary(found[name] or {}, codec.DEPLOYMENT)

    def cached_update(self, stateroot: str) -> Json | None:
        """What the last check found, as long as it is about what runs (or, offline, boots)."""
        own = [d for d in self.deployments if d["osname"] == stateroot]
        current = next((d for d in own if d["booted"]), own[0] if own else None)
        return None if current is None else update.stored(self.path, stateroot, current["checksum"])

    def all(self) -> GLib.Variant:
        return GLib.Variant(
            "aa{sv}", [codec.entries(d, codec.DEPLOYMENT) for d in self.deployments]
        )

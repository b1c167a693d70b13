"""Looking for updates: the automatic policy, and what would differ before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apt_ostree.daemon import authority as rules
from apt_ostree.daemon import process, starting
from apt_ostree.daemon.config import AutomaticUpdatePolicy as Policy
from apt_ostree.daemon.core import Core
from apt_ostree.daemon.exported import Caller, Method
from apt_ostree.daemon.job import Job
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change, Options
from apt_ostree.wire import codec
from apt_ostree.wire.glib import GLib
from apt_ostree.wire.keys import INITIATOR
from apt_ostree.wire.values import text

# of the rows of a cached update, and of the diff that the methods return
_KINDS = {"added": 0, "removed": 1, "upgraded": 2, "downgraded": 3}
_DETAILS = ("osname", "checksum", "version", "timestamp", "origin", "signatures")


class UpdateMethods:
    """Part of the OS interface of one stateroot."""

    def __init__(self, core: Core, stateroot: str, path: str) -> None:
        self._core = core
        self._stateroot = stateroot
        self._path = path
        self.methods: Mapping[str, Method] = {
            "AutomaticUpdateTrigger": self._trigger,
            "DownloadUpdateRpmDiff": self._download_update,
            "DownloadDeployRpmDiff": self._download_deploy,
            "DownloadRebaseRpmDiff": self._download_rebase,
            "GetCachedUpdateRpmDiff": self._cached_update,
            "GetCachedDeployRpmDiff": self._cached_deploy,
            "GetCachedRebaseRpmDiff": self._cached_rebase,
        }

    async def _trigger(self, caller: Caller, options: Mapping[str, Any]) -> GLib.Variant:
        await self._allow(caller, "AutomaticUpdateTrigger")
        policy = self._policy(text(options, "mode") or "auto")
        booted = self._core.state.booted
        if booted is not None and booted["osname"] != self._stateroot:
            raise AptOstreeError(f"Cannot trigger auto-update for offline OS '{self._stateroot}'")
        if policy is Policy.NONE:
            return GLib.Variant("(bs)", (False, ""))
        is_check = policy is Policy.CHECK
        job = self._job(
            Change(pull_base=True),
            Options(only_check=is_check, command_line=text(options, INITIATOR) or ""),
            reboot=policy is Policy.APPLY,
        )
        title = f"automatic ({'check' if is_check else 'stage'})"
        answer = await self._begin(caller, "AutomaticUpdateTrigger", job, title, policy.value)
        return GLib.Variant("(bs)", (True, *answer.unpack()))

    def _policy(self, mode: str) -> Policy:
        return self._core.config.automatic_update_policy if mode == "auto" else Policy.parse(mode)

    # -- fetch what is needed to tell the difference

    async def _download_update(self, caller: Caller) -> GLib.Variant:
        return await self._download(caller, "DownloadUpdateRpmDiff", Change(pull_base=True))

    async def _download_deploy(
        self, caller: Caller, revision: str, packages: Sequence[str]
    ) -> GLib.Variant:
        return await self._download(
            caller, "DownloadDeployRpmDiff", _to_revision(revision, packages)
        )

    async def _download_rebase(
        self, caller: Caller, refspec: str, packages: Sequence[str]
    ) -> GLib.Variant:
        return await self._download(caller, "DownloadRebaseRpmDiff", _to_refspec(refspec, packages))

    async def _download(self, caller: Caller, method: str, change: Change) -> GLib.Variant:
        await self._allow(caller, method)
        job = self._job(change, Options(only_check=True, allow_downgrade=True))
        return await self._begin(caller, method, job, "package-diff", change)

    # -- the difference itself, without the network

    async def _cached_update(self, caller: Caller, deployment: str) -> GLib.Variant:
        await self._allow(caller, "GetCachedUpdateRpmDiff")
        if deployment and not any(d["id"] == deployment for d in self._core.state.deployments):
            raise AptOstreeError(f"Deployment with id '{deployment}' not found")
        found = self._core.state.cached_update(self._stateroot)
        return _answer(found or {})

    async def _cached_deploy(
        self, caller: Caller, revision: str, packages: Sequence[str]
    ) -> GLib.Variant:
        await self._allow(caller, "GetCachedDeployRpmDiff")
        return await self._cached(_to_revision(revision, packages))

    async def _cached_rebase(
        self, caller: Caller, refspec: str, packages: Sequence[str]
    ) -> GLib.Variant:
        await self._allow(caller, "GetCachedRebaseRpmDiff")
        return await self._cached(_to_refspec(refspec, packages))

    async def _cached(self, change: Change) -> GLib.Variant:
        options = Options(only_check=True, cache_only=True, allow_downgrade=True)
        outcome = await process.ask(self._job(change, options))
        return _answer(outcome["notes"].get("cached-update", {}))

    # --

    def _job(self, change: Change, options: Options, **parameters: Any) -> Job:
        return Job(
            "change", str(self._core.state.path), self._stateroot, change, options,
            parameters=parameters,
        )  # fmt: skip

    async def _allow(self, caller: Caller, method: str) -> None:
        await self._core.authority.require(caller, "OS", method, (rules.ACTIONS[method],))

    async def _begin(
        self, caller: Caller, method: str, job: Job, title: str, key: Any
    ) -> GLib.Variant:
        return await starting.begin(
            self._core, caller, job, method=method, path=self._path, title=title, key=(method, key)
        )


def _to_revision(revision: str, packages: Sequence[str]) -> Change:
    return Change(pull_base=True, revision=revision, install=tuple(packages))


def _to_refspec(refspec: str, packages: Sequence[str]) -> Change:
    return Change(pull_base=True, refspec=refspec, install=tuple(packages))


def _answer(update: Mapping[str, Any]) -> GLib.Variant:
    """`a(sua{sv})` and the details, of a cached update; both empty without one."""
    rows = [
        row
        for kind, number in _KINDS.items()
        for row in sorted(_row(number, r) for r in update.get("rpm-diff", {}).get(kind, ()))
    ]
    details = {key: update[key] for key in _DETAILS if key in update}
    packed = codec.entries(details, codec.CACHED_UPDATE)
    body = [(name, number, _package_values(values)) for name, number, values in rows]
    return GLib.Variant("(a(sua{sv})a{sv})", (body, packed))


def _row(number: int, raw: Sequence[Any]) -> tuple[str, int, list[tuple[str, tuple[str, ...]]]]:
    _, name, *versions = raw
    if number in (2, 3):
        old, new = versions
        return name, number, [("PreviousPackage", (name, *old)), ("NewPackage", (name, *new))]
    key = "NewPackage" if number == 0 else "PreviousPackage"
    return name, number, [(key, (name, *versions))]


def _package_values(values: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, GLib.Variant]:
    return {key: GLib.Variant("(sss)", package) for key, package in values}

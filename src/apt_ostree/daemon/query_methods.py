"""Questions about packages and sources; each is answered by a process that may open apt's cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apt_ostree.daemon import authority as rules
from apt_ostree.daemon import process, starting
from apt_ostree.daemon.core import Core
from apt_ostree.daemon.exported import Caller, Method
from apt_ostree.daemon.job import Job
from apt_ostree.errors import AptOstreeError
from apt_ostree.wire import codec
from apt_ostree.wire.glib import GLib

_PACKAGE = {"epoch": "t"}


class QueryMethods:
    """Part of the OS interface of one stateroot."""

    def __init__(self, core: Core, stateroot: str, path: str) -> None:
        self._core = core
        self._stateroot = stateroot
        self._path = path
        self.methods: Mapping[str, Method] = {
            "Search": self._search,
            "GetPackages": self._packages,
            "WhatProvides": self._providers,
            "ListRepos": self._sources,
            "ModifyYumRepo": self._modify,
            "GetDeploymentsRpmDiff": self._diff,
        }

    async def _search(self, _caller: Caller, terms: Sequence[str]) -> GLib.Variant:
        return await self._ask_packages("search", terms)

    async def _packages(self, _caller: Caller, names: Sequence[str]) -> GLib.Variant:
        return await self._ask_packages("packages", names)

    async def _providers(self, _caller: Caller, names: Sequence[str]) -> GLib.Variant:
        return await self._ask_packages("providers", names)

    async def _ask_packages(self, verb: str, words: Sequence[str]) -> GLib.Variant:
        if not words:
            raise AptOstreeError("No queries passed")
        rows = await process.ask(self._job(verb, words=tuple(words)))
        return GLib.Variant("(aa{sv})", ([codec.entries(r, _PACKAGE) for r in rows],))

    async def _sources(self, _caller: Caller) -> GLib.Variant:
        rows = await process.ask(self._job("sources"))
        return GLib.Variant("(aa{sv})", ([codec.entries(r, {}) for r in rows],))

    async def _modify(
        self, caller: Caller, source: str, settings: Mapping[str, str]
    ) -> GLib.Variant:
        method = "ModifyYumRepo"
        await self._core.authority.require(caller, "OS", method, (rules.ACTIONS[method],))
        job = self._job("modify-source", source=source, settings=dict(settings))
        return await starting.begin(
            self._core, caller, job, method=method, path=self._path, title="modify-yum-repo",
            key=(method, source, tuple(sorted(settings.items()))),
        )  # fmt: skip

    async def _diff(self, caller: Caller, before: str, after: str) -> GLib.Variant:
        method = "GetDeploymentsRpmDiff"
        await self._core.authority.require(caller, "OS", method, (rules.ACTIONS[method],))
        commits = {"from": self._commit_of(before), "to": self._commit_of(after)}
        rows = await process.ask(self._job("diff", **commits))
        return GLib.Variant("(a(sua{sv}))", ([_diff_row(*row) for row in rows],))

    def _commit_of(self, deployment: str) -> str:
        if not deployment:
            raise AptOstreeError("empty deployment ID")
        found = next((d for d in self._core.state.deployments if d["id"] == deployment), None)
        if found is None:
            raise AptOstreeError(f"Deployment with id '{deployment}' not found")
        checksum: str = found["checksum"]
        return checksum

    def _job(self, verb: str, **parameters: Any) -> Job:
        return Job(verb, str(self._core.state.path), self._stateroot, parameters=parameters)


def _diff_row(name: str, kind: int, packages: Mapping[str, Sequence[str]]) -> Any:
    details = {key: GLib.Variant("(sss)", tuple(value)) for key, value in packages.items()}
    return name, kind, details

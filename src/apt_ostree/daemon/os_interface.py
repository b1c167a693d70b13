"""The OS interface: what can be asked of one stateroot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from apt_ostree.daemon import authority as rules
from apt_ostree.daemon import starting, titles
from apt_ostree.daemon.core import Core
from apt_ostree.daemon.exported import Caller, Exported
from apt_ostree.daemon.job import Job
from apt_ostree.daemon.query_methods import QueryMethods
from apt_ostree.daemon.state import ROLES
from apt_ostree.daemon.update_methods import UpdateMethods
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import kargs
from apt_ostree.model.change import Change, Options
from apt_ostree.wire import codec, decode, driver, names
from apt_ostree.wire.glib import GLib
from apt_ostree.wire.values import flag, text


class OSInterface:
    def __init__(self, core: Core, stateroot: str) -> None:
        self._core = core
        self.stateroot = stateroot
        self.path = names.os_path(stateroot)
        methods = {name: self._changer(name) for name in decode.METHODS}
        methods |= {
            "Rollback": self._rollback,
            "ClearRollbackTarget": self._clear_rollback,
            "Cleanup": self._cleanup,
            "FinalizeDeployment": self._finalize,
            "RefreshMd": self._refresh,
            "GetDeploymentBootConfig": self._boot_config,
        }
        methods |= UpdateMethods(core, stateroot, self.path).methods
        methods |= QueryMethods(core, stateroot, self.path).methods
        self.exported = Exported(
            names.OS, self.path, methods=methods,
            properties={
                "Name": lambda: GLib.Variant("s", stateroot),
                **{role: partial(core.state.role, stateroot, role) for role in ROLES},
                "CachedUpdate": lambda: codec.dictionary(
                    self._cached_update(), codec.CACHED_UPDATE
                ),
                "HasCachedUpdateRpmDiff": lambda: GLib.Variant(
                    "b", "rpm-diff" in self._cached_update()
                ),
            },
            on_call=core.touch,
        )  # fmt: skip

    def _cached_update(self) -> Mapping[str, Any]:
        return self._core.state.cached_update(self.stateroot) or {}

    # -- changes

    def _changer(self, method: str) -> Any:
        async def call(caller: Caller, *arguments: Any) -> GLib.Variant:
            return await self._change(method, caller, arguments)

        return call

    async def _change(self, method: str, caller: Caller, arguments: Sequence[Any]) -> GLib.Variant:
        await self._allow(caller, method, arguments)
        request = decode.decode(method, arguments, fd_count=len(caller.fds))
        if request.register_driver is not None:
            asking = await self._core.clients.initiator(caller.name)
            driver.store(
                self._core.runtime, driver.UpdateDriver(request.register_driver, asking.unit)
            )
        handles = {
            attribute: tuple(caller.fds[h] for h in found)
            for attribute, found in (request.handles or {}).items()
        }
        is_only_driver = request.register_driver is not None and request.change == Change(
            pull_base=True, skip_branch_check=request.change.skip_branch_check
        )
        job = Job(
            "register-driver" if is_only_driver else "change",
            str(self._core.state.path),
            self.stateroot,
            request.change,
            request.options,
            handles=handles,
            repo=None if request.repo is None else caller.fds[request.repo],
            parameters={"reboot": request.reboot, "live": request.apply_live},
        )
        title = titles.of_request(method, request)
        # Descriptors are not equal to others, so a call with some is never joined.
        key = (method, arguments, caller.fds and caller.name)
        return await self._begin(caller, method, job, title=title, key=key)

    async def _rollback(self, caller: Caller, options: Mapping[str, Any]) -> GLib.Variant:
        await self._allow(caller, "Rollback", ())
        job = self._job("rollback", reboot=flag(options, "reboot"))
        return await self._begin(caller, "Rollback", job, title="rollback", key=("Rollback",))

    async def _clear_rollback(self, caller: Caller, options: Mapping[str, Any]) -> GLib.Variant:
        method, title = "ClearRollbackTarget", "clear-rollback"
        await self._allow(caller, method, ())
        job = self._job("cleanup", elements=("rollback-deploy",), reboot=flag(options, "reboot"))
        return await self._begin(caller, method, job, title=title, key=(title,))

    async def _finalize(self, caller: Caller, options: Mapping[str, Any]) -> GLib.Variant:
        await self._allow(caller, "FinalizeDeployment", ())
        checksum = text(options, "checksum") or None
        if checksum is None and not flag(options, "allow-missing-checksum"):
            raise AptOstreeError("Missing expected checksum")
        job = self._job(
            "finalize", checksum=checksum, allow_unlocked=flag(options, "allow-unlocked"),
            reboot=True,
        )  # fmt: skip
        title = "finalize-deployment"
        return await self._begin(caller, "FinalizeDeployment", job, title=title, key=(checksum,))

    async def _cleanup(self, caller: Caller, elements: Sequence[str]) -> GLib.Variant:
        await self._allow(caller, "Cleanup", ())
        job = self._job("cleanup", elements=tuple(elements))
        key = ("Cleanup", tuple(elements))
        return await self._begin(caller, "Cleanup", job, title="cleanup", key=key)

    async def _refresh(self, caller: Caller, options: Mapping[str, Any]) -> GLib.Variant:
        await self._allow(caller, "RefreshMd", ())
        is_forced = flag(options, "force")
        job = self._job("refresh", force=is_forced)
        title = "refresh-md (force)" if is_forced else "refresh-md"
        return await self._begin(caller, "RefreshMd", job, title=title, key=(title,))

    def _job(self, verb: str, **parameters: Any) -> Job:
        return Job(
            verb, str(self._core.state.path), self.stateroot, options=Options(),
            parameters=parameters,
        )  # fmt: skip

    async def _begin(
        self, caller: Caller, method: str, job: Job, *, title: str, key: Any
    ) -> GLib.Variant:
        return await starting.begin(
            self._core, caller, job, method=method, path=self.path, title=title, key=key
        )

    async def _allow(self, caller: Caller, method: str, arguments: Sequence[Any]) -> None:
        actions: Sequence[str]
        if method == "UpdateDeployment":
            actions = rules.of_update(*arguments)
        else:
            actions = (rules.ACTIONS[method],)
        await self._core.authority.require(caller, "OS", method, actions)

    # -- questions

    async def _boot_config(
        self,
        _caller: Caller,
        deployment: str,
        is_pending: bool,  # noqa: FBT001
    ) -> GLib.Variant:
        if deployment and not deployment.isdecimal():
            raise AptOstreeError(
                f"Invalid deployment index {deployment}, must be a number and >= 0"
            )
        index = int(deployment) if deployment else None
        if index is None and not is_pending:
            index = next(
                (i for i, d in enumerate(self._core.state.deployments) if d["booted"]), None
            )
        line = kargs.show(self._core.state.path, self.stateroot, index)
        found = {"staged": GLib.Variant("b", False), "options": GLib.Variant("s", line)}
        return GLib.Variant("(a{sv})", (found,))

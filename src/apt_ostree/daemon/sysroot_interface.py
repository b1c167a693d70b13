"""The Sysroot interface: the machine as a whole, and who its clients are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from apt_ostree import __version__
from apt_ostree.daemon import authority as rules
from apt_ostree.daemon.core import Core
from apt_ostree.daemon.exported import Caller, Exported
from apt_ostree.wire import names
from apt_ostree.wire.glib import GLib
from apt_ostree.wire.values import text


class SysrootInterface:
    """`reload` reads the sysroot anew, `reload_config` the configuration too."""

    def __init__(
        self, core: Core, *, reload: Callable[[], None], reload_config: Callable[[], None]
    ) -> None:
        self._core = core
        self._reload_all = reload
        self._reload_config_all = reload_config
        self._started_s = time.monotonic()
        self.exported = Exported(
            names.SYSROOT,
            names.SYSROOT_PATH,
            methods={
                "RegisterClient": self._register,
                "UnregisterClient": self._unregister,
                "Reload": self._reload,
                "ReloadConfig": self._reload_config,
                "GetOS": self._get_os,
                "Ping": self._ping,
            },
            properties={
                "Booted": self._booted,
                "Path": lambda: GLib.Variant("s", str(core.state.path)),
                "ActiveTransaction": self._active,
                "ActiveTransactionPath": self._address,
                "AutomaticUpdatePolicy": self._policy,
                "Deployments": core.state.all,
            },
            on_call=core.touch,
        )

    def _booted(self) -> GLib.Variant:
        booted = self._core.state.booted
        return GLib.Variant("o", "/" if booted is None else names.os_path(booted["osname"]))

    def _active(self) -> GLib.Variant:
        active = self._core.transactions.active
        if active is None:
            return GLib.Variant("(sss)", ("", "", ""))
        return GLib.Variant("(sss)", (active.method, active.initiator.name, active.path))

    def _address(self) -> GLib.Variant:
        active = self._core.transactions.active
        return GLib.Variant("s", "" if active is None else active.address)

    def _policy(self) -> GLib.Variant:
        return GLib.Variant("s", self._core.config.automatic_update_policy.value)

    async def _register(self, caller: Caller, options: Mapping[str, Any]) -> None:
        await self._allow(caller, "RegisterClient")
        await self._core.clients.register(caller.name, text(options, "id") or "")

    async def _unregister(self, caller: Caller, _options: Mapping[str, Any]) -> None:
        await self._allow(caller, "UnregisterClient")
        self._core.clients.unregister(caller.name)

    async def _reload(self, _caller: Caller) -> None:
        self._reload_all()

    async def _reload_config(self, caller: Caller) -> None:
        await self._allow(caller, "ReloadConfig")
        self._reload_config_all()

    async def _get_os(self, _caller: Caller, name: str) -> GLib.Variant:
        return GLib.Variant("(o)", (names.os_path(self._core.state.choose(name)),))

    async def _ping(self, _caller: Caller) -> GLib.Variant:
        active = self._core.transactions.active
        answer = {
            "version": GLib.Variant("s", __version__),
            "pid": GLib.Variant("u", os.getpid()),
            "uptime": GLib.Variant("t", int(time.monotonic() - self._started_s)),
            "transaction": GLib.Variant("s", "" if active is None else active.title),
        }
        return GLib.Variant("(a{sv})", (answer,))

    async def _allow(self, caller: Caller, method: str) -> None:
        await self._core.authority.require(caller, "Sysroot", method, (rules.ACTIONS[method],))

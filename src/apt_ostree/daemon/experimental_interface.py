"""The OSExperimental interface: the bus lets root call it only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apt_ostree.daemon.core import Core
from apt_ostree.daemon.exported import Caller, Exported
from apt_ostree.daemon.job import Job
from apt_ostree.daemon.starting import begin
from apt_ostree.wire import names
from apt_ostree.wire.glib import GLib
from apt_ostree.wire.values import flag, text

_COW = """\
 ____________________________
< apt-ostree: one tree, whole >
 ----------------------------
        \\   ^__^
         \\  (oo)\\_______
            (__)\\       )\\/\\
                ||----w |
                ||     ||
"""


class ExperimentalInterface:
    def __init__(self, core: Core, stateroot: str) -> None:
        self._core = core
        self._stateroot = stateroot
        self.exported = Exported(
            names.EXPERIMENTAL,
            names.os_path(stateroot),
            methods={"Moo": self._moo, "LiveFs": self._live},
            on_call=core.touch,
        )

    async def _moo(self, _caller: Caller, is_utf8: bool) -> GLib.Variant:  # noqa: FBT001
        return GLib.Variant("(s)", ("🐄\n" if is_utf8 else _COW,))

    async def _live(self, caller: Caller, options: Mapping[str, Any]) -> GLib.Variant:
        await self._core.authority.require_root(caller, "OSExperimental", "LiveFs")
        parameters = {
            "to": text(options, "target") or None,
            "allow_replacement": flag(options, "replace"),
        }
        job = Job(
            "live", str(self._core.state.path), self._stateroot, parameters=parameters
        )  # fmt: skip
        key = ("LiveFs", tuple(sorted(parameters.items(), key=str)))
        return await begin(
            self._core, caller, job, method="LiveFs", path=self.exported.path, title="", key=key
        )

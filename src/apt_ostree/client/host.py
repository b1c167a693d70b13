"""The running host, through its daemon: what the commands call instead of doing it themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from apt_ostree.client.bus import Bus, DeniedError
from apt_ostree.client.follow import Following
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change, Options, Outcome
from apt_ostree.model.plan import SourceInfo
from apt_ostree.model.progress import Progress, Silent
from apt_ostree.wire import encode, names
from apt_ostree.wire.glib import GLib

# Headers of the match groups of a search.
_GROUPS = {
    "match_group_a": "Summary & Name Matched",
    "match_group_b": "Name Matched",
    "match_group_c": "Summary Matched",
}


class Host:
    """A registered client.  Every method raises what the daemon answers with."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @classmethod
    def connect(cls, identity: str) -> Host:
        """Raises UnreachableError when there is no daemon.

        A user who may not register is served all the same; the daemon just does not wait for more.
        """
        bus = Bus.system()
        with suppress(DeniedError):
            bus.register(identity)
        return cls(bus)

    # -- looking

    def sysroot(self) -> Mapping[str, Any]:
        """The properties of the sysroot, read anew by the daemon."""
        self._bus.call(names.SYSROOT_PATH, names.SYSROOT, "Reload")
        return self._bus.properties(names.SYSROOT_PATH, names.SYSROOT)

    def state(self) -> dict[str, Any]:
        """What only the daemon knows.

        {transaction: [method, sender, path] or None, title, initiator, policy, update}; `update` is
        what the last check has found for the stateroot that runs, or is the only one.
        """
        found = self.sysroot()
        who = list(found["ActiveTransaction"])
        state: dict[str, Any] = {
            "transaction": who if who[0] else None,
            "policy": found["AutomaticUpdatePolicy"],
            "update": self._cached_update(),
        }
        if address := found["ActiveTransactionPath"]:
            with suppress(AptOstreeError):  # it may end at any time
                state["title"], state["initiator"] = self._describe(address)
        return state

    def _cached_update(self) -> Mapping[str, Any] | None:
        try:
            (path,) = self._bus.call(
                names.SYSROOT_PATH, names.SYSROOT, "GetOS", GLib.Variant("(s)", ("",))
            )
        except AptOstreeError:
            return None  # there are several, and none of them runs
        update: Mapping[str, Any] = self._bus.properties(path, names.OS)["CachedUpdate"]
        return update or None

    def _describe(self, address: str) -> tuple[str, str]:
        watched = Following(self._bus, address, Silent())
        try:
            return watched.title(), watched.initiator()
        finally:
            watched.leave()

    def ping(self) -> Mapping[str, Any]:
        (found,) = self._bus.call(names.SYSROOT_PATH, names.SYSROOT, "Ping")
        answer: Mapping[str, Any] = found
        return answer

    def search(self, stateroot: str | None, terms: Sequence[str]) -> Iterable[tuple[str, str, str]]:
        (rows,) = self._os(stateroot, "Search", GLib.Variant("(as)", (list(terms),)))
        return ((_GROUPS[r["key"]], r["name"], r["summary"]) for r in rows)

    # -- changing

    def change(
        self,
        stateroot: str | None,
        edit: Change,
        options: Options,
        progress: Progress,
        *,
        reboot: bool = False,
        live: bool = False,
        driver: str | None = None,
    ) -> Outcome:
        call = encode.encode(edit, options, reboot=reboot, live=live, driver=driver)
        (address,) = self._os(stateroot, call.method, call.arguments, call.files)
        return Outcome.from_dict(self._follow(address, progress))

    def automatic_update(
        self, stateroot: str | None, command_line: str, progress: Progress, *, wait: bool
    ) -> bool:
        """Do what the configured policy says; False when that is nothing.

        `wait` follows the work here, else it goes on in the daemon alone.
        """
        options = {
            "mode": GLib.Variant("s", "auto"),
            "output-to-self": GLib.Variant("b", not wait),
            "initiating-command-line": GLib.Variant("s", command_line),
        }
        body = GLib.Variant("(a{sv})", (options,))
        is_enabled, address = self._os(stateroot, "AutomaticUpdateTrigger", body)
        if is_enabled:
            self._follow(address, progress)
        return bool(is_enabled)

    def rollback(self, stateroot: str | None, progress: Progress, *, reboot: bool) -> Outcome:
        body = GLib.Variant("(a{sv})", ({"reboot": GLib.Variant("b", reboot)},))
        (address,) = self._os(stateroot, "Rollback", body)
        return Outcome.from_dict(self._follow(address, progress))

    def finalize(
        self,
        stateroot: str | None,
        checksum: str | None,
        progress: Progress,
        *,
        allow_unlocked: bool,
    ) -> Outcome:
        options = {
            "checksum": GLib.Variant("s", checksum or ""),
            "allow-missing-checksum": GLib.Variant("b", checksum is None),
            "allow-unlocked": GLib.Variant("b", allow_unlocked),
        }
        body = GLib.Variant("(a{sv})", (options,))
        (address,) = self._os(stateroot, "FinalizeDeployment", body)
        return Outcome.from_dict(self._follow(address, progress))

    def apply_live(
        self, progress: Progress, *, target: str | None, reset: bool, replace: bool
    ) -> dict[str, Any]:
        if reset:
            booted = next((d for d in self.sysroot()["Deployments"] if d["booted"]), None)
            target, replace = None if booted is None else booted["checksum"], True
        options = {"replace": GLib.Variant("b", replace)}
        if target is not None:
            options["target"] = GLib.Variant("s", target)
        (path,) = self._bus.call(
            names.SYSROOT_PATH, names.SYSROOT, "GetOS", GLib.Variant("(s)", ("",))
        )
        body = GLib.Variant("(a{sv})", (options,))
        (address,) = self._bus.call(path, names.EXPERIMENTAL, "LiveFs", body)
        done: dict[str, Any] = self._follow(address, progress)
        return done

    def cleanup(
        self, stateroot: str | None, elements: Collection[str], progress: Progress
    ) -> dict[str, Any]:
        body = GLib.Variant("(as)", (sorted(elements),))
        (address,) = self._os(stateroot, "Cleanup", body)
        found: dict[str, Any] = self._follow(address, progress)
        return found

    def refresh(
        self, stateroot: str | None, progress: Progress, *, force: bool
    ) -> tuple[SourceInfo, ...]:
        body = GLib.Variant("(a{sv})", ({"force": GLib.Variant("b", force)},))
        (address,) = self._os(stateroot, "RefreshMd", body)
        rows = self._follow(address, progress)
        return tuple(SourceInfo(*row) for row in rows)

    def active(self, progress: Progress) -> Following | None:
        """The transaction that is under way."""
        address = self.sysroot()["ActiveTransactionPath"]
        return Following(self._bus, address, progress) if address else None

    def reload_config(self) -> None:
        self._bus.call(names.SYSROOT_PATH, names.SYSROOT, "ReloadConfig")

    def _os(
        self, stateroot: str | None, method: str, body: GLib.Variant, files: Sequence[Any] = ()
    ) -> Any:
        name = GLib.Variant("(s)", (stateroot or "",))
        (path,) = self._bus.call(names.SYSROOT_PATH, names.SYSROOT, "GetOS", name)
        return self._bus.call(path, names.OS, method, body, files=files)

    def _follow(self, address: str, progress: Progress) -> Any:
        return Following(self._bus, address, progress).run()

"""Calls to the daemon, with its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apt_ostree.errors import AptOstreeError, BusyError
from apt_ostree.wire import names, remote
from apt_ostree.wire.glib import Gio, GLib

_PATIENCE_MS = 5 * 60 * 1000  # a password may have to be typed
_TRIES = 5  # the daemon may be leaving while we call
_NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
_NOBODY = frozenset((
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.FileNotFound",
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
))  # fmt: skip


class UnreachableError(AptOstreeError):
    """There is no daemon to talk to, or no bus."""


class DeniedError(AptOstreeError):
    """The daemon does not let this user do that."""


class Bus:
    def __init__(self, connection: Gio.DBusConnection) -> None:
        self.connection = connection

    @classmethod
    def system(cls) -> Bus:
        try:
            return cls(Gio.bus_get_sync(Gio.BusType.SYSTEM, None))
        except GLib.Error as err:
            raise UnreachableError(f"connecting to the bus: {err.message}") from err

    def register(self, identity: str) -> None:
        """Make the daemon stay; starts it where the bus can."""
        options = {"id": GLib.Variant("s", identity)}
        body = GLib.Variant("(a{sv})", (options,))
        self.call(names.SYSROOT_PATH, names.SYSROOT, "RegisterClient", body)

    def call(
        self,
        path: str,
        interface: str,
        method: str,
        body: GLib.Variant | None = None,
        *,
        files: Sequence[Path] = (),
    ) -> Any:
        """The unpacked answer.  A call that met the daemon's exit is made again.

        Raises UnreachableError when there is no daemon, BusyError, or AptOstreeError with its text.
        """
        for _ in range(_TRIES):
            try:
                return self._call(path, interface, method, body, files)
            except GLib.Error as err:
                name, message = remote.describe(err)
                if name == _NO_REPLY:
                    continue
                raise _translated(name, message, err) from err
        raise UnreachableError(f"the daemon did not answer {method}")

    def _call(
        self,
        path: str,
        interface: str,
        method: str,
        body: GLib.Variant | None,
        files: Sequence[Path],
    ) -> Any:
        target = (names.BUS_NAME, path, interface, method, body)
        if not files:
            answer = self.connection.call_sync(
                *target, None, Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, _PATIENCE_MS, None
            )
            return answer.unpack()
        fds = Gio.UnixFDList()
        for file in files:
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fds.append(fd)  # it duplicates
            finally:
                os.close(fd)
        answer, _ = self.connection.call_with_unix_fd_list_sync(
            *target, None, Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, _PATIENCE_MS, fds,
            None,
        )  # fmt: skip
        return answer.unpack()

    def properties(self, path: str, interface: str) -> Mapping[str, Any]:
        body = GLib.Variant("(s)", (interface,))
        (found,) = self.call(path, "org.freedesktop.DBus.Properties", "GetAll", body)
        values: Mapping[str, Any] = found
        return values

    def on_daemon_gone(self, then: Callable[[], None]) -> int:
        """Call `then` when the daemon loses its name; returns what `forget` takes."""
        watch: int = Gio.bus_watch_name_on_connection(
            self.connection, names.BUS_NAME, Gio.BusNameWatcherFlags.NONE, None,
            lambda _bus, _name: then(),
        )  # fmt: skip
        return watch

    def forget(self, watch: int) -> None:
        Gio.bus_unwatch_name(watch)


def _translated(name: str, message: str, error: GLib.Error) -> AptOstreeError:
    if name in _NOBODY or (
        not name and error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CLOSED)
    ):
        return UnreachableError(message)
    first, *rest = message.split("\n")
    kinds = {names.IN_PROGRESS: BusyError, names.ACCESS_DENIED: DeniedError}
    return kinds.get(name, AptOstreeError)(first, details=rest)

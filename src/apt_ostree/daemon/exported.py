"""Objects on a D-Bus connection, by the interfaces of the XML file."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from apt_ostree.daemon import flow
from apt_ostree.errors import AptOstreeError, BusyError
from apt_ostree.wire import names
from apt_ostree.wire.glib import Gio, GLib

log = logging.getLogger(__name__)

# A checkout first, so that a developer's daemon speaks the developer's interface.
_FOLDERS = (
    Path(__file__).parents[3] / "data/dbus-1/interfaces",
    Path("/usr/share/dbus-1/interfaces"),
)
_PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
# From the D-Bus specification, which GLib serves only for objects of its own kind.
_OBJECT_MANAGER_XML = f"""
<node><interface name="{OBJECT_MANAGER}">
  <method name="GetManagedObjects">
    <arg name="objects" type="a{{oa{{sa{{sv}}}}}}" direction="out"/>
  </method>
  <signal name="InterfacesAdded">
    <arg name="object" type="o"/><arg name="interfaces" type="a{{sa{{sv}}}}"/>
  </signal>
  <signal name="InterfacesRemoved">
    <arg name="object" type="o"/><arg name="interfaces" type="as"/>
  </signal>
</interface></node>
"""


class NotAllowedError(AptOstreeError):
    """The caller may not do this."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the unique name on the bus (`""` on a private connection), the descriptors that
    came with the message, and the connection itself."""

    name: str
    fds: tuple[int, ...]
    connection: Gio.DBusConnection


Method = Callable[..., Awaitable[GLib.Variant | None]]


@cache
def interfaces() -> Mapping[str, Gio.DBusInterfaceInfo]:
    """The interfaces by name.  Raises AptOstreeError when the file is not installed."""
    path = next((f / names.XML for f in _FOLDERS if (f / names.XML).is_file()), None)
    if path is None:
        raise AptOstreeError(
            f"'{names.XML}' is not installed", hint="reinstall the package apt-ostree"
        )
    found: dict[str, Gio.DBusInterfaceInfo] = {}
    for text in (path.read_text(), _OBJECT_MANAGER_XML):
        found |= {i.name: i for i in Gio.DBusNodeInfo.new_for_xml(text).interfaces}
    return found


class Exported:
    """One interface of one object.

    `methods` maps names to coroutine functions that take the Caller and the arguments;
    `properties` has a function for each that gives its value anew: GLib asks for one at a time.
    """

    def __init__(
        self,
        interface: str,
        path: str,
        *,
        methods: Mapping[str, Method],
        properties: Mapping[str, Callable[[], GLib.Variant]] | None = None,
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self.interface = interface
        self.path = path
        self._methods = methods
        self._properties = properties or {}
        self._on_call = on_call
        self._registrations: list[tuple[Gio.DBusConnection, int]] = []
        self._known: Mapping[str, GLib.Variant] = {}

    def publish(self, connection: Gio.DBusConnection) -> None:
        # The older of the two keeps a reference to each invocation, and through it to the
        # connection, for ever (GLib 2.84 has the newer one for that reason).
        register = getattr(connection, "register_object_with_closures2", connection.register_object)
        number = register(self.path, interfaces()[self.interface], self._call, self._get, None)
        self._registrations.append((connection, number))
        self._known = self.values()

    def withdraw(self, connection: Gio.DBusConnection | None = None) -> None:
        for registration in list(self._registrations):
            there, number = registration
            if connection is None or there is connection:
                there.unregister_object(number)
                self._registrations.remove(registration)

    def values(self) -> dict[str, GLib.Variant]:
        return {name: value() for name, value in self._properties.items()}

    def emit(self, signal: str, body: GLib.Variant | None = None) -> None:
        for connection, _ in list(self._registrations):
            if not connection.is_closed():
                connection.emit_signal(None, self.path, self.interface, signal, body)

    def announce(self) -> None:
        """Tell of the properties that have other values than were told last."""
        now = self.values()
        changed = {k: v for k, v in now.items() if k not in self._known or self._known[k] != v}
        self._known = now
        if not changed:
            return
        body = GLib.Variant("(sa{sv}as)", (self.interface, changed, []))
        for connection, _ in list(self._registrations):
            if not connection.is_closed():
                connection.emit_signal(None, self.path, _PROPERTIES, "PropertiesChanged", body)

    def _get(
        self, _connection: Gio.DBusConnection, _sender: str, _path: str, _interface: str, name: str
    ) -> GLib.Variant | None:
        value = self._properties.get(name)
        return None if value is None else value()

    def _call(
        self,
        connection: Gio.DBusConnection,
        sender: str | None,
        _path: str,
        _interface: str,
        method: str,
        parameters: GLib.Variant,
        invocation: Gio.DBusMethodInvocation,
    ) -> None:
        self._on_call()
        fds = _descriptors(invocation)
        caller = Caller(sender or "", fds, connection)

        def done(value: GLib.Variant | None, error: BaseException | None) -> None:
            for fd in fds:
                os.close(fd)
            if error is None:
                invocation.return_value(value)
            else:
                invocation.return_dbus_error(*_as_dbus_error(error))

        flow.start(self._run(method, caller, parameters.unpack()), done)

    async def _run(
        self, method: str, caller: Caller, arguments: Sequence[Any]
    ) -> GLib.Variant | None:
        if method not in self._methods:
            raise AptOstreeError(f"{method} is not available in this version")
        return await self._methods[method](caller, *arguments)


def _descriptors(invocation: Gio.DBusMethodInvocation) -> tuple[int, ...]:
    """The caller's descriptors, ours to close."""
    found = invocation.get_message().get_unix_fd_list()
    return () if found is None else tuple(found.steal_fds())


def _as_dbus_error(error: BaseException) -> tuple[str, str]:
    match error:
        case NotAllowedError():
            return names.ACCESS_DENIED, error.message
        case BusyError():
            return names.IN_PROGRESS, error.message
        case AptOstreeError():
            return names.FAILED, error.message
        case _:
            log.error("internal error", exc_info=error)
            return names.FAILED, f"internal error: {type(error).__name__}: {error}"

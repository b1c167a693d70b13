"""The clients that have registered: who they say they are, and what the system knows of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apt_ostree.daemon.authority import Authority
from apt_ostree.daemon.transaction import Initiator
from apt_ostree.system.cgroup import unit_of
from apt_ostree.wire.glib import Gio, GLib

_ID_LENGTH = 200  # of the name that a client gives itself; it is shown on one line


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    uid: int
    id: str = ""
    unit: str = ""

    def __str__(self) -> str:
        parts = [
            f"id:{self.id}" if self.id else "",
            f"dbus:{self.name}",
            f"unit:{self.unit}" if self.unit else "",
            f"uid:{self.uid}",
        ]
        return f"client({' '.join(p for p in parts if p)})"


class Clients:
    """`on_change` is called after somebody came or left; `on_vanished` with the name of whoever
    left the bus, registered or not, for whom `watch` was called."""

    def __init__(
        self,
        bus: Gio.DBusConnection,
        authority: Authority,
        *,
        on_change: Callable[[], None],
        on_vanished: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._authority = authority
        self._on_change = on_change
        self._on_vanished = on_vanished
        self._registered: dict[str, Client] = {}
        self._watched: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._registered)

    async def register(self, name: str, identity: str) -> None:
        printable = "".join(c for c in identity if c.isprintable() and not c.isspace())
        client = await self._seen(name, printable[:_ID_LENGTH])
        self.watch(name)
        self._registered[name] = client
        self._on_change()

    def unregister(self, name: str) -> None:
        if self._registered.pop(name, None) is not None:
            self._on_change()

    def watch(self, name: str) -> None:
        if name not in self._watched:
            self._watched[name] = Gio.bus_watch_name_on_connection(
                self._bus, name, Gio.BusNameWatcherFlags.NONE, None, self._vanished
            )

    async def initiator(self, name: str) -> Initiator:
        """The caller as a transaction remembers it."""
        client = self._registered.get(name) or await self._seen(name, "")
        return Initiator(name, client.uid, str(client), client.unit)

    async def _seen(self, name: str, identity: str) -> Client:
        uid = await self._authority.uid(name)
        pid = await self._authority.pid(name)
        return Client(name, uid, identity, unit_of(pid))

    def _vanished(self, _bus: Gio.DBusConnection, name: str) -> None:
        watch = self._watched.pop(name, None)
        if watch is not None:
            GLib.idle_add(_unwatch, watch)
        self.unregister(name)
        self._on_vanished(name)


def _unwatch(watch: int) -> bool:
    Gio.bus_unwatch_name(watch)
    return bool(GLib.SOURCE_REMOVE)

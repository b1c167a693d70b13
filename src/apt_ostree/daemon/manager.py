"""The ObjectManager: which objects there are, now and as they come and go."""

from __future__ import annotations

from apt_ostree.daemon.exported import OBJECT_MANAGER, Caller, Exported
from apt_ostree.wire import names
from apt_ostree.wire.glib import Gio, GLib


class Manager:
    def __init__(self, bus: Gio.DBusConnection) -> None:
        self._bus = bus
        self._objects: list[Exported] = []
        self._exported = Exported(
            OBJECT_MANAGER, names.ROOT_PATH, methods={"GetManagedObjects": self._all}
        )
        self._exported.publish(bus)

    def add(self, *objects: Exported) -> None:
        """Publish an object, one `Exported` for each of its interfaces."""
        for each in objects:
            each.publish(self._bus)
            self._objects.append(each)
        body = GLib.Variant("(oa{sa{sv}})", (objects[0].path, _interfaces(*objects)))
        self._exported.emit("InterfacesAdded", body)

    def remove(self, path: str) -> None:
        gone = [o for o in self._objects if o.path == path]
        for each in gone:
            each.withdraw()
            self._objects.remove(each)
        body = GLib.Variant("(oas)", (path, [o.interface for o in gone]))
        self._exported.emit("InterfacesRemoved", body)

    def announce(self) -> None:
        """Tell of every property that has changed."""
        for each in self._objects:
            each.announce()

    async def _all(self, _caller: Caller) -> GLib.Variant:
        by_path: dict[str, list[Exported]] = {}
        for each in self._objects:
            by_path.setdefault(each.path, []).append(each)
        found = {path: _interfaces(*objects) for path, objects in by_path.items()}
        return GLib.Variant("(a{oa{sa{sv}}})", (found,))


def _interfaces(*objects: Exported) -> dict[str, dict[str, GLib.Variant]]:
    return {o.interface: o.values() for o in objects}

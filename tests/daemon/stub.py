"""A service with the interfaces of apt-ostreed that answers every call with one error.

    stub.py ADDRESS INTERFACES.xml

Says `ready` when it has its name and ends when its standard input does.
"""

import sys

import gi

gi.require_version("Gio", "2.0")

from gi.repository import Gio, GLib  # noqa: E402

REACHED = "org.aptostree.test.Reached"


def answer(_bus, _sender, _path, _interface, _member, _arguments, invocation):
    invocation.return_dbus_error(REACHED, "it came through")


def main(address, interfaces):
    flags = (
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    )
    bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
    with open(interfaces, encoding="utf-8") as file:
        node = Gio.DBusNodeInfo.new_for_xml(file.read())
    for interface in node.interfaces:
        bus.register_object("/stub", interface, answer, lambda *_: GLib.Variant("s", "value"), None)
    loop = GLib.MainLoop()
    Gio.bus_own_name_on_connection(
        bus, "org.aptostree.dev", Gio.BusNameOwnerFlags.NONE,
        lambda *_: print("ready", flush=True), lambda *_: loop.quit(),
    )  # fmt: skip
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IOCondition.HUP, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])

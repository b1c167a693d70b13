#!/usr/bin/python3
"""Install a package through the daemon and follow the work.  Usage: install.py PACKAGE

A method that changes something answers with the address of a D-Bus socket of its own; `Start` there
begins the work, signals tell of it, `Finished` ends it.
"""

import sys

from gi.repository import Gio, GLib

NAME, PREFIX = "org.aptostree.dev", "org.aptostree.dev1"
ROOT = "/org/aptostree/dev1"


def main(package: str) -> int:
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)

    def call(path: str, method: str, body: GLib.Variant):
        interface, _, member = method.rpartition(".")
        flags = Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION
        answer = bus.call_sync(
            NAME, path, f"{PREFIX}.{interface}", member, body, None, flags, -1, None
        )
        return answer.unpack()[0]

    system = call(f"{ROOT}/Sysroot", "Sysroot.GetOS", GLib.Variant("(s)", ("",)))
    request = GLib.Variant("(a{sv}asas)", ({}, [package], []))
    address = call(system, "OS.PkgChange", request)

    client = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
    work = Gio.DBusConnection.new_for_address_sync(address, client, None, None)
    loop, end = GLib.MainLoop(), []

    def heard(_work, _sender, _path, _interface, signal, body):
        if signal == "Finished":
            end.extend(body.unpack())
            loop.quit()
        else:
            print(signal, *body.unpack())

    none = Gio.DBusSignalFlags.NONE
    work.signal_subscribe(None, f"{PREFIX}.Transaction", None, "/", None, none, heard)
    work.call_sync(None, "/", f"{PREFIX}.Transaction", "Start", None, None, 0, -1, None)
    loop.run()
    is_done, message = end
    print("done" if is_done else f"failed: {message}")
    return 0 if is_done else 1


sys.exit(main(sys.argv[1]))

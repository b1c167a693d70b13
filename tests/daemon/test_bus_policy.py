"""Who may call the daemon: a real dbus-daemon and a real polkitd read the files that we ship."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gi
import pytest

gi.require_version("Gio", "2.0")

from gi.repository import Gio, GLib  # noqa: E402

DATA = Path(__file__).parents[2] / "data"
INTERFACES = DATA / "dbus-1/interfaces/org.aptostree.dev.xml"
ACTIONS = DATA / "polkit-1/actions/org.aptostree.dev.policy"
TABLE = tomllib.loads((Path(__file__).parent / "members.toml").read_text())
PREFIX = "org.aptostree.dev1"
PROPERTIES = "org.freedesktop.DBus.Properties"
REACHED = "org.aptostree.test.Reached"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
NOBODY = 65534


@contextmanager
def private_bus(*, open_to=None):
    """A dbus-daemon with the rules of the system bus and our two files; gives its address.

    `open_to` is a name that everybody may have and call.
    """
    tree = ET.parse("/usr/share/dbus-1/system.conf")
    root = tree.getroot()
    for tag in ("user", "fork", "pidfile", "syslog", "servicehelper", "standard_system_servicedirs",
                "listen", "include", "includedir"):  # fmt: skip
        for element in root.findall(tag):
            root.remove(element)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="apt-ostree-bus-")))
        place.chmod(0o755)  # for nobody
        for tag, text in (
            ("listen", f"unix:path={place}/socket"),
            ("servicedir", str(DATA / "dbus-1/system-services")),
            ("includedir", str(DATA / "dbus-1/system.d")),
        ):
            ET.SubElement(root, tag).text = text
        if open_to:
            policy = ET.SubElement(root, "policy", context="default")
            ET.SubElement(policy, "allow", own=open_to)
            ET.SubElement(policy, "allow", send_destination=open_to)
        config = place / "bus.conf"
        config.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"\n'
            ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            + ET.tostring(root, encoding="unicode")
        )
        daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            address = daemon.stdout.readline().strip()
            assert address, daemon.stderr.read()
            yield address
        finally:
            daemon.terminate()
            daemon.communicate()


@pytest.fixture(scope="module")
def bus():
    if shutil.which("dbus-daemon") is None or shutil.which("dbus-send") is None:
        pytest.skip("needs dbus-daemon and dbus-send of the package dbus")
    with private_bus() as address:
        argv = [sys.executable, Path(__file__).with_name("stub.py"), address, INTERFACES]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stub:
            assert stub.stdout.readline() == b"ready\n"
            yield address
            stub.stdin.close()


def send(address, member, *arguments, uid=0, to="org.aptostree.dev", path="/stub"):
    """Call a method; the name of the error it ends with, or "" and what it answered."""
    who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
    done = subprocess.run(
        [*who, "dbus-send", f"--bus={address}", "--print-reply", f"--dest={to}", path, member,
         *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.match(r"Error (\S+?):? ", done.stderr)
    assert done.returncode == 0 or found, done.stderr
    return (found[1], done.stderr) if found else ("", done.stdout)


@pytest.mark.root
@pytest.mark.parametrize(
    ("member", "arguments", "for_root", "for_nobody"),
    [
        (f"{PREFIX}.Sysroot.Reload", [], REACHED, REACHED),
        (f"{PREFIX}.Sysroot.Ping", [], REACHED, REACHED),
        (f"{PREFIX}.OS.ListRepos", [], REACHED, REACHED),
        (f"{PREFIX}.OS.Cleanup", ["array:string:base"], REACHED, REACHED),
        (f"{PREFIX}.OSExperimental.Moo", ["boolean:true"], REACHED, DENIED),
        (f"{PREFIX}.Transaction.Start", [], REACHED, DENIED),
        ("org.freedesktop.DBus.Introspectable.Introspect", [], "", ""),
        ("org.freedesktop.DBus.Peer.Ping", [], "", ""),
        (f"{PROPERTIES}.Get", [f"string:{PREFIX}.OS", "string:Name"], "", ""),
        (f"{PROPERTIES}.GetAll", [f"string:{PREFIX}.Transaction"], "", ""),
        (f"{PROPERTIES}.Set",
         [f"string:{PREFIX}.OS", "string:Name", "variant:string:x"],
         "org.freedesktop.DBus.Error.InvalidArgs", DENIED),
        ("org.freedesktop.DBus.ObjectManager.GetManagedObjects", [],
         "org.freedesktop.DBus.Error.UnknownMethod", "org.freedesktop.DBus.Error.UnknownMethod"),
        ("org.example.Other.Method", [],
         "org.freedesktop.DBus.Error.UnknownMethod", DENIED),
    ],
)  # fmt: skip
def test_who_may_call_what(bus, member, arguments, for_root, for_nobody):
    assert send(bus, member, *arguments)[0] == for_root
    assert send(bus, member, *arguments, uid=NOBODY)[0] == for_nobody


@pytest.mark.root
def test_only_root_may_have_the_name():
    if shutil.which("dbus-daemon") is None or shutil.which("dbus-send") is None:
        pytest.skip("needs dbus-daemon and dbus-send of the package dbus")
    request = ("org.freedesktop.DBus.RequestName", "string:org.aptostree.dev", "uint32:0")
    there = {"to": "org.freedesktop.DBus", "path": "/org/freedesktop/DBus"}
    with private_bus() as address:
        assert send(address, *request, **there, uid=NOBODY)[0] == DENIED
        error, reply = send(address, *request, **there)
        assert error == ""
        assert reply.split()[-2:] == ["uint32", "1"]  # the primary owner


@pytest.mark.root
def test_the_bus_knows_how_to_start_the_service(bus):
    there = {"to": "org.freedesktop.DBus", "path": "/org/freedesktop/DBus"}
    _, reply = send(bus, "org.freedesktop.DBus.ListActivatableNames", **there)
    assert 'string "org.aptostree.dev"' in reply
    lines = (DATA / "dbus-1/system-services/org.aptostree.dev.service").read_text().split("\n")
    unit = (DATA / "systemd/apt-ostreed.service").read_text().split("\n")
    assert "SystemdService=apt-ostreed.service" in lines
    assert "BusName=org.aptostree.dev" in unit
    command = next(line for line in lines if line.startswith("Exec="))
    assert f"ExecStart={command.removeprefix('Exec=')}" in unit


POLKITD = Path("/usr/lib/polkit-1/polkitd")


def wait_for_name(address, name):
    flags = (
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    )
    connection = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
    loop, seen = GLib.MainLoop(), []

    def appeared(*_):
        seen.append(name)
        loop.quit()

    GLib.timeout_add_seconds(20, loop.quit)
    watch = Gio.bus_watch_name_on_connection(
        connection, name, Gio.BusNameWatcherFlags.NONE, appeared, None
    )
    loop.run()
    Gio.bus_unwatch_name(watch)
    connection.close_sync(None)
    assert seen == [name]


@pytest.fixture
def polkit():
    """The environment of a client of polkitd on a bus of its own, with our actions beside those of
    the machine."""
    if not POLKITD.exists() or shutil.which("pkaction") is None:
        pytest.skip("needs polkitd and pkaction of the package polkitd")
    with tempfile.TemporaryDirectory(prefix="apt-ostree-polkit-") as place:
        Path(place).chmod(0o755)  # polkitd drops its privileges
        actions = shutil.copytree("/usr/share/polkit-1/actions", f"{place}/actions")
        shutil.copy(ACTIONS, actions)
        with private_bus(open_to="org.freedesktop.PolicyKit1") as address:
            env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address}
            script = 'mount --bind "$0" /usr/share/polkit-1/actions && exec "$1"'
            daemon = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script, actions, POLKITD],
                env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                wait_for_name(address, "org.freedesktop.PolicyKit1")
                yield env
            finally:
                daemon.terminate()
                daemon.wait()


@pytest.mark.root
def test_polkit_takes_the_actions(polkit):
    asked = ["pkaction", "--verbose"]
    done = subprocess.run(asked, env=polkit, capture_output=True, text=True, check=True)
    found = {}
    for block in done.stdout.split("\n\n"):
        name = block.strip().split("\n")[0].rstrip(":")
        if name.startswith(f"{PREFIX}."):
            found[name.removeprefix(f"{PREFIX}.")] = re.findall(r"implicit \w+:\s+(\S+)", block)
    assert found == TABLE["actions"]

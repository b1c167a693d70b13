"""Many callers, wrong callers, and callers that leave: the daemon stays as it was."""

import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from fixtures.daemons import NOBODY, wait_until

from apt_ostree.daemon.authority import ACTIONS
from apt_ostree.daemon.exported import interfaces
from apt_ostree.wire import names, remote
from apt_ostree.wire.glib import Gio, GLib

pytestmark = [pytest.mark.root, pytest.mark.network]
FREE = {"Reload", "GetOS", "Ping", "GetDeploymentBootConfig", "ListRepos", "WhatProvides",
        "GetPackages", "Search"}  # fmt: skip


def methods(interface):
    return {
        m.name: "".join(a.signature for a in m.in_args) for m in interfaces()[interface].methods
    }


def nothing(signature):
    """The least value of a type: empty texts, lists and dictionaries, false, zero."""
    texts = {"s": "''", "b": "false", "u": "uint32 0", "t": "uint64 0", "i": "0"}
    parts, rest = [], signature
    while rest:
        size = 1
        while not GLib.variant_type_string_is_valid(rest[:size]):
            size += 1
        kind, rest = rest[:size], rest[size:]
        parts.append(texts.get(kind, f"@{kind} []"))
    tail = "," if len(parts) == 1 else ""
    return GLib.Variant.parse(None, f"({', '.join(parts)}{tail})" if parts else "()", None, None)


CASES = [(i, m, s) for i in (names.OS, names.SYSROOT) for m, s in methods(i).items()]


def test_every_method_is_free_or_authorised(service):
    """Nobody, without a yes of polkit: exactly the questions are answered."""
    script = """
import sys, ast
sys.path.insert(0, {src!r})
from apt_ostree.wire.glib import Gio, GLib
from apt_ostree.wire import names, remote
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)
for line in sys.stdin:
    interface, path, method, text = ast.literal_eval(line)
    body = GLib.Variant.parse(None, text, None, None)
    try:
        bus.call_sync(names.BUS_NAME, path, interface, method, body, None, 0, 60000, None)
        print(method, "answered")
    except GLib.Error as err:
        print(method, *remote.describe(err))
"""
    rows = []
    for interface, method, signature in CASES:
        path = names.SYSROOT_PATH if interface == names.SYSROOT else names.os_path("debian")
        rows.append(repr((interface, path, method, nothing(signature).print_(True))))
    source = script.format(src=str(Path(__file__).parents[2] / "src"))
    done = subprocess.run(
        ["/usr/bin/python3", "-c", source], input="\n".join(rows), env=service.env, text=True,
        capture_output=True, check=True, user=NOBODY, group=NOBODY, extra_groups=[],
    )  # fmt: skip
    answers = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(answers) == {m for _, m, _ in CASES}
    denied = {m for m, text in answers.items() if text.startswith(names.ACCESS_DENIED)}
    assert denied == {m for _, m, _ in CASES} - FREE
    for interface, method, _ in CASES:
        kind = "Sysroot" if interface == names.SYSROOT else "OS"
        if method in denied:
            text = f"apt-ostreed {kind} operation {method} not allowed for user"
            assert answers[method].endswith(text), answers[method]
    assert denied - {"UpdateDeployment"} == set(ACTIONS)


def test_twenty_clients_at_once(service):
    """Readers are answered, one writer works, the others are told or join."""
    results = {}

    def client(number):
        words = ["status", "--json"] if number % 2 else ["install", "quick", f"--{'idempotent'}"]
        done = subprocess.run(
            service.argv(*words), env=service.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        results[number] = (words[0], done.returncode, done.stderr)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(results) == 20
    for command, status, stderr in results.values():
        if command == "status":
            assert (status, stderr) == (0, "")
        else:
            assert status == 0 or "Transaction in progress" in stderr, stderr
    assert any(c == "install" and s == 0 for c, s, _ in results.values())
    assert service.machine.deployments[0]["requested-packages"] == ["quick"]
    service.run("uninstall", "quick")
    service.machine.check()


def random_value(signature, chooser):
    """Some value of a type, often a strange one."""
    match signature[0]:
        case "s":
            pool = ["", "x", "/etc/passwd", "a" * 100_000, "\x7f\t\n", "version=1", "ü" * 10]
            return GLib.Variant("s", chooser.choice(pool))
        case "b":
            return GLib.Variant("b", chooser.random() < 0.5)
        case "v":
            kind = chooser.choice(["s", "b", "as", "a{sv}", "ah", "h"])
            return GLib.Variant("v", random_value(kind, chooser))
        case "h":
            return GLib.Variant("h", chooser.choice([0, 1, 2**31 - 1]))
        case "a" if signature[1] == "{":
            keys = ["dry-run", "treefile", "install-packages", "revision", "x", "custom-origin",
                    "install-local-packages", "id", "checksum", "mode"]  # fmt: skip
            inner = signature[3:-1]
            found = {k: random_value(inner, chooser) for k in chooser.sample(keys, 3)}
            plain = {k: v.get_variant() if inner == "v" else v.unpack() for k, v in found.items()}
            return GLib.Variant(signature, plain)
        case "a":
            many = [random_value(signature[1:], chooser) for _ in range(chooser.choice([0, 1, 50]))]
            return GLib.Variant(signature, [v.unpack() for v in many])
    raise AssertionError(signature)


def split(signature):
    while signature:
        size = 1
        while not GLib.variant_type_string_is_valid(signature[:size]):
            size += 1
        yield signature[:size]
        signature = signature[size:]


def test_nonsense_is_refused(service):
    """Values that make no sense, from root: answers or errors, and a daemon that lives on."""
    chooser = random.Random(20261124)
    before = service.machine.deployments
    for interface, method, signature in CASES * 3:
        path = names.SYSROOT_PATH if interface == names.SYSROOT else names.os_path("debian")
        body = GLib.Variant.new_tuple(*(random_value(s, chooser) for s in split(signature)))
        bus = service.bus()  # whose end abandons whatever the call has begun
        try:
            service.call(path, interface, method, body, bus=bus)
        except GLib.Error as err:
            assert remote.describe(err)[0] != "", (method, err.message)
            assert "internal error" not in err.message, (method, err.message)
        bus.close_sync(None)
        wait_until(lambda: not service.property("ActiveTransaction")[0], of="the end of it")
    assert service.is_up()
    assert service.machine.deployments == before
    with pytest.raises(GLib.Error, match=r"(?i)signature|type of message|InvalidArgs"):
        service.os("Upgrade", GLib.Variant("(s)", ("x",)))
    with pytest.raises(GLib.Error, match=r"(?i)no such method|UnknownMethod"):
        service.os("Nothing", None)
    assert "Traceback" not in service.log.read_text()


def resident_kb(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def test_nothing_is_left_after_many_transactions(service):
    body = GLib.Variant("(a{sv}asas)", ({}, ["quick"], []))

    def one(number):
        bus = service.bus()
        service.os("PkgChange", body, bus=bus)
        bus.close_sync(None)
        wait_until(lambda: not service.property("ActiveTransaction")[0], of=f"end {number}")

    for number in range(50):
        one(number)
    memory, files = resident_kb(service.pid), len(os.listdir(f"/proc/{service.pid}/fd"))
    for number in range(500):
        one(number)
    for _ in range(3):  # and some that work
        service.run("install", "quick", "--dry-run")
    assert resident_kb(service.pid) <= memory * 1.10
    wait_until(lambda: len(os.listdir(f"/proc/{service.pid}/fd")) <= files, of="closed descriptors")
    assert service.workers() == []
    assert resident_kb(service.pid) <= 45 * 1024


def test_calls_around_the_idle_exit_are_answered(service):
    """The bus starts it anew where it was gone; here the test does, and clients try again."""
    service.stop()
    service.config = "[Daemon]\nIdleExitTimeout=1\n"
    stop = threading.Event()

    def keep_alive():
        while not stop.is_set():
            if service.daemon.poll() is not None:
                service.start()
            stop.wait(0.05)

    service.start()
    keeper = threading.Thread(target=keep_alive)
    keeper.start()
    try:
        for _ in range(40):
            done = service.run("status")
            assert done.stdout.startswith("State: idle\n")
    finally:
        stop.set()
        keeper.join()


def test_a_lost_bus_ends_the_daemon(service):
    flags = (
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    )
    bus = Gio.DBusConnection.new_for_address_sync(service.address, flags, None, None)
    body = GLib.Variant("(s)", ("org.freedesktop.DBus",))
    (pid,) = bus.call_sync(
        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "GetConnectionUnixProcessID", body, None, Gio.DBusCallFlags.NONE, 5000, None,
    ).unpack()  # fmt: skip
    os.kill(pid, signal.SIGKILL)
    assert service.daemon.wait(20) == 0

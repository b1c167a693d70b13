"""The daemon as its clients meet it: real processes on a bus of its own."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from fixtures.daemons import wait_until
from fixtures.machines import PROGRAM

from apt_ostree.wire import names, remote
from apt_ostree.wire.glib import Gio, GLib

pytestmark = [pytest.mark.root, pytest.mark.network]


def refusal(error):
    return remote.describe(error.value)


def test_objects_and_properties(service):
    (found,) = service.call(
        names.ROOT_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
    )
    assert set(found) == {names.SYSROOT_PATH, names.os_path("debian")}
    own = found[names.os_path("debian")][names.OS]
    assert own["Name"] == "debian"
    assert own["DefaultDeployment"]["id"] == service.machine.deployments[0]["id"]
    assert own["BootedDeployment"] == {}
    assert service.property("Path") == str(service.machine.path)
    assert service.property("ActiveTransaction") == ("", "", "")
    assert service.sysroot("GetOS", GLib.Variant("(s)", ("",))) == (names.os_path("debian"),)
    with pytest.raises(GLib.Error) as error:
        service.sysroot("GetOS", GLib.Variant("(s)", ("other",)))
    assert refusal(error) == (names.FAILED, 'OS name "other" not found')


def test_deployments_are_what_status_prints(service):
    printed = json.loads(service.run("status", "--json").stdout)
    assert printed["transaction"] is None
    ids = [d["id"] for d in printed["deployments"]]
    assert [d["id"] for d in service.property("Deployments")] == ids
    for theirs, ours in zip(service.property("Deployments"), printed["deployments"], strict=True):
        assert set(theirs) == set(ours)
        same = ("checksum", "packages", "requested-packages", "timestamp", "origin", "booted")
        assert all(theirs[k] == ours[k] for k in same)


def test_install_and_uninstall_through_the_daemon(service):
    before = service.machine.deployments
    done = service.run("install", "quick")
    assert "Installing 1 packages:\n  quick-1.0.all (test)\n" in done.stdout
    assert done.stdout.endswith('Run "systemctl reboot" to start a reboot\n')
    after = service.machine.deployments
    assert after[0]["requested-packages"] == ["quick"]
    assert [d["id"] for d in service.property("Deployments")] == [d["id"] for d in after]
    assert (service.machine.tree / "usr/bin/quick").exists()
    entry = json.loads(service.machine("history", "--json", "-n1").stdout)
    assert entry["deployment-create-command-line"].startswith("install --sysroot=")
    error = service.run("install", "quick", ok=(1,)).stderr
    assert "Package/capability 'quick' is already requested" in error
    service.run("uninstall", "quick")
    assert service.machine.deployments[0]["checksum"] == before[0]["checksum"]
    service.machine.check()


def test_a_dry_run_shows_the_plan_and_changes_nothing(service):
    before = service.machine.deployments
    plan = json.loads(service.run("install", "quick", "--dry-run", "--json").stdout)
    assert [s["name"] for s in plan["steps"]] == ["quick"]
    assert service.machine.deployments == before


def test_a_local_file_travels_as_a_descriptor(service, tmp_path):
    deb = next(p for p in service.machine.packages if p.name.startswith("quick"))
    service.run("install", deb)
    assert service.machine.deployments[0]["requested-local-packages"] == ["quick-1.0.all"]
    service.run("uninstall", "quick")


def test_properties_tell_of_changes(service):
    changes = []
    bus = service.bus()
    bus.signal_subscribe(
        names.BUS_NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", None, None,
        Gio.DBusSignalFlags.NONE, lambda *a: changes.append((a[2], a[5].unpack()[1])),
    )  # fmt: skip
    bus.flush_sync(None)
    service.machine("kargs", "--append=changed=1")  # behind the daemon's back
    context = GLib.MainContext.default()

    def seen():
        context.iteration(False)
        return [c for path, c in changes if path == names.os_path("debian")]

    (change,) = wait_until(seen, of="PropertiesChanged")
    assert change["DefaultDeployment"]["id"] == service.machine.deployments[0]["id"]
    assert any("Deployments" in c for path, c in changes if path == names.SYSROOT_PATH)
    service.machine("kargs", "--delete=changed=1")


# -- one at a time


@pytest.fixture
def busy(service):
    """A transaction that waits in a script until it is stopped."""
    client = service.spawn("install", "slow")
    wait_until(lambda: service.property("ActiveTransaction")[0], of="the transaction")
    wait_until(lambda: scripts_of(service), of="the script")
    yield client
    if client.poll() is None:
        client.send_signal(signal.SIGINT)
        client.wait(60)


def scripts_of(service):
    """The processes of package scripts below the daemon's workers."""
    found = subprocess.run(
        ["pgrep", "-f", "^sleep 600$"], capture_output=True, text=True, check=False
    ).stdout.split()
    return [pid for pid in found if str(service.pid) in ancestors(int(pid))]


def ancestors(pid):
    found = set()
    while pid > 1:
        found.add(str(pid))
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return found


def test_others_are_told_who_is_at_work(service, busy):
    error = service.run("install", "quick", ok=(1,)).stderr
    assert error.startswith("error: Transaction in progress: install --sysroot=")
    assert "\n You can cancel the current transaction with `apt-ostree cancel`" in error
    state = json.loads(service.run("status", "--json").stdout)
    assert state["transaction"][0] == "UpdateDeployment"
    assert state["transaction"][2] == names.os_path("debian")
    first, title, initiator, *_ = service.run("status").stdout.splitlines()
    assert first == "State: busy"
    assert title.startswith("Transaction: install --sysroot=")
    assert initiator.startswith("  Initiator: client(id:cli dbus::1.")
    assert initiator.endswith("uid:0)")


def test_waiting_for_ones_turn(service, busy):
    waiting = service.spawn("install", "quick", "--wait", "--dry-run")
    assert waiting.stderr.readline().startswith("Waiting: Transaction in progress: install ")
    service.run("cancel")
    stdout, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "quick-1.0.all (test)" in stdout


def test_the_same_request_joins(service, busy):
    second = service.spawn("install", "slow")
    wait_until(lambda: len(connections(service)) > 1, of="the second client")
    done = service.run("cancel")
    assert done.stdout.startswith("Cancelling transaction: install --sysroot=")
    assert done.stdout.endswith("Cancelled.\n")
    for client in (busy, second):
        assert client.wait(30) == 130
    said = [client.communicate() for client in (busy, second)]
    assert all("error: Operation was cancelled" in stderr for _, stderr in said)
    attached = "Attaching to existing transaction: install --sysroot="
    assert [attached in stdout for stdout, _ in said] == [False, True]


def connections(service):
    """Descriptors of the daemon that are peers of the transaction's socket."""
    table = Path("/proc/net/unix").read_text().splitlines()
    return [
        r
        for r in table
        if r.endswith("apt-ostree-transaction.sock") and str(service.directory) in r
    ][1:]


def test_a_cancelled_transaction_leaves_nothing(service, busy):
    before = service.machine.deployments
    busy.send_signal(signal.SIGINT)
    assert busy.wait(30) == 130
    assert service.machine.deployments == before
    wait_until(lambda: not scripts_of(service), of="the end of the script")
    service.machine.check()
    service.run("install", "quick")
    service.run("uninstall", "quick")


def test_a_killed_worker_is_an_error_of_its_transaction_only(service, busy):
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    assert busy.wait(30) == 1
    assert "error: the worker process was killed by signal 9" in busy.communicate()[1]
    assert service.is_up()
    wait_until(lambda: not scripts_of(service), of="the end of the script")
    service.run("install", "quick")
    service.machine.check()
    service.run("uninstall", "quick")


def test_a_killed_daemon_takes_its_work_along(service, busy):
    service.stop(signal.SIGKILL)
    assert busy.wait(30) == 1
    assert "error: Bus owner changed, aborting." in busy.communicate()[1]
    wait_until(lambda: not scripts_of(service), of="the end of the script")
    service.start()
    service.run("install", "quick")
    service.machine.check()
    service.run("uninstall", "quick")


def test_a_transaction_that_its_client_never_starts_ends(service):
    bus = service.bus()
    body = GLib.Variant("(a{sv}asas)", ({}, ["quick"], []))
    service.os("PkgChange", body, bus=bus)
    assert service.property("ActiveTransaction")[0] == "PkgChange"
    bus.close_sync(None)
    wait_until(lambda: not service.property("ActiveTransaction")[0], of="its end")
    service.run("install", "quick", "--dry-run")


# -- who may do what


def test_users_read_and_do_not_change(service):
    assert service.run_as_nobody("status").stdout.startswith("State: idle\n")
    error = service.run_as_nobody("install", "quick", ok=(1,)).stderr
    assert "apt-ostreed OS operation UpdateDeployment not allowed for user" in error


def test_polkit_lets_a_user_install(service):
    service.allow("install-uninstall-packages")  # registering as a client is not needed
    service.run_as_nobody("install", "quick")
    assert service.machine.deployments[0]["requested-packages"] == ["quick"]
    error = service.run_as_nobody("kargs", "--append=a=b", ok=(1,)).stderr
    assert "apt-ostreed OS operation KernelArgs not allowed for user" in error
    service.run_as_nobody("uninstall", "quick")


def test_a_user_cannot_stop_the_work_of_another(service, busy):
    error = service.run_as_nobody("cancel", ok=(1,)).stderr
    assert "not allowed for user" in error
    assert busy.poll() is None
    service.allow("cancel")
    service.run_as_nobody("cancel")
    assert busy.wait(30) == 130


# -- coming and going


def test_it_leaves_when_idle(service):
    service.stop()
    service.config = "[Daemon]\nIdleExitTimeout=1\n"
    service.start()
    assert service.daemon.wait(15) == 0


def test_it_stays_while_a_client_is_registered(service):
    service.stop()
    service.config = "[Daemon]\nIdleExitTimeout=1\n"
    service.start()
    bus = service.bus()
    service.sysroot("RegisterClient", GLib.Variant("(a{sv})", ({},)), bus=bus)
    with pytest.raises(subprocess.TimeoutExpired):
        service.daemon.wait(8)
    bus.close_sync(None)
    assert service.daemon.wait(15) == 0


def test_a_broken_configuration_is_told_on_reload(service):
    (service.directory / "apt-ostreed.conf").write_text("[Daemon]\nAutomaticUpdatePolicy=x\n")
    error = service.run("reload", ok=(1,)).stderr
    assert "error: Invalid value for AutomaticUpdatePolicy: 'x'" in error
    (service.directory / "apt-ostreed.conf").write_text("[Daemon]\nAutomaticUpdatePolicy=check\n")
    service.run("reload")
    assert service.property("AutomaticUpdatePolicy") == "check"


def ping(service):
    return subprocess.run(
        [PROGRAM, "daemon-ping"], env=service.env, capture_output=True, text=True, check=False
    )


def test_work_without_a_daemon(service):
    assert f"pid: {service.pid}\n" in ping(service).stdout
    service.stop()
    gone = ping(service)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr.startswith("error: no daemon answers\n")
    done = service.run("install", "quick", "--dry-run")
    assert done.stderr.startswith("note: working without the daemon: ")
    error = service.run_as_nobody("install", "quick", ok=(1,)).stderr
    assert "error: the daemon cannot be reached: " in error
    assert service.run_as_nobody("status").stdout.startswith("State: idle\n")

"""Updates through the daemon: looking, the automatic policy, and what programs ask for."""

import json

import pytest
from fixtures.branch import BRANCH, REMOTE, make_branch
from fixtures.daemons import served

from apt_ostree.wire import names
from apt_ostree.wire.glib import GLib

pytestmark = [pytest.mark.root, pytest.mark.network]


@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    return make_branch(tmp_path_factory.mktemp("branch"))


@pytest.fixture
def service(tmp_path, branch):
    branch.point("1")
    machine = branch.machine(tmp_path)
    with served(tmp_path, machine) as made:
        yield made
    machine.release()


def trigger(service, mode):
    options = {"mode": GLib.Variant("s", mode)}
    return service.os("AutomaticUpdateTrigger", GLib.Variant("(a{sv})", (options,)))


def os_property(service, name):
    body = GLib.Variant("(ss)", (names.OS, name))
    path = names.os_path("debian")
    return service.call(path, "org.freedesktop.DBus.Properties", "Get", body)[0]


def test_looking_for_an_update_fills_the_property(service, branch):
    assert service.run("upgrade", "--check", ok=(77,)).stdout.endswith("No updates available.\n")
    assert os_property(service, "CachedUpdate") == {}
    branch.point("2")
    shown = service.run("upgrade", "--preview").stdout
    assert "       Upgraded: libk 1 -> 2\n" in shown
    cached = os_property(service, "CachedUpdate")
    assert cached["checksum"] == branch.commits["2"]
    assert cached["ref-has-new-commit"] is True
    assert cached["rpm-diff"]["added"] == [(0, "tool", "1.0", "all")]
    assert os_property(service, "HasCachedUpdateRpmDiff") is True
    rows, details = service.os("GetCachedUpdateRpmDiff", GLib.Variant("(s)", ("",)))
    assert rows == [
        ("tool", 0, {"NewPackage": ("tool", "1.0", "all")}),
        ("libk", 2, {"PreviousPackage": ("libk", "1", "all"), "NewPackage": ("libk", "2", "all")}),
    ]
    assert (details["osname"], details["version"]) == ("debian", "2")
    service.run("upgrade")
    assert service.machine.deployments[0]["version"] == "2"
    assert os_property(service, "CachedUpdate") == {}


def test_the_policy_decides(service, branch):
    branch.point("2")
    assert trigger(service, "auto") == (False, "")
    assert service.run("upgrade", "--trigger-automatic-update-policy").stdout.endswith(
        "Automatic updates are not enabled; exiting...\n"
    )
    enabled, address = trigger(service, "check")
    assert enabled is True
    assert service.finish(address) == (True, "")
    assert os_property(service, "CachedUpdate")["version"] == "2"
    assert "AvailableUpdate" not in service.run("status").stdout  # nothing is automatic
    state = json.loads(service.run("status", "--json").stdout)
    assert state["cached-update"]["version"] == "2"
    assert service.machine.deployments[0]["version"] == "1"
    (service.directory / "apt-ostreed.conf").write_text("[Daemon]\nAutomaticUpdatePolicy=stage\n")
    service.run("reload")
    shown = service.run("status").stdout
    assert "\nAutomaticUpdates: stage; apt-ostreed-automatic.timer: " in shown
    assert "\nAvailableUpdate:\n        Version: 2 (" in shown
    service.run("upgrade", "--trigger-automatic-update-policy")
    assert service.machine.deployments[0]["version"] == "2"
    with pytest.raises(GLib.Error, match="Invalid value for AutomaticUpdatePolicy: 'x'"):
        trigger(service, "x")


def test_programs_compare_before_they_deploy(service, branch):
    branch.point("2")
    (address,) = service.os("DownloadUpdateRpmDiff")
    assert service.finish(address) == (True, "")
    rows, _ = service.os("GetCachedUpdateRpmDiff", GLib.Variant("(s)", ("",)))
    assert [name for name, *_ in rows] == ["tool", "libk"]
    body = GLib.Variant("(sas)", ("version=2", []))
    (address,) = service.os("DownloadDeployRpmDiff", body)
    assert service.finish(address) == (True, "")
    rows, details = service.os("GetCachedDeployRpmDiff", body)
    assert [name for name, *_ in rows] == ["tool", "libk"]
    assert details["checksum"] == branch.commits["2"]
    done = service.run("deploy", "--preview", "version=2")
    assert "!libk-1.all\n=libk-2.all\n" in done.stdout
    service.run("deploy", "version=2")
    service.run("rebase", branch.commits["1"])
    now, before = service.machine.deployments
    assert (now["version"], before["version"]) == ("1", "2")
    ids = GLib.Variant("(ss)", (before["id"], now["id"]))
    (rows,) = service.os("GetDeploymentsRpmDiff", ids)
    assert [(name, kind) for name, kind, _ in rows] == [("tool", 1), ("libk", 3)]


def test_status_tells_of_the_transaction_and_its_initiator(service, branch):
    branch.point("2")
    (address,) = service.os("Upgrade", GLib.Variant("(a{sv})", ({},)), bus=service.bus())
    del address
    state = json.loads(service.run("status", "--json").stdout)
    assert state["transaction"] is None or state["transaction"][0] == "Upgrade"
    assert f"{REMOTE}:{BRANCH}" in service.run("status").stdout

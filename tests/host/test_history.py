"""Recording changes of a real sysroot."""

import json

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.host.history import record
from apt_ostree.insight import history

pytestmark = pytest.mark.root
NOW = 1_700_000_000_123_456_789


def test_a_deployment_is_recorded_with_its_maker(site):
    base = site.base(["libc6=2.36"])
    made = site.deploy(site.layered(base, ["libc6=2.36", "htop=3"], requests=["htop"]))
    path = record(
        site.sysroot,
        "debian",
        command_line="install htop",
        deployment=made,
        plan_digest="d" * 128,
        env={"SUDO_USER": "ana"},
        clock=lambda: NOW,
    )
    assert path == site.path / f"ostree/deploy/debian/var/lib/apt-ostree/history/{NOW}"
    raw = json.loads(path.read_text())
    assert (raw["uid"], raw["user"], raw["sudo-user"]) == (0, "root", "ana")
    assert (raw["deployment-id"], raw["version"]) == (made.id, "13.1")
    (entry,) = history.entries(site.path)
    assert entry["deployment"]["packages"] == ["htop"]
    assert entry["deployment"]["layered-commit-meta"]["aptostree.rpmdb.pkglist"][0][0] == "htop"
    assert entry["plan-digest"] == "d" * 128


def test_a_failure_is_recorded_in_one_line(site):
    error = AptOstreeError("Packages not found: nope\nmore", hint="search")
    record(site.sysroot, "debian", command_line="install nope", error=error, env={})
    (entry,) = history.entries(site.path, has_failures=True)
    assert entry["result"] == "Packages not found: nope"
    assert "sudo-user" not in entry


def test_history_never_stops_the_work(site, caplog):
    blocked = site.path / "ostree/deploy/debian/var/lib/apt-ostree"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file")
    assert record(site.sysroot, "debian", command_line="x", env={}) is None
    assert "no history was written" in caplog.text

"""Sources that count for one run only."""

import pytest
from fixtures.debrepo import make_deb, make_repo

pytestmark = [pytest.mark.root, pytest.mark.network]


def test_sources_and_suites_of_one_run(machine, tmp_path):
    machine.publish(make_deb(tmp_path, "tool", "1"))
    other = tmp_path / "other"
    make_repo(other, [make_deb(tmp_path / "new", "tool", "2"), make_deb(tmp_path / "new", "extra")],
              suite="unstable")  # fmt: skip
    (machine.tree / "etc/apt/sources.list.d/other.sources").write_text(
        f"Enabled: no\nTypes: deb\nURIs: file:{other}\nSuites: unstable\nComponents: main\n"
        "Trusted: yes\n"
    )
    assert "Packages not found: extra" in machine("install", "extra", ok=(1,)).stderr
    error = machine("install", "extra", "--enablerepo=nothing", ok=(1,)).stderr
    assert "error: Unknown apt source: nothing" in error
    assert "- other" in error
    machine("install", "extra", "--enablerepo=other")
    assert "Version: 1.0" in machine.dpkg("-s", "extra")
    error = machine("install", "tool", "--disablerepo=*", "--idempotent", ok=(1,)).stderr
    assert "error: " in error
    plan = machine.json("install", "tool", "--dry-run", "--enablerepo=other,test",
                        "--releasever=stable")  # fmt: skip
    assert [(s["name"], s["version"]) for s in plan["steps"] if s["name"] == "tool"] == [
        ("tool", "1")
    ]
    machine.check()

"""The examples for programs do what they say."""

import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.network]
EXAMPLES = Path(__file__).parents[2] / "examples/api"


def run(service, name, *words):
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        [EXAMPLES / name, *words], env={**service.env, "PYTHONPATH": source}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def test_planning_from_python(service):
    done = run(service, "plan_install.py", str(service.machine.path), "quick")
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert first == "install quick-1.0.all: requested as 'quick'"
    assert last.endswith(" more on disk")
    done = run(service, "plan_install.py", str(service.machine.path), "absent")
    assert done.returncode == 1
    assert done.stderr.startswith("Packages not found: absent (")


def test_installing_over_the_bus(service):
    done = run(service, "install.py", "quick")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "TaskBegin Writing deployment" in lines
    assert any(line.startswith("PlanReady {") for line in lines)
    assert lines[-1] == "done"
    done = run(service, "install.py", "quick")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        1, "failed: Package/capability 'quick' is already requested",
    )  # fmt: skip
    service.run("uninstall", "quick")


def test_reading_with_gdbus(service):
    done = run(service, "status.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert service.machine.deployments[0]["checksum"] in done.stdout
    assert done.stdout.endswith("(<('', '', '')>,)\n")

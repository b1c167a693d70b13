import subprocess
import sys
from pathlib import Path

import pytest

from apt_ostree.system import failpoint

CODE = (
    "from apt_ostree.system import failpoint\n"
    "try:\n failpoint.reach('a.b'); print('passed')\n"
    "except Exception as e: print(type(e).__name__)"
)


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        ("", 0, "passed"),
        ("other=error", 0, "passed"),
        ("a.b=error", 0, "AptOstreeError"),
        ("a.b", 0, "AptOstreeError"),
        ("x;a.b=enospc", 0, "OSError"),
        ("a.b=kill", -9, ""),
    ],
)
def test_actions(value, status, said):
    env = {"PYTHONPATH": str(Path(failpoint.__file__).parents[2]), "FAILPOINTS": value}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (status, said)

"""`.ci/run`: its status is that of `make check`, its last line pytest's summary."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
WARNING = "RuntimeWarning: 3 errors in 2 files"


@pytest.mark.parametrize(
    ("said", "status", "expected", "last"),
    [
        ("12 passed, 1 skipped in 3.10s", 0, 0, "12 passed, 1 skipped in 3.10s"),
        (
            "1 failed, 12 passed in 217.3s (0:03:37)",
            2,
            2,
            "1 failed, 12 passed in 217.3s (0:03:37)",
        ),
        ("no tests ran in 0.01s", 5, 1, "no tests ran in 0.01s"),
        ("ruff: error", 2, 2, "make check ended before the tests"),
    ],
)
def test_status_and_last_line(tmp_path, said, status, expected, last):
    (tmp_path / ".ci").mkdir()
    shutil.copy(TOP / ".ci/run", tmp_path / ".ci/run")
    fake = tmp_path / "bin/make"
    fake.parent.mkdir()
    fake.write_text(
        f"#!/bin/sh\necho '{WARNING}'\necho '{said}'\necho 'make: ***'\nexit {status}\n"
    )
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", tmp_path / ".ci/run"], env={"PATH": f"{fake.parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1]) == (expected, last)

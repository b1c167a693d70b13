"""The systemd unit of a process, by its control group."""

from __future__ import annotations

import re
from pathlib import Path

_UNIT = re.compile(r"/([^/]+\.(?:service|scope|slice))$")


def unit_of(pid: int) -> str:
    """The innermost unit; empty when the process has ended or there is none to tell."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return ""
    found = next((m for line in lines if (m := _UNIT.search(line.strip()))), None)
    return "" if found is None else found[1]

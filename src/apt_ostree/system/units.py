"""What systemd says of its units."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from apt_ostree.errors import AptOstreeError
from apt_ostree.system.run import run


def show(unit: str, fields: Sequence[str]) -> Mapping[str, str]:
    """Properties of a unit (systemctl(1), `show`; times as `@SECONDS`); none without systemd."""
    if not os.path.isdir("/run/systemd/system"):
        return {}
    try:
        shown = run(
            ["systemctl", "show", "--timestamp=unix", f"--property={','.join(fields)}", "--", unit]
        )
    except AptOstreeError:
        return {}
    return dict(line.split("=", 1) for line in shown.output.splitlines() if "=" in line)

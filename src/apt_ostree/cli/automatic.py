"""How the timer of automatic updates stands, in the words of `status`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from apt_ostree.cli.render.status import Automatic
from apt_ostree.cli.render.units import ago

TIMER, SERVICE = "apt-ostreed-automatic.timer", "apt-ostreed-automatic.service"
_FIELDS = "LoadState,ActiveState,Result,LastTriggerUSec"


def describe(policy: str) -> Automatic:
    """The policy and what the timer did last; systemd is not asked where nothing is automatic."""
    if policy == "none":
        return Automatic(policy)
    timer, service = _show(TIMER), _show(SERVICE)
    if service.get("ActiveState") in ("active", "activating", "reloading"):
        return Automatic(policy, f"{SERVICE}: running")
    if service.get("ActiveState") == "failed" or service.get("Result", "success") != "success":
        return Automatic(policy, f"{SERVICE}: last run failed", has_failed=True)
    if timer.get("LoadState") != "loaded":
        return Automatic(policy, f"{TIMER}: unknown state")
    if timer.get("ActiveState") != "active":
        return Automatic(policy, f"{TIMER}: inactive")
    when = timer.get("LastTriggerUSec", "").lstrip("@")
    if not when.isdecimal() or when == "0":
        return Automatic(policy, f"{TIMER}: no runs since boot")
    return Automatic(policy, f"{TIMER}: last run {ago(int(when), time.time())}")


def _show(unit: str) -> Mapping[str, str]:
    """Properties of a unit; none where there is no systemd to ask."""
    from apt_ostree.errors import AptOstreeError
    from apt_ostree.system.run import run

    if not os.path.isdir("/run/systemd/system"):
        return {}
    try:
        shown = run(["systemctl", "show", "--timestamp=unix", f"--property={_FIELDS}", unit])
    except AptOstreeError:
        return {}
    return dict(line.split("=", 1) for line in shown.output.splitlines() if "=" in line)

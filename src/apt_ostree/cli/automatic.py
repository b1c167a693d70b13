"""How the timer of automatic updates stands, in the words of `status`."""

from __future__ import annotations

import time

from apt_ostree.cli.render.status import Automatic
from apt_ostree.cli.render.units import ago

TIMER, SERVICE = "apt-ostreed-automatic.timer", "apt-ostreed-automatic.service"
_FIELDS = ("LoadState", "ActiveState", "Result", "LastTriggerUSec")


def describe(policy: str) -> Automatic:
    """The policy and what the timer did last; systemd is not asked where nothing is automatic."""
    if policy == "none":
        return Automatic(policy)
    from apt_ostree.system.units import show  # not for every start

    timer, service = show(TIMER, _FIELDS), show(SERVICE, _FIELDS)
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

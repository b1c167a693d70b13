"""Whether a command talks to the daemon or does the work itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apt_ostree.errors import AptOstreeError

if TYPE_CHECKING:
    from apt_ostree.client.host import Host

# Lets tests, and whoever tries a daemon out, reach one that serves another root.
ALWAYS = "APTOSTREE_DEBUG_USE_DAEMON"
IDENTITY = "APTOSTREE_CLIENT_ID"


def is_wanted(sysroot: Path) -> bool:
    """The running system belongs to the daemon; any other root is worked on directly."""
    return sysroot == Path("/") or ALWAYS in os.environ


def host(sysroot: Path) -> Host | None:
    """The daemon to ask for a change of `sysroot`, None where this process does it itself.

    Root falls back to that, with a line on standard error, when no daemon answers; for anybody
    else this raises AptOstreeError.
    """
    return _connected() if is_wanted(sysroot) else None


@cache
def _connected() -> Host | None:
    from apt_ostree.client.bus import UnreachableError
    from apt_ostree.client.host import Host

    try:
        return Host.connect(os.environ.get(IDENTITY) or "cli")
    except UnreachableError as err:
        if os.geteuid() != 0:
            raise AptOstreeError(
                f"the daemon cannot be reached: {err.message}",
                hint="systemctl status apt-ostreed; or run the command as root",
            ) from err
        sys.stderr.write(f"note: working without the daemon: {err.message}\n")
        return None


def ask() -> Mapping[str, Any] | None:
    """What a daemon says of itself, without becoming its client; None when none answers."""
    from apt_ostree.client.bus import Bus, UnreachableError
    from apt_ostree.client.host import Host

    try:
        return Host(Bus.system()).ping()
    except UnreachableError:
        return None


def reader(sysroot: Path) -> Host | None:
    """The daemon to look through; None where there is none, since everybody may read the disk."""
    try:
        return host(sysroot)
    except AptOstreeError:
        return None

"""Named failure points: where tests make the work fail or die.

`FAILPOINTS=deploy.before-write=kill;import.after-commit=error` in the environment arms them; a
product run without that variable pays one dictionary look-up.
"""

from __future__ import annotations

import errno
import os
import signal
from functools import cache

from apt_ostree.errors import AptOstreeError


@cache
def _armed() -> dict[str, str]:
    pairs = (item.partition("=") for item in os.environ.get("FAILPOINTS", "").split(";") if item)
    return {name: action or "error" for name, _, action in pairs}


def reach(name: str) -> None:
    """Pass the failure point `name` (`room.before-what`).

    Actions: `error` raises AptOstreeError, `kill` ends the process as a crash would (SIGKILL),
    `enospc` raises OSError(ENOSPC).
    """
    match _armed().get(name):
        case None:
            return
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        case _:
            raise AptOstreeError(f"failure point {name} reached")

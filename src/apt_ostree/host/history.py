"""Write down what was done, by whom and by which command."""

from __future__ import annotations

import logging
import os
import pwd
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import status
from apt_ostree.insight import history
from apt_ostree.insight.history import Entry
from apt_ostree.ostree.sysroot import Deployment, Sysroot

log = logging.getLogger(__name__)


def record(
    sysroot: Sysroot,
    stateroot: str,
    *,
    command_line: str,
    deployment: Deployment | None = None,
    plan_digest: str | None = None,
    error: BaseException | str | None = None,
    env: Mapping[str, str] = os.environ,
    clock: Callable[[], int] = time.time_ns,
) -> Path | None:
    """Record a change of `stateroot`: the deployment it made, or the `error` that ended it.

    Call it after the deployment is written.  History informs only: when it cannot be written, the
    change stands, a warning is logged and None returned.
    """
    uid = os.getuid()
    try:
        shown = (
            None
            if deployment is None
            else status.describe(sysroot.repo, deployment, has_lists=True)
        )
    except AptOstreeError as err:
        log.warning("no history was written: %s", err)
        return None
    entry = Entry(
        created_ns=clock(),
        command_line=command_line,
        uid=uid,
        user=_user_name(uid),
        sudo_user=env.get("SUDO_USER"),
        plan_digest=plan_digest,
        result=history.DONE if error is None else _one_line(error),
        deployment=shown,
    )
    folder = sysroot.path / "ostree/deploy" / stateroot / "var" / history.FOLDER
    try:
        return history.write(folder, entry)
    except OSError as err:
        log.warning("no history was written: %s", err)
        return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _one_line(error: BaseException | str) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]

"""What commands that change the running system say and ask."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from apt_ostree.cli import backend
from apt_ostree.cli.options import Args
from apt_ostree.cli.render import diff as diffs
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError

DONE = "Successfully updated running filesystem tree"
_NOTICE = (
    "notice: auto-inferring -y/--assumeyes when not run interactively; this will change in the "
    "future"
)
_PAUSE_S = 1


def report(session: Session, sysroot: Path, done: backend.Json) -> None:
    """What has changed, and what systemd and the user have to do about it."""
    out = session.out
    for line in packages(sysroot, done):
        out.line(line)
    if done["reload"]:
        backend.reload_units()
    if not done["units"]:
        out.line(f"{DONE}.")
        return
    out.line(f"{DONE}; Following services may need to be restarted:")
    for unit in done["units"]:
        out.line(unit)


def packages(sysroot: Path, done: backend.Json) -> Iterator[str]:
    return diffs.block(backend.shown_diff(sysroot / "ostree/repo", done["from"], done["to"]))


def check(args: Args, sysroot: Path) -> None:
    """Refuse what cannot be applied to the running system."""
    if args.flag("reboot"):
        raise AptOstreeError("Cannot specify `apply-live` and `reboot`")
    if sysroot != Path("/"):
        raise AptOstreeError(
            f"'{sysroot}' is not the running system", hint="leave out --apply-live"
        )


def confirm(session: Session, args: Args, show: Callable[[], object]) -> None:
    """Ask before the running system changes; `show` prints what would be done.

    Where nobody can answer, yes is taken for granted, after a notice.
    """
    if args.flag("assumeyes") or args.flag("dry-run"):
        return
    if not os.isatty(sys.stdin.fileno()):
        session.out.note(_NOTICE)
        time.sleep(_PAUSE_S)
        return
    show()
    session.out.text("Continue? [y/N] ")
    session.out.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise AptOstreeError("Operation aborted")

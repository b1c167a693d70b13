"""apt-ostree init: make a directory a sysroot that deployments can be written to."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.cli import backend, common
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.cli.transaction import DRY_RUN_LINE
from apt_ostree.errors import AptOstreeError, UsageError

DEFAULT_STATEROOT = "debian"
OPTIONS = (
    Opt("os", metavar="OSNAME", dest="stateroot", is_hidden=True),
    Opt("stateroot", metavar="NAME", help=f"Name of the stateroot (default: {DEFAULT_STATEROOT})"),
    common.DRY_RUN,
    common.JSON,
)


def run(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError("PATH must be specified")
    if len(args.rest) > 1:
        raise UsageError("Too many arguments")
    path = Path(os.path.abspath(args.rest[0]))
    stateroot = args.text("stateroot") or DEFAULT_STATEROOT
    if "/" in stateroot or stateroot in (".", ".."):
        raise AptOstreeError(f"Invalid stateroot name '{stateroot}'")
    is_new = backend.init(path, stateroot, dry_run=args.flag("dry-run"))
    out = session.out
    if args.flag("json"):
        out.json({"path": str(path), "stateroot": stateroot, "changed": is_new})
        return 0
    if is_new:
        verb = "Would initialize" if args.flag("dry-run") else "Initialized"
        out.line(f"{verb} {path} with stateroot '{stateroot}'")
    else:
        out.line("No changes.")
    if args.flag("dry-run"):
        out.line(DRY_RUN_LINE)
    return 0


COMMAND = Command(run, usage="PATH", options=OPTIONS, target=Target.LOCAL, needs_root=True)

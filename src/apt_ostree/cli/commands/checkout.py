"""apt-ostree checkout: the tree of a commit as plain files."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError

OPTIONS = (
    Opt("copy", help="Copy the files instead of hardlinking them: the tree may be changed"),
    common.DRY_RUN,
    common.JSON,
)


def run(args: Args, session: Session) -> int:
    if len(args.rest) != 2:
        raise UsageError("REV and DEST must be specified")
    rev, dest = args.rest[0], Path(os.path.abspath(args.rest[1]))
    if dest.exists():
        raise AptOstreeError(f"Refusing to operate on extant target {dest}")
    sysroot = session.sysroot(args)
    if args.flag("dry-run"):
        checksum = backend.resolve(sysroot / "ostree/repo", rev)
        if checksum is None:
            raise AptOstreeError(
                f"Refspec '{rev}' not found", hint="ostree refs lists what is there"
            )
    else:
        with transaction.reporting(session, args) as progress:
            checksum = backend.checkout(sysroot, rev, dest, progress, copy=args.flag("copy"))
    if args.flag("json"):
        session.out.json({"commit": checksum, "path": str(dest)})
        return 0
    verb = "Would check out" if args.flag("dry-run") else "Checked out"
    session.out.line(f"{verb} {checksum} to {dest}")
    if args.flag("dry-run"):
        session.out.line(transaction.DRY_RUN_LINE)
    return 0


COMMAND = Command(run, usage="REV DEST", options=OPTIONS, needs_root=True)

"""apt-ostree search: packages by name and summary."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.commands.install import NO_PACKAGE, SHARED
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = tuple(o for o in SHARED if o not in (common.TIMING, common.WAIT))


def run(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError(NO_PACKAGE)
    with transaction.reporting(session, args) as progress:
        found = list(
            backend.search(session.sysroot(args), common.stateroot(args), args.rest, progress)
        )
    out = session.out
    if args.flag("json"):
        out.json([{"group": g, "name": n, "summary": s} for g, n, s in found])
        return 0
    header = None
    for group, name, summary in found:
        if group != header:
            header = group
            out.line(f"\n===== {group} =====")
        out.line(f"{name} : {summary}")
    if not found:
        out.line("No matches found.")
    return 0


COMMAND = Command(run, usage="QUERY [QUERY...]", options=OPTIONS)

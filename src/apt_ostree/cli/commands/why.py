"""apt-ostree why: from a file or package to the request that brought it."""

from __future__ import annotations

from apt_ostree.cli import backend, common
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (*common.STATEROOT, common.DEPLOYMENT, common.JSON)


def run(args: Args, session: Session) -> int:
    if len(args.rest) != 1:
        raise UsageError("One PACKAGE or /PATH must be specified")
    found = backend.why(
        session.sysroot(args),
        common.stateroot(args),
        args.rest[0],
        deployment=args.text("deployment"),
    )
    if args.flag("json"):
        session.out.json(found)
        return 0
    session.out.line(found["target"])
    branch = session.out.style.last_branch
    for depth, link in enumerate(found["chain"]):
        session.out.line(f"{'   ' * depth}{branch}{link['text']}")
    return 0


COMMAND = Command(run, usage="PACKAGE|/PATH", options=OPTIONS)

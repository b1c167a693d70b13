"""apt-ostree refresh-md: fetch package metadata."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.units import timestamp
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (
    *common.STATEROOT,
    Opt("force", "f", help="Expire current cache"),
    common.DRY_RUN,
    common.JSON,
)


def run(args: Args, session: Session) -> int:
    if args.rest:
        raise UsageError("Too few or too many arguments")
    with transaction.reporting(session, args) as progress:
        sources = backend.refresh(
            session.sysroot(args),
            common.stateroot(args),
            progress,
            force=args.flag("force"),
            dry_run=args.flag("dry-run"),
        )
    if args.flag("json"):
        session.out.json(
            [
                {"id": s.id, "generated": timestamp(s.generated), "packages": s.packages}
                for s in sources
            ]
        )
    elif args.flag("dry-run"):
        session.out.line(transaction.DRY_RUN_LINE)
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True)

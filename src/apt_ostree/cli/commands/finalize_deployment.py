"""apt-ostree finalize-deployment: unlock the staged deployment, and reboot into it."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (
    *common.STATEROOT,
    Opt("allow-missing-checksum", help="Don't error out if no expected checksum is provided"),
    Opt("allow-unlocked", help="Don't error out if staged deployment wasn't locked"),
    common.DRY_RUN,
)


def run(args: Args, session: Session) -> int:
    may_miss = args.flag("allow-missing-checksum")
    if len(args.rest) > 1:
        raise UsageError("Too many arguments passed")
    if not args.rest and not may_miss:
        raise UsageError("Must provide expected CHECKSUM or --allow-missing-checksum")
    if args.rest and may_miss:
        raise UsageError("Cannot specify both CHECKSUM and --allow-missing-checksum")
    checksum = args.rest[0] if args.rest else None
    with transaction.reporting(session, args) as progress:
        backend.finalize(
            session.sysroot(args), common.stateroot(args), checksum, progress,
            allow_unlocked=args.flag("allow-unlocked"), dry_run=args.flag("dry-run"),
        )  # fmt: skip
    if args.flag("dry-run"):
        session.out.line(transaction.DRY_RUN_LINE)
    return 0


COMMAND = Command(run, usage="[CHECKSUM]", options=OPTIONS, needs_root=True)

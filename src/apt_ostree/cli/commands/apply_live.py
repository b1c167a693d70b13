"""apt-ostree apply-live: bring the running system to what boots next, without a reboot."""

from __future__ import annotations

from apt_ostree.cli import backend, common, live, transaction
from apt_ostree.cli.command import Command, Family
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError

OPTIONS = (
    Opt("target", metavar="TARGET", help="Target provided commit instead of pending deployment"),
    Opt("reset", help="Reset back to booted commit"),
    Opt("allow-replacement", help="Allow replacement of packages/files (default is pure additive)"),
    common.DRY_RUN,
)


def run(args: Args, session: Session) -> int:
    if args.text("target") is not None and args.flag("reset"):
        raise AptOstreeError("Cannot specify both --target and --reset")
    sysroot = session.sysroot(args)
    with transaction.reporting(session, args) as progress:
        done = backend.apply_live(
            sysroot, progress, target=args.text("target"), reset=args.flag("reset"),
            allow_replacement=args.flag("allow-replacement"), dry_run=args.flag("dry-run"),
        )  # fmt: skip
    if args.flag("dry-run"):
        for line in live.packages(sysroot, done):
            session.out.line(line)
        session.out.line(transaction.DRY_RUN_LINE)
        return 0
    live.report(session, sysroot, done)
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True, family=Family.CLAP)

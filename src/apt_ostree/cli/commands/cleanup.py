"""apt-ostree cleanup: drop caches, the pending or the rollback deployment."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError

OPTIONS = (
    Opt("base", "b", help="Clear temporary files; will leave deployments unchanged"),
    Opt("pending", "p", help="Remove pending deployment"),
    Opt("rollback", "r", help="Remove rollback deployment"),
    Opt("repomd", "m", help="Delete cached package metadata"),
    *common.STATEROOT,
    common.DRY_RUN,
    common.JSON,
)
# option -> the word that the transaction knows it by
WORDS = {
    "base": "base",
    "pending": "pending-deploy",
    "rollback": "rollback-deploy",
    "repomd": "repomd",
}


def run(args: Args, session: Session) -> int:
    if len(args.rest) > 1:
        raise UsageError("Too few or too many arguments")
    what = {word for option, word in WORDS.items() if args.flag(option)}
    if not what:
        raise AptOstreeError("cleanup: At least one cleanup option must be specified")
    is_dry_run = args.flag("dry-run")
    try:
        with transaction.reporting(session, args) as progress:
            done = backend.cleanup(
                session.sysroot(args),
                common.stateroot(args),
                what,
                progress,
                dry_run=is_dry_run,
            )
    except AptOstreeError as err:
        err.message = f"cleanup: {err.message}"
        raise
    if args.flag("json"):
        session.out.json(done)
    elif is_dry_run:
        session.out.line(transaction.DRY_RUN_LINE)
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True)

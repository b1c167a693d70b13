"""apt-ostree rollback: boot the previous deployment next."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session

OPTIONS = (*common.STATEROOT, common.REBOOT, common.DRY_RUN, *common.TRANSACTION)


def run(args: Args, session: Session) -> int:
    return transaction.run(
        session,
        args,
        lambda sysroot, progress: backend.rollback(
            sysroot,
            common.stateroot(args),
            progress,
            dry_run=args.flag("dry-run"),
            reboot=transaction.wants_reboot(args),
        ),
        ending=transaction.Ending(),
    )


COMMAND = Command(run, options=OPTIONS, needs_root=True)

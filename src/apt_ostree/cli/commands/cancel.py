"""apt-ostree cancel: stop the transaction that the daemon is working on."""

from __future__ import annotations

from apt_ostree.cli import backend, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session


def run(args: Args, session: Session) -> int:
    with transaction.reporting(session, args) as progress:
        is_cancelled = backend.cancel(session.sysroot(args), progress, session.out.line)
    session.out.line("Cancelled." if is_cancelled else "No active transaction.")
    return 0


COMMAND = Command(run)

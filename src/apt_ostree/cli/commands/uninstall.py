"""apt-ostree uninstall: take layered packages off the next deployment."""

from __future__ import annotations

from apt_ostree.cli import common, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.commands.install import NO_PACKAGE, SHARED
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError
from apt_ostree.model.change import Change

OPTIONS = (
    *SHARED,
    common.INSTALL,
    Opt("all", help="Remove all layered packages"),
)


def run(args: Args, session: Session) -> int:
    if not args.rest and not args.flag("all"):
        raise UsageError(NO_PACKAGE)
    with requests.gathered(session, args, args.many("install")) as found:
        edit = Change(
            uninstall=args.rest,
            no_layering=args.flag("all"),
            install=found.names,
            install_local=found.files,
        )
        # Taking packages away needs no news from the mirrors.
        return transaction.carry_out(
            session,
            args,
            edit,
            ending=transaction.Ending(exits_77=args.flag("unchanged-exit-77")),
            cache_only=not args.many("install"),
        )


COMMAND = Command(run, usage="PACKAGE [PACKAGE...]", options=OPTIONS, needs_root=True)

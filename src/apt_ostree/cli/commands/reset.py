"""apt-ostree reset: drop local changes."""

from __future__ import annotations

from apt_ostree.cli import common, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError
from apt_ostree.model.change import Change

OPTIONS = (
    *common.STATEROOT,
    common.REBOOT,
    Opt("overlays", "l", help="Remove all layered packages"),
    Opt("overrides", "o", help="Remove all overrides"),
    Opt("initramfs", "i", help="Stop regenerating initramfs or tracking files"),
    common.HIDDEN_LOCK,
    common.DRY_RUN,
    *common.TRANSACTION,
    *common.PACKAGES,
)


def run(args: Args, session: Session) -> int:
    if args.rest:
        raise UsageError("Too few or too many arguments")
    is_all = not any(args.flag(name) for name in ("overlays", "overrides", "initramfs"))
    with requests.gathered(session, args, args.many("install")) as found:
        edit = Change(
            no_layering=is_all or args.flag("overlays"),
            no_overrides=is_all or args.flag("overrides"),
            no_initramfs=is_all or args.flag("initramfs"),
            install=found.names,
            install_local=found.files,
            uninstall=args.many("uninstall"),
        )
        return transaction.carry_out(
            session,
            args,
            edit,
            ending=transaction.Ending(),
            cache_only=not args.many("install"),
        )


COMMAND = Command(run, options=OPTIONS, needs_root=True)

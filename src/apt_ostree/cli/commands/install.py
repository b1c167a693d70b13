"""apt-ostree install: layer packages on the next deployment."""

from __future__ import annotations

from apt_ostree.cli import common, live, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import texts
from apt_ostree.model.change import Change

# install, uninstall and search accept the union of these; what has no use is ignored.
SHARED = (
    *common.STATEROOT,
    common.REBOOT,
    common.DRY_RUN,
    Opt("assumeyes", "y", help="Auto-confirm interactive prompts for non-security questions"),
    Opt("allow-inactive", help="Allow inactive package requests"),
    Opt("idempotent", help="Do nothing if package already (un)installed"),
    common.UNCHANGED_77,
    common.LOCK,
    *common.SOURCES,
    *common.TRANSACTION,
)  # fmt: skip
OPTIONS = (
    *SHARED,
    common.UNINSTALL,
    common.CACHE_ONLY,
    common.DOWNLOAD_ONLY,
    Opt("apply-live", "A",
        help="Apply changes to both pending deployment and running filesystem tree"),
    Opt("force-replacefiles", help="Allow package to replace files from other packages"),
)  # fmt: skip
NO_PACKAGE = "At least one PACKAGE must be specified"


def run(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError(NO_PACKAGE)
    if args.flag("apply-live"):
        live.check(args, session.sysroot(args))
    with requests.gathered(session, args, args.rest) as found:
        is_forced = args.flag("force-replacefiles")
        if is_forced and found.names:
            raise AptOstreeError(texts.FILEOVERRIDE_BY_NAME)
        edit = Change(
            install=found.names,
            install_local=() if is_forced else found.files,
            install_fileoverride_local=found.files if is_forced else (),
            uninstall=args.many("uninstall"),
        )
        ending = transaction.Ending(exits_77=args.flag("unchanged-exit-77"))
        is_live = args.flag("apply-live")
        if is_live:
            live.confirm(session, args, lambda: transaction.preview(session, args, edit))
        return transaction.carry_out(session, args, edit, ending=ending, live=is_live)


COMMAND = Command(run, usage="PACKAGE [PACKAGE...]", options=OPTIONS, needs_root=True)

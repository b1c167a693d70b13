"""apt-ostree initramfs-etc: files of /etc that the initramfs gets to see."""

from __future__ import annotations

from apt_ostree.cli import common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.commands.initramfs import first_deployment
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change

OPTIONS = (
    *common.STATEROOT,
    Opt("force-sync", help="Deploy a new tree with the latest tracked /etc files"),
    Opt("track", metavar="FILE", is_repeatable=True, help="Track root /etc file"),
    Opt("untrack", metavar="FILE", is_repeatable=True, help="Untrack root /etc file"),
    Opt("untrack-all", help="Untrack all root /etc files"),
    common.REBOOT,
    common.LOCK,
    common.UNCHANGED_77,
    common.DRY_RUN,
    *common.TRANSACTION,
)


def run(args: Args, session: Session) -> int:
    if is_query(args):
        if args.flag("reboot"):
            raise AptOstreeError(
                "Cannot use ---reboot without --track, --untrack, --untrack-all, or --force-sync"
            )
        return _show(args, session)
    for path in args.many("track"):
        if not path.startswith("/etc/"):
            raise AptOstreeError(f"Path outside /etc forbidden: {path}")
    edit = Change(
        initramfs_etc_track=args.many("track"),
        initramfs_etc_untrack=args.many("untrack"),
        initramfs_etc_untrack_all=args.flag("untrack-all"),
        initramfs_etc_force_sync=args.flag("force-sync"),
    )
    ending = transaction.Ending(
        lines=(transaction.REBOOT_LINE,),
        shows_diff=False,
        exits_77=args.flag("unchanged-exit-77"),
    )
    return transaction.carry_out(session, args, edit, ending=ending, cache_only=True)


def is_query(args: Args) -> bool:
    return not any(map(args.many, ("track", "untrack", "untrack-all", "force-sync")))


def _show(args: Args, session: Session) -> int:
    files = first_deployment(args, session).initramfs_etc
    if args.flag("json"):
        session.out.json(list(files))
    elif not files:
        session.out.line("No tracked files.")
    else:
        session.out.line("Tracked files:")
        for name in files:
            session.out.line(f"  {name}")
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True, is_query=is_query)

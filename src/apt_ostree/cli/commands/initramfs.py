"""apt-ostree initramfs: build the initramfs on this machine, or take the one of the base."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change
from apt_ostree.model.deployment import Deployment

OPTIONS = (
    *common.STATEROOT,
    Opt("enable", help="Enable regenerating initramfs locally using dracut"),
    Opt("arg", metavar="ARG", is_repeatable=True,
        help="Append ARG to the dracut arguments"),
    Opt("disable", help="Disable regenerating initramfs locally"),
    common.REBOOT,
    common.LOCK,
    common.DRY_RUN,
    *common.TRANSACTION,
)  # fmt: skip
_BOTH = "Cannot simultaenously specify"  # codespell:ignore simultaenously - rpm-ostree's text


def run(args: Args, session: Session) -> int:
    _check(args)
    if is_query(args):
        return _show(args, session)
    is_on = args.flag("enable")
    lines = [f"Initramfs regeneration is now: {'enabled' if is_on else 'disabled'}"]
    if not is_on:
        lines.append("Initramfs will be reset to default on next reboot.")
    return transaction.carry_out(
        session,
        args,
        Change(initramfs_regenerate=is_on, initramfs_args=args.many("arg")),
        ending=transaction.Ending(lines=tuple(lines), shows_diff=False),
        cache_only=True,
    )


def is_query(args: Args) -> bool:
    return not args.flag("enable") and not args.flag("disable")


def _check(args: Args) -> None:
    is_on, is_off = args.flag("enable"), args.flag("disable")
    if is_on and is_off:
        raise AptOstreeError(f"{_BOTH} --enable and --disable")
    if is_off and args.many("arg"):
        raise AptOstreeError(f"{_BOTH} --disable and --arg")
    if args.flag("reboot") and not (is_on or is_off):
        raise AptOstreeError("--reboot must be used with --enable or --disable")
    if args.many("arg") and not is_on:
        raise AptOstreeError("--arg must be used with --enable")


def first_deployment(args: Args, session: Session) -> Deployment:
    """The deployment that the next change starts from."""
    stateroot = common.stateroot(args)
    for raw in backend.deployments(session.sysroot(args)):
        if stateroot in (None, raw["osname"]):
            return Deployment.from_dict(raw)
    where = f" for OS '{stateroot}'" if stateroot else ""
    raise AptOstreeError(f"No deployments found{where}")


def _show(args: Args, session: Session) -> int:
    deployment = first_deployment(args, session)
    is_on = deployment.regenerate_initramfs
    if args.flag("json"):
        session.out.json({"enabled": is_on, "args": list(deployment.initramfs_args)})
        return 0
    session.out.line(f"Initramfs regeneration: {'enabled' if is_on else 'disabled'}")
    if deployment.initramfs_args:
        # one blank ends the list, as rpm-ostree prints it
        session.out.line("Initramfs args: " + "".join(f"{a} " for a in deployment.initramfs_args))
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True, is_query=is_query)

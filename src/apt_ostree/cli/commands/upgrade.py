"""apt-ostree upgrade: a newer base, newer layered packages, or only the question whether."""

from __future__ import annotations

from apt_ostree.cli import backend, common, driver, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.plan import transaction as transaction_list
from apt_ostree.cli.render.update import AvailableUpdate, available_update
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change, Options

OPTIONS = (
    *common.STATEROOT,
    common.REBOOT,
    Opt("allow-downgrade", help="Permit deployment of chronologically older trees"),
    Opt("preview", help="Just preview package differences"),
    Opt("check-diff", dest="preview", is_hidden=True),
    Opt("check", help="Just check if an upgrade is available"),
    common.CACHE_ONLY,
    common.DOWNLOAD_ONLY,
    common.UNCHANGED_77,
    Opt("upgrade-unchanged-exit-77", dest="unchanged-exit-77", is_hidden=True),
    Opt("trigger-automatic-update-policy", is_hidden=True),
    common.LOCK,
    common.BYPASS_DRIVER,
    common.DRY_RUN,
    *common.TRANSACTION,
    *common.PACKAGES,
)


def run(args: Args, session: Session) -> int:
    is_asking = args.flag("preview") or args.flag("check")
    packages = args.many("install") + args.many("uninstall")
    if args.flag("reboot") and is_asking:
        what = "preview" if args.flag("preview") else "check"
        raise AptOstreeError(f"Cannot specify both --reboot and --{what}")
    if packages and args.flag("preview"):
        raise AptOstreeError("Cannot specify both --preview and --install/--uninstall")
    driver.check(args, session)
    if args.flag("trigger-automatic-update-policy"):
        return _follow_policy(args, session)
    if is_asking:
        return _ask(args, session)
    with requests.gathered(session, args, args.many("install")) as found:
        edit = Change(
            pull_base=True,
            install=found.names,
            install_local=found.files,
            uninstall=args.many("uninstall"),
        )
        return transaction.carry_out(
            session,
            args,
            edit,
            ending=transaction.Ending(
                lines=(transaction.REBOOT_LINE,), exits_77=args.flag("unchanged-exit-77")
            ),
            allow_downgrade=args.flag("allow-downgrade"),
        )


def _follow_policy(args: Args, session: Session) -> int:
    with transaction.reporting(session, args) as progress:
        is_enabled = backend.automatic_update(
            session.sysroot(args), common.stateroot(args), session.command_line, progress
        )
    if not is_enabled:
        session.out.line("Automatic updates are not enabled; exiting...")
    return 0


def _ask(args: Args, session: Session) -> int:
    """Look for an update by the very plan that an upgrade would carry out."""
    options = Options(
        only_check=True,
        cache_only=args.flag("cache-only"),
        allow_downgrade=args.flag("allow-downgrade"),
        command_line=session.command_line,
    )
    with transaction.reporting(session, args) as progress:
        outcome = backend.change(
            session.sysroot(args),
            common.stateroot(args),
            Change(pull_base=True),
            options,
            progress,
        )
    out = session.out
    raw = outcome.notes.get("cached-update")
    if args.flag("json"):
        out.json(raw if raw is not None else transaction.outcome_json(outcome, is_dry_run=True))
        return 0 if outcome.changed else common.STATUS_UNCHANGED
    if not outcome.changed:
        out.line("No updates available.")
        return common.STATUS_UNCHANGED
    is_verbose = args.flag("preview")
    if raw is not None:
        update = AvailableUpdate.from_dict(raw)
        for line in available_update(
            update, out.style, is_verbose=is_verbose, expands_advisories=is_verbose
        ):
            out.line(line)
    elif outcome.plan is not None:
        out.line("AvailableUpdate:")
        for line in transaction_list(outcome.plan):
            out.line(f"  {line}")
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True)

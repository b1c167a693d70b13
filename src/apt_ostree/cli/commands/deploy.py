"""apt-ostree deploy: go to one chosen version or commit of the current branch."""

from __future__ import annotations

from apt_ostree.cli import backend, common, driver, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.diff import lines
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model.change import Change

OPTIONS = (
    *common.STATEROOT,
    common.REBOOT,
    Opt("preview", help="Just preview package differences"),
    common.CACHE_ONLY,
    common.DOWNLOAD_ONLY,
    Opt("skip-branch-check", help="Do not check if commit belongs on the same branch"),
    common.LOCK,
    Opt("disallow-downgrade", help="Forbid deployment of chronologically older trees"),
    common.UNCHANGED_77,
    Opt("register-driver", metavar="DRIVERNAME", is_hidden=True),
    common.BYPASS_DRIVER,
    Opt("ex-cliwrap", metavar="BOOL", is_hidden=True),
    common.DRY_RUN,
    *common.TRANSACTION,
    *common.PACKAGES,
)  # fmt: skip


def run(args: Args, session: Session) -> int:
    _check(args)
    driver.check(args, session)
    with requests.gathered(session, args, args.many("install")) as found:
        edit = Change(
            pull_base=True,
            revision=(args.rest[0] if args.rest else "") or None,
            skip_branch_check=args.flag("skip-branch-check"),
            install=found.names,
            install_local=found.files,
            uninstall=args.many("uninstall"),
        )
        if args.flag("preview"):
            return _preview(args, session, edit)
        return transaction.carry_out(
            session,
            args,
            edit,
            ending=transaction.Ending(
                lines=(transaction.REBOOT_LINE,), exits_77=args.flag("unchanged-exit-77")
            ),
            allow_downgrade=not args.flag("disallow-downgrade"),
            driver=args.text("register-driver"),
        )


def _check(args: Args) -> None:
    wrap = args.text("ex-cliwrap")
    if wrap is not None and wrap not in ("true", "false"):
        raise AptOstreeError(f"Expecting --ex-cli-wrap=true/false but found {wrap}")
    if not any(args.rest) and wrap is None and args.text("register-driver") is None:
        raise UsageError("REVISION must be specified")
    if args.flag("preview") and (args.many("install") or args.many("uninstall")):
        raise AptOstreeError("Cannot specify both --preview and --install/--uninstall")
    if wrap is not None:
        raise AptOstreeError("'--ex-cliwrap' is not available: commands of trees are not wrapped")


def _preview(args: Args, session: Session, edit: Change) -> int:
    """Fetch the commit and show how its packages differ from the deployment it would follow."""
    import dataclasses

    sysroot = session.sysroot(args)
    options = dataclasses.replace(
        common.options(args, session, allow_downgrade=not args.flag("disallow-downgrade")),
        only_check=True,
    )
    stateroot = common.stateroot(args)
    with transaction.reporting(session, args) as progress:
        outcome = backend.change(sysroot, stateroot, edit, options, progress)
    out = session.out
    found = [
        d for d in backend.deployments(sysroot) if stateroot is None or d["osname"] == stateroot
    ]
    merge = next((d for d in found if d["booted"]), found[0] if found else None)
    base = outcome.plan.base if outcome.plan is not None else None
    if merge is None or base is None:
        return common.STATUS_UNCHANGED if args.flag("unchanged-exit-77") else 0
    before: str = merge["base-checksum" if "base-checksum" in merge else "checksum"]
    diff = backend.package_diff(sysroot / "ostree/repo", before, base)
    if args.flag("json"):
        out.json(diff.as_list())
    else:
        for line in lines(diff):
            out.line(line)
    return common.STATUS_UNCHANGED if not diff and args.flag("unchanged-exit-77") else 0


COMMAND = Command(run, usage="REVISION", options=OPTIONS, needs_root=True)

"""apt-ostree status: the deployments, and what is going on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apt_ostree.cli import backend, common
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.status import StatusOptions, StatusView, status
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.deployment import Deployment
from apt_ostree.model.package_diff import PackageDiff

OPTIONS = (
    Opt("pretty", "p", help="Format output in human readable form (default)", is_hidden=True),
    Opt("verbose", "v", help="Print additional fields (e.g. StateRoot); implies -a"),
    Opt("advisories", "a", help="Expand advisories listing"),
    Opt("json", help="Output JSON"),
    Opt("jsonpath", "J", metavar="EXPRESSION", help="Filter JSONPath expression"),
    Opt("booted", "b", help="Only print the booted deployment"),
    Opt("pending-exit-77", help="If pending deployment available, exit 77"),
)


def run(args: Args, session: Session) -> int:
    if args.flag("json") and args.text("jsonpath") is not None:
        raise AptOstreeError("Cannot specify both --json and --jsonpath")
    sysroot = session.sysroot(args)
    found = backend.deployments(sysroot)
    if args.flag("json") or args.text("jsonpath") is not None:
        _print_json(args, session, found)
    else:
        _print_text(args, session, sysroot, found)
    is_pending = len(found) > 1 and not found[0]["booted"]
    return common.STATUS_UNCHANGED if args.flag("pending-exit-77") and is_pending else 0


def _print_json(args: Args, session: Session, found: list[dict[str, Any]]) -> None:
    shown = [d for d in found if d["booted"]] if args.flag("booted") else found
    # The update and its driver belong to the daemon.
    state = backend.daemon_state(session.sysroot(args))
    value = {
        "deployments": shown,
        "transaction": state.get("transaction"),
        "cached-update": None,
        "update-driver": None,
    }
    expression = args.text("jsonpath")
    if expression is None:
        session.out.json(value)
        return
    from apt_ostree.cli.jsonpath import matches

    session.out.json(matches(expression, value))


def _print_text(args: Args, session: Session, sysroot: Path, found: list[dict[str, Any]]) -> None:
    deployments = tuple(Deployment.from_dict(d) for d in found)
    options = StatusOptions(
        is_verbose=args.flag("verbose"),
        expands_advisories=args.flag("advisories") or args.flag("verbose"),
        only_booted=args.flag("booted"),
    )
    view = StatusView(deployments=deployments, pending_diff=_pending_diff(sysroot, deployments))
    for line in status(view, options, session.out.style):
        session.out.line(line)


def _pending_diff(sysroot: Path, deployments: tuple[Deployment, ...]) -> PackageDiff | None:
    """What the deployment that boots next changes against the running one."""
    booted = next((d for d in deployments if d.is_booted), None)
    if booted is None or deployments[0].is_booted or deployments[0].osname != booted.osname:
        return None
    try:
        repo = sysroot / "ostree/repo"
        return backend.shown_diff(repo, booted.checksum, deployments[0].checksum)
    except AptOstreeError:
        return None  # one of them has no list of packages, and is shown all the same


COMMAND = Command(run, options=OPTIONS)

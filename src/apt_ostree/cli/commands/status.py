"""apt-ostree status: the deployments, and what is going on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from apt_ostree.cli import automatic, backend, common, driver
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.status import Activity, Driver, StatusOptions, StatusView, status
from apt_ostree.cli.render.update import AvailableUpdate
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.deployment import Deployment
from apt_ostree.model.package_diff import PackageDiff

Json = dict[str, Any]
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
    state = backend.daemon_state(sysroot)
    found = backend.deployments(sysroot)
    if args.flag("json") or args.text("jsonpath") is not None:
        _print_json(args, session, found, state)
    else:
        _print_text(args, session, found, state)
    is_pending = len(found) > 1 and not found[0]["booted"]
    return common.STATUS_UNCHANGED if args.flag("pending-exit-77") and is_pending else 0


def _print_json(args: Args, session: Session, found: list[Json], state: Json) -> None:
    shown = [d for d in found if d["booted"]] if args.flag("booted") else found
    taken = driver.current(session.sysroot(args))
    value = {
        "deployments": shown,
        "transaction": state.get("transaction"),
        "cached-update": state.get("update"),
        "update-driver": None if taken is None else taken.as_dict(),
    }
    expression = args.text("jsonpath")
    if expression is None:
        session.out.json(value)
        return
    from apt_ostree.cli.jsonpath import matches

    session.out.json(matches(expression, value))


def _print_text(args: Args, session: Session, found: list[Json], state: Json) -> None:
    sysroot = session.sysroot(args)
    deployments = tuple(Deployment.from_dict(d) for d in found)
    options = StatusOptions(
        is_verbose=args.flag("verbose"),
        expands_advisories=args.flag("advisories") or args.flag("verbose"),
        only_booted=args.flag("booted"),
    )
    pending = _pending_diff(sysroot, deployments)
    taken = driver.current(sysroot)
    view = StatusView(
        driver=None if taken is None else Driver(taken.name, taken.unit, driver.state(taken)),
        deployments=deployments, pending_diff=pending, activity=_activity(state),
        automatic=automatic.describe(state["policy"]) if "policy" in state else None,
        update=None if pending else _update(state), live_diffs=_live_diffs(sysroot, deployments),
    )  # fmt: skip
    for line in status(view, options, session.out.style):
        session.out.line(line)


def _activity(state: Json) -> Activity | None:
    return Activity(state["title"], state["initiator"]) if "title" in state else None


def _update(state: Json) -> AvailableUpdate | None:
    """What a check has found, where checks are made automatically."""
    update = state.get("update")
    if update is None or state["policy"] == "none":
        return None
    return AvailableUpdate.from_dict(update)


def _live_diffs(sysroot: Path, deployments: tuple[Deployment, ...]) -> dict[str, PackageDiff]:
    found = {}
    for deployment in deployments:
        if deployment.live_replaced is not None:
            with suppress(AptOstreeError):  # the commit may be gone
                found[deployment.id] = backend.shown_diff(
                    sysroot / "ostree/repo", deployment.checksum, deployment.live_replaced
                )
    return found


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

"""How every command that makes a deployment runs and ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from apt_ostree.cli import backend, common
from apt_ostree.cli.options import Args
from apt_ostree.cli.render import plan as plans
from apt_ostree.cli.render.progress import Text, watching
from apt_ostree.cli.render.table import timings
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, BusyError
from apt_ostree.model.change import Change, Outcome
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import Progress

REBOOT_LINE = 'Run "systemctl reboot" to start a reboot'
QUEUED_LINE = f"Changes queued for next boot. {REBOOT_LINE}"
_POLL_S = 0.5
DRY_RUN_LINE = "Exiting because of '--dry-run' option"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a command says when it has made a deployment, and when it has not."""

    lines: tuple[str, ...] = (QUEUED_LINE,)
    shows_diff: bool = True
    exits_77: bool = False  # when nothing changed


@contextmanager
def reporting(session: Session, args: Args) -> Iterator[Progress]:
    """Progress as text: on stdout like a result's preface, on stderr beside JSON."""
    is_json = args.has("json") and args.flag("json")
    out = session.out
    stream, style = (out.err, out.err_style) if is_json else (out.out, out.style)

    def show(plan: Plan) -> None:
        with suppress(OSError):  # work goes on when nobody reads any more
            stream.write("".join(f"{line}\n" for line in plans.transaction(plan)))

    with watching(stream, style, is_quiet=out.is_quiet, show_plan=show) as progress:
        yield progress


def carry_out(
    session: Session,
    args: Args,
    edit: Change,
    *,
    ending: Ending,
    allow_downgrade: bool = False,
    cache_only: bool = False,
    live: bool = False,
    driver: str | None = None,
) -> int:
    """Run one change on the sysroot that `args` name, and report it."""
    import dataclasses

    options = common.options(args, session, allow_downgrade=allow_downgrade)
    if cache_only:
        options = dataclasses.replace(options, cache_only=True)

    def work(sysroot: Path, progress: Progress) -> Outcome:
        return backend.change(
            sysroot, common.stateroot(args), edit, options, progress,
            reboot=wants_reboot(args), live=live, driver=driver,
        )  # fmt: skip

    return run(session, args, work, ending=ending)


def preview(session: Session, args: Args, edit: Change) -> None:
    """Show what a change would do, before somebody is asked whether to go on."""
    import dataclasses

    options = dataclasses.replace(common.options(args, session), dry_run=True)
    with reporting(session, args) as progress:
        outcome = backend.change(
            session.sysroot(args), common.stateroot(args), edit, options, progress
        )
        if outcome.plan is not None:
            _show_once(progress, outcome.plan)


def run(
    session: Session,
    args: Args,
    work: Callable[[Path, Progress], Outcome],
    *,
    ending: Ending,
) -> int:
    """Do `work` on the sysroot and end as the contract says; the exit status is returned."""
    sysroot = session.sysroot(args)
    check_reboot(sysroot, args)
    with reporting(session, args) as progress:
        outcome = _in_turn(session, args, partial(work, sysroot, progress))
        if args.flag("dry-run") and not args.flag("json") and outcome.plan is not None:
            _show_once(progress, outcome.plan)
    is_unchanged = not outcome.changed and not outcome.notes.get("downloaded")
    status = common.STATUS_UNCHANGED if ending.exits_77 and is_unchanged else 0
    if args.flag("timing"):
        for line in timings(outcome.timings):
            session.out.note(line)
    if args.flag("json"):
        session.out.json(outcome_json(outcome, is_dry_run=args.flag("dry-run")))
    elif args.flag("dry-run"):
        if outcome.plan is not None and not session.out.is_quiet:
            for line in plans.explanation(outcome.plan):
                session.out.line(line)
        session.out.line(DRY_RUN_LINE)
        return 0
    else:
        _say(session, args, sysroot, outcome, ending)
    return status


def _in_turn(session: Session, args: Args, work: Callable[[], Outcome]) -> Outcome:
    """Do `work` now, or with `--wait` as soon as nobody else is at work."""
    is_told = False
    while True:
        try:
            return work()
        except BusyError as err:
            if not (args.has("wait") and args.flag("wait")):
                raise
            if not is_told:
                session.out.note(f"Waiting: {err.message}")
                is_told = True
            time.sleep(_POLL_S)


def _show_once(progress: Progress, plan: Plan) -> None:
    """The transaction list of a dry run, should the work not have announced its plan."""
    if isinstance(progress, Text) and not progress.has_shown_plan:
        progress.plan_ready(plan)


def check_reboot(sysroot: Path, args: Args) -> None:
    """A reboot is for the running system; asked for another one it would be a surprise."""
    if wants_reboot(args) and sysroot != Path("/"):
        raise AptOstreeError(
            f"Cannot reboot: '{sysroot}' is not the running system", hint="leave out --reboot"
        )


def wants_reboot(args: Args) -> bool:
    return args.has("reboot") and args.flag("reboot")


def _say(session: Session, args: Args, sysroot: Path, outcome: Outcome, ending: Ending) -> None:
    out = session.out
    if outcome.notes.get("downloaded"):
        out.line("Update downloaded.")
    if not outcome.changed or wants_reboot(args):
        return
    if (done := outcome.notes.get("live")) is not None:
        from apt_ostree.cli import live

        live.report(session, sysroot, done)
        return
    if ending.shows_diff:
        for line in booted_diff(sysroot):
            out.line(line)
    for line in ending.lines:
        out.line(line)


def booted_diff(sysroot: Path) -> Iterator[str]:
    """Packages that differ between the running deployment and the one that boots next."""
    if sysroot != Path("/"):
        return  # nothing of another sysroot is running
    found = backend.deployments(sysroot)
    booted = next((d for d in found if d["booted"]), None)
    if booted is None or booted["checksum"] == found[0]["checksum"]:
        return
    from apt_ostree.cli.render import diff as diffs

    repo = sysroot / "ostree/repo"
    yield from diffs.block(backend.shown_diff(repo, booted["checksum"], found[0]["checksum"]))


def outcome_json(outcome: Outcome, *, is_dry_run: bool) -> dict[str, Any]:
    """`--json`: a dry run prints the plan alone, a real one what became of it."""
    if is_dry_run and outcome.plan is not None:
        return outcome.plan.as_dict()
    return outcome.as_dict()

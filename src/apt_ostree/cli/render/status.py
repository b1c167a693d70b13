"""`status` as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from apt_ostree.cli.render.deployment import BlockContext, block
from apt_ostree.cli.render.output import Style
from apt_ostree.cli.render.update import AvailableUpdate, available_update
from apt_ostree.model.deployment import Deployment
from apt_ostree.model.package_diff import Advisory, PackageDiff


@dataclass(frozen=True, slots=True)
class Activity:
    """A running transaction.  `client` is `client(id:cli uid:0)`, empty when unknown."""

    title: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Driver:
    """A program that has taken updates over."""

    name: str
    unit: str
    state: str


@dataclass(frozen=True, slots=True)
class Automatic:
    """The policy of automatic updates; `timer` is `apt-ostreed-automatic.timer: inactive`."""

    policy: str
    timer: str = ""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything that `status` may show, gathered before a line is printed."""

    deployments: tuple[Deployment, ...]
    activity: Activity | None = None
    driver: Driver | None = None
    automatic: Automatic | None = None
    finalize_failure: str | None = None
    pending_diff: PackageDiff | None = None
    pending_advisories: tuple[Advisory, ...] = ()
    live_diffs: Mapping[str, PackageDiff] = field(default_factory=dict)
    update: AvailableUpdate | None = None


@dataclass(frozen=True, slots=True)
class StatusOptions:
    is_verbose: bool = False
    expands_advisories: bool = False
    only_booted: bool = False


def status(view: StatusView, options: StatusOptions, style: Style) -> Iterator[str]:
    yield from _top(view, options, style)
    if options.only_booted:
        yield "BootedDeployment:"
        shown = [d for d in view.deployments if d.is_booted]
    else:
        yield "Deployments:"
        shown = list(view.deployments)
    for at, deployment in enumerate(shown):
        if at:
            yield ""
        index = view.deployments.index(deployment)
        yield from block(deployment, _context(view, options, deployment, index, style), style)
    if view.update is not None:
        yield ""
        yield from available_update(
            view.update,
            style,
            is_verbose=options.is_verbose,
            expands_advisories=options.expands_advisories,
        )


def _top(view: StatusView, options: StatusOptions, style: Style) -> Iterator[str]:
    yield f"State: {'busy' if view.activity else 'idle'}"
    if view.finalize_failure is not None:
        yield style.red_bold("Warning: failed to finalize previous deployment")
        yield f"         {view.finalize_failure}"
        yield "         check `journalctl -b -1 -u ostree-finalize-staged.service`"
    if view.driver is not None:
        unit = f" ({view.driver.unit})" if options.is_verbose else ""
        yield f"AutomaticUpdatesDriver: {view.driver.name}{unit}"
        yield f"  DriverState: {view.driver.state}"
    elif view.automatic is not None:
        yield from _automatic(view.automatic, options, style)
    if view.activity is not None:
        yield f"Transaction: {view.activity.title}"
        if view.activity.client:
            yield f"  Initiator: {view.activity.client}"


def _automatic(automatic: Automatic, options: StatusOptions, style: Style) -> Iterator[str]:
    if automatic.policy == "none":
        if options.is_verbose:
            yield "AutomaticUpdates: disabled"
        return
    timer = style.red_bold(automatic.timer) if automatic.has_failed else automatic.timer
    yield f"AutomaticUpdates: {automatic.policy}; {timer}"


def _context(
    view: StatusView,
    options: StatusOptions,
    deployment: Deployment,
    index: int,
    style: Style,
) -> BlockContext:
    booted = next((d for d in view.deployments if d.is_booted), None)
    is_pending = (
        index == 0
        and booted is not None
        and not deployment.is_booted
        and deployment.osname == booted.osname
    )
    return BlockContext(
        index=index,
        is_verbose=options.is_verbose,
        is_first=index == 0,
        shows_stateroot=len({d.osname for d in view.deployments}) > 1,
        has_live=any(d.is_live for d in view.deployments),
        marker=style.marker if deployment.is_booted else "  ",
        pending_diff=view.pending_diff if is_pending else None,
        advisories=view.pending_advisories if is_pending else (),
        expands_advisories=options.expands_advisories,
        live_diffs=view.live_diffs,
    )

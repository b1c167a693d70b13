"""`history` as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apt_ostree.cli.render.deployment import BlockContext, block
from apt_ostree.cli.render.output import Style
from apt_ostree.cli.render.units import ago, timestamp
from apt_ostree.model.deployment import Deployment

_SHOWN_DIGITS = 16  # of a plan's digest
DONE = "done"


def entry(
    raw: Mapping[str, Any], style: Style, *, now: float, is_verbose: bool = False
) -> Iterator[str]:
    """One entry: when it was made and booted, by what, and the deployment itself.

    A deployment that was made but never booted has no boot lines, a failure no deployment.
    """
    if boots := raw.get("boot-count", 0):
        yield f"BootTimestamp: {_when(raw['last-boot-timestamp'], now)}"
        if boots > 1:
            first = _when(raw["first-boot-timestamp"], now)
            yield f"{style.last_branch}BootCount: {boots}; first booted on {first}"
    yield f"CreateTimestamp: {_when(raw['deployment-create-timestamp'], now)}"
    if command := raw.get("deployment-create-command-line"):
        yield f"CreateCommand: {style.bold(command)}"
    if user := raw.get("user"):
        by = f" (sudo of {raw['sudo-user']})" if raw.get("sudo-user") else ""
        yield f"User: {user}{by}"
    if digest := raw.get("plan-digest"):
        yield f"Plan: {digest if is_verbose else digest[:_SHOWN_DIGITS]}"
    if (result := raw.get("result", DONE)) != DONE:
        yield style.red(f"Failed: {result}")
        yield ""
        return
    yield ""
    if deployment := raw.get("deployment"):
        yield from block(
            Deployment.from_dict(deployment), BlockContext(is_verbose=is_verbose), style
        )
    else:
        yield "  << Missing history information >>"
    yield ""


def _when(seconds: int, now: float) -> str:
    shown = timestamp(seconds)
    return shown if shown.startswith("(") else f"{shown} ({ago(seconds, now)})"

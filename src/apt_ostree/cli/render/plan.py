"""A plan as the transaction list, its reasons and its sizes."""

from __future__ import annotations

from collections.abc import Iterator

from apt_ostree.cli.render.units import size
from apt_ostree.model.plan import Action, InactiveKind, Plan, Step

_TITLES = {
    Action.INSTALL: "Installing",
    Action.UPGRADE: "Upgrading",
    Action.DOWNGRADE: "Downgrading",
    Action.REMOVE: "Removing",
}


_INACTIVE = {
    InactiveKind.REQUEST: "Inactive requests",
    InactiveKind.REMOVAL: "Inactive base removals",
    InactiveKind.REPLACEMENT: "Inactive base replacements",
}


def transaction(plan: Plan) -> Iterator[str]:
    """The list that stands before every transaction: `Installing N packages:` and so on."""
    for action, title in _TITLES.items():
        if steps := sorted(plan.of_action(action), key=lambda s: s.package):
            yield f"{title} {len(steps)} packages:"
            yield from (f"  {_line(s)}" for s in steps)
    if not plan.steps:
        yield "Empty transaction"
    for kind, title in _INACTIVE.items():
        if found := [i for i in plan.inactive if i.kind is kind]:
            yield f"{title}:"
            for item in found:
                by = f" (already provided by {item.provided_by})" if item.provided_by else ""
                yield f"  {item.request}{by}"


def explanation(plan: Plan) -> Iterator[str]:
    """Why each package takes part and what the whole costs; shown by `--dry-run`."""
    if not plan.steps:
        return
    yield "Reasons:"
    width = max(len(s.package.name) for s in plan.steps)
    for step in sorted(plan.steps, key=lambda s: s.package):
        yield f"  {step.package.name:<{width}}  {step.reason}"
    growth = plan.installed_bytes
    change = f"{size(abs(growth))} {'less' if growth < 0 else 'more'}"
    yield f"Download: {size(plan.download_bytes)}; on disk: {change}"


def _line(step: Step) -> str:
    origin = f" ({step.archive.source_id})" if step.archive else ""
    if step.action in (Action.UPGRADE, Action.DOWNGRADE) and step.old_version is not None:
        old = step.old_version.removeprefix("0:")
        return f"{step.package.name} {old} -> {step.package.evr}{origin}"
    return f"{step.package.nevra}{origin}"

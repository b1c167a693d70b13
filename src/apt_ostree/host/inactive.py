"""What is asked for and has no effect on the base at hand."""

from __future__ import annotations

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.origin import Origin
from apt_ostree.model.plan import InactiveKind, Plan


def refuse(before: Origin, now: Origin, plan: Plan) -> None:
    """Asking now for what has no effect is a mistake; having asked earlier is not."""
    asked = _asked(now) - _asked(before)
    files = {p.nevra for p in now.override_local}
    for item in plan.inactive:
        if (item.kind, item.request) not in asked:
            continue
        if item.kind is InactiveKind.REQUEST:
            raise AptOstreeError(
                f'"{item.request}" is already provided by: {item.provided_by}. '
                "Use --allow-inactive to explicitly require it."
            )
        if item.provided_by and item.request not in files:
            continue  # it follows a source, which has the base's version at present
        if item.provided_by:
            raise AptOstreeError(
                f"Request to reinstall exact base package versions: {item.request}",
                hint="give a package of one's own a version of its own: dch --local",
            )
        raise AptOstreeError(
            f'Package "{item.request}" not found', hint="an override is for a package of the base"
        )


def _asked(origin: Origin) -> frozenset[tuple[InactiveKind, str]]:
    """Everything that an origin asks for, as plans name it where it has no effect."""
    files = (*origin.local, *origin.local_fileoverride)
    by_source = (name for r in origin.override_remote for name in r.packages)
    return frozenset(
        {
            *((InactiveKind.REQUEST, r) for r in (*origin.requested, *(p.nevra for p in files))),
            *((InactiveKind.REMOVAL, n) for n in origin.override_remove),
            *((InactiveKind.REPLACEMENT, p.nevra) for p in origin.override_local),
            *((InactiveKind.REPLACEMENT, n) for n in by_source),
        }
    )

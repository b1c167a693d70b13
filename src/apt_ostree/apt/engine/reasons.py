"""Why each package is in the result: the shortest chain back to something that was asked for."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

import apt_pkg

from apt_ostree.apt.engine.goal import Attempt, Goal, result_of
from apt_ostree.model.plan import Reason, ReasonKind

_EDGES = (
    ("PreDepends", ReasonKind.PRE_DEPENDS),
    ("Depends", ReasonKind.DEPENDS),
    ("Recommends", ReasonKind.RECOMMENDS),
)


def of_installs(
    goal: Goal, attempt: Attempt, changed: Mapping[int, apt_pkg.Package], essential: frozenset[int]
) -> dict[int, Reason]:
    """A reason for every package id of `changed` (what the result adds or changes).

    Hard dependencies win over recommendations, short chains over long ones, names decide ties.
    """
    reasons: dict[int, Reason] = {}
    queue: list[tuple[int, int, str, int, str, str]] = []  # … kind, of
    for wanted in goal.replace:
        package = wanted.version.parent_pkg
        queue.append((0, 0, package.name, package.id, ReasonKind.OVERRIDE, wanted.request))
    for wanted in goal.install:
        package = wanted.version.parent_pkg
        kind = ReasonKind.ESSENTIAL if package.id in essential else ReasonKind.REQUEST
        queue.append((0, 1, package.name, package.id, kind, wanted.request))
    heapq.heapify(queue)
    depcache = attempt.depcache
    while queue:
        weak, depth, _, number, why, of = heapq.heappop(queue)
        if number in reasons or number not in changed:
            continue
        reasons[number] = Reason(ReasonKind(why), of)
        package = changed[number]
        version = result_of(depcache, package)
        if version is None:
            continue
        for kind, target in _targets(depcache, version):
            if target.id in changed and target.id not in reasons:
                cost = weak + (kind is ReasonKind.RECOMMENDS)
                entry = (cost, depth + 1, target.name, target.id, kind, package.name)
                heapq.heappush(queue, entry)
    return {number: reasons.get(number, Reason(ReasonKind.DEPENDS, "another package"))
            for number in changed}  # fmt: skip


def _targets(
    depcache: apt_pkg.DepCache, version: apt_pkg.Version
) -> Iterator[tuple[ReasonKind, apt_pkg.Package]]:
    """The packages of the result that meet `version`'s dependencies."""
    depends = version.depends_list
    for field, kind in _EDGES:
        for group in depends.get(field, []):
            for dependency in group:
                for target in dependency.all_targets():
                    package = target.parent_pkg
                    got = result_of(depcache, package)
                    if got is not None and got.id == target.id:
                        yield kind, package

"""Which packages must be configured before others are unpacked.

dpkg orders configuration by itself; only Pre-Depends reach further: they must be configured before
the package is *unpacked*, because its preinst may use them (Debian Policy 7.2).  Versions play no
part here: the solver has chosen, one version of each package is in the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


@dataclass(frozen=True, slots=True)
class Needs:
    """One package of the plan: its key (`name:arch`) and the relations of its control file."""

    key: str
    name: str
    pre_depends: str = ""
    depends: str = ""
    provides: str = ""


def names(relation: str) -> tuple[tuple[str, ...], ...]:
    """A relation field as clauses of alternative names: `a (>= 1) | b, c` is ((a, b), (c,))."""
    clauses = []
    for clause in relation.split(","):
        found = tuple(m[1] for part in clause.split("|") if (m := _NAME.match(part)))
        if found:
            clauses.append(found)
    return tuple(clauses)


class Graph:
    """The relations among the packages of one plan; what is outside counts as there already."""

    def __init__(self, packages: Iterable[Needs]) -> None:
        self._by_key = {p.key: p for p in packages}
        self._providers: dict[str, list[str]] = {}
        for package in self._by_key.values():
            provided = (n for clause in names(package.provides) for n in clause)
            for name in (package.name, *provided):
                self._providers.setdefault(name, []).append(package.key)

    def pre_depends(self, key: str) -> frozenset[str]:
        return frozenset(self._within(self._by_key[key].pre_depends))

    def closure(self, keys: Iterable[str]) -> frozenset[str]:
        """`keys` and all they (pre-)depend on inside the plan.

        Of alternatives every one that the plan has counts: it cannot be wrong to have more
        configured than needed.
        """
        found: set[str] = set()
        pending = [k for k in keys if k in self._by_key]
        while pending:
            key = pending.pop()
            if key in found:
                continue
            found.add(key)
            package = self._by_key[key]
            pending += self._within(package.pre_depends)
            pending += self._within(package.depends)
        return frozenset(found)

    def _within(self, relation: str) -> list[str]:
        return [
            key
            for clause in names(relation)
            for name in clause
            for key in self._providers.get(name, ())
        ]


def rounds(
    order: Sequence[str], graph: Graph, *, configured: Iterable[str] = ()
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Split packages into rounds of (configure these first, then unpack those together).

    `order` is the order in which apt would unpack them.  A Pre-Depends cycle, which Policy
    forbids, ends in one round with everything that is left.
    """
    done = set(configured)
    left = list(order)
    out: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    first: tuple[str, ...] = ()
    while left:
        waiting = frozenset(left)
        ready = [k for k in left if graph.pre_depends(k) <= done]
        if ready:
            out.append((first, tuple(ready)))
            left = [k for k in left if k not in ready]
            first = ()
            continue
        # Configure what the next ones need, as far as it is unpacked already.
        wanted = graph.closure(frozenset().union(*(graph.pre_depends(k) for k in left))) - done
        possible = {k for k in wanted if not (graph.closure([k]) & waiting)}
        if not possible:
            out.append((first, tuple(left)))
            break
        first = tuple(sorted((*first, *possible)))
        done |= possible
    return out

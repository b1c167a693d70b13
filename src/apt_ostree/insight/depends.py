"""Who needs whom among the installed packages, by the words of dpkg's database.

No solver: the packages are installed, so an alternative is satisfied by whichever is there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from apt_ostree.apt.dpkgdb import Database

# Strong relations first: a chain through Recommends is told only when there is no other.
STRONG = ("Pre-Depends", "Depends")
WEAK = ("Recommends",)
# name, `:arch`, `(relation version)`, `[archs]` and `<profiles>` as in deb-control(5).
_ALTERNATIVE = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9.+\-]*)(?::(?P<arch>[a-z0-9-]+))?")


@dataclass(frozen=True, slots=True)
class Link:
    """`needed` is there because `needer` names it in `field` (`Depends`), as `text`."""

    needer: str
    needed: str
    field: str
    text: str


class Graph:
    """The relations between the packages of one database; packages are `name:arch` keys."""

    def __init__(self, database: Database) -> None:
        self._stanzas = database.installed
        self._names: dict[str, list[str]] = {}
        for key, stanza in self._stanzas.items():
            self._names.setdefault(stanza["Package"], []).append(key)
        self._providers: dict[str, list[str]] = {}
        for key, stanza in self._stanzas.items():
            for name, _ in alternatives(stanza.get("Provides", "").replace(",", "|")):
                self._providers.setdefault(name, []).append(key)

    def called(self, name: str, arch: str | None = None) -> tuple[str, ...]:
        """Installed packages of that name, else those that provide it."""
        found = self._names.get(name) or self._providers.get(name) or []
        return tuple(k for k in found if arch in (None, "any") or k.endswith(f":{arch}"))

    def links(self, key: str, fields: Sequence[str]) -> Iterator[Link]:
        """What the package names in `fields` and is installed."""
        stanza = self._stanzas[key]
        own_arch = key.rpartition(":")[2]
        for field in fields:
            for relation in stanza.get(field, "").split(","):
                for name, arch in alternatives(relation):
                    for needed in self._preferred(self.called(name, arch), own_arch):
                        yield Link(key, needed, field, " ".join(relation.split()))

    @staticmethod
    def _preferred(keys: tuple[str, ...], arch: str) -> tuple[str, ...]:
        """A dependency without architecture is met by a package of one's own (Policy 5.6.8)."""
        own = tuple(k for k in keys if k.rpartition(":")[2] in (arch, "all"))
        return own or keys

    def chain(self, roots: Iterable[str], target: str) -> tuple[Link, ...] | None:
        """The shortest way from one of `roots` to `target`, from the root on.

        Empty when the target is a root itself, None when no way leads there.
        """
        start = tuple(roots)
        if target in start:
            return ()
        strong = self._shortest(start, target, STRONG)
        return strong if strong is not None else self._shortest(start, target, STRONG + WEAK)

    def _shortest(
        self, roots: Sequence[str], target: str, fields: Sequence[str]
    ) -> tuple[Link, ...] | None:
        came: dict[str, Link | None] = dict.fromkeys(roots)
        queue = deque(roots)
        while queue:
            key = queue.popleft()
            for link in self.links(key, fields):
                if link.needed in came:
                    continue
                came[link.needed] = link
                if link.needed == target:
                    return _walked(came, target)
                queue.append(link.needed)
        return None


def _walked(came: Mapping[str, Link | None], target: str) -> tuple[Link, ...]:
    found: list[Link] = []
    while (link := came[target]) is not None:
        found.append(link)
        target = link.needer
    return tuple(reversed(found))


def alternatives(relation: str) -> tuple[tuple[str, str | None], ...]:
    """(name, architecture) of each alternative of one relation (`a (>= 1) | b:any`)."""
    matches = (_ALTERNATIVE.match(part) for part in relation.split("|"))
    return tuple((m["name"], m["arch"]) for m in matches if m is not None)

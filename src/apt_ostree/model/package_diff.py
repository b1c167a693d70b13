"""The packages that differ between two trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from apt_ostree.model.package import Package


class DiffKind(IntEnum):
    """The numbers are those of rpm-ostree's JSON and D-Bus."""

    ADDED = 0
    REMOVED = 1
    UPGRADED = 2
    DOWNGRADED = 3


@dataclass(frozen=True, slots=True)
class PackageChange:
    """`old` is None for an added package, `new` for a removed one."""

    kind: DiffKind
    old: Package | None = None
    new: Package | None = None

    @property
    def package(self) -> Package:
        package = self.new or self.old
        if package is None:
            raise ValueError("a change of no package")
        return package

    @property
    def name(self) -> str:
        return self.package.name


@dataclass(frozen=True, slots=True)
class Advisory:
    """`kind` 1 is security; `severity` runs from 0 (unknown) to 4 (critical).

    `packages` are NEVRAs, `cves` pairs (url, title).
    """

    id: str
    kind: int
    severity: int
    packages: tuple[str, ...]
    cves: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_tuple(cls, raw: Any) -> Self:
        ident, kind, severity, packages, extra = raw
        cves = tuple((url, title) for url, title in extra.get("cve_references", ()))
        return cls(ident, kind, severity, tuple(packages), cves)

    def as_tuple(self) -> tuple[Any, ...]:
        extra = {"cve_references": [list(c) for c in self.cves]} if self.cves else {}
        return self.id, self.kind, self.severity, list(self.packages), extra


@dataclass(frozen=True, slots=True)
class PackageDiff:
    """Changes ordered by kind, then name (the order of the contract's JSON)."""

    changes: tuple[PackageChange, ...] = ()

    @classmethod
    def between(
        cls,
        before: Iterable[Package],
        after: Iterable[Package],
        *,
        compare: Callable[[str, str], int],
    ) -> Self:
        """Compare two package lists.  `compare` orders versions as dpkg does (<0, 0, >0).

        Packages are matched by name and architecture (Multi-Arch: same installs several); what is
        left on both sides under one name is a change of architecture, shown as a version change.
        """
        old = {p.key: p for p in before}
        new = {p.key: p for p in after}
        changes = [
            _changed(old[key], new[key], compare)
            for key in old.keys() & new.keys()
            if old[key].version != new[key].version
        ]
        gone = [old[key] for key in sorted(old.keys() - new.keys())]
        came = {p.name: p for key, p in sorted(new.items()) if key not in old}
        for package in gone:
            if successor := came.pop(package.name, None):
                changes.append(_changed(package, successor, compare))
            else:
                changes.append(PackageChange(DiffKind.REMOVED, old=package))
        paired = {c.new for c in changes if c.new is not None}
        changes += [
            PackageChange(DiffKind.ADDED, new=p)
            for key, p in new.items()
            if key not in old and p not in paired
        ]
        return cls(tuple(sorted(changes, key=lambda c: (c.kind, c.name, c.package.arch))))

    def of_kind(self, kind: DiffKind) -> tuple[PackageChange, ...]:
        return tuple(c for c in self.changes if c.kind is kind)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def as_list(self) -> list[list[Any]]:
        """The contract's `a(sua{sv})`."""
        return [[c.name, int(c.kind), _details(c)] for c in self.changes]


def _changed(old: Package, new: Package, compare: Callable[[str, str], int]) -> PackageChange:
    is_older = compare(new.version, old.version) < 0
    return PackageChange(DiffKind.DOWNGRADED if is_older else DiffKind.UPGRADED, old=old, new=new)


def _details(change: PackageChange) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    if change.old is not None:
        out["PreviousPackage"] = [change.old.name, change.old.evr, change.old.arch]
    if change.new is not None:
        out["NewPackage"] = [change.new.name, change.new.evr, change.new.arch]
    return out

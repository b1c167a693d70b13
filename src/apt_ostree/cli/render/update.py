"""The block of an update that is there but not deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from apt_ostree.cli.render import diff as diffs
from apt_ostree.cli.render import text
from apt_ostree.cli.render.deployment import advisories, signatures, version_line
from apt_ostree.cli.render.output import Style
from apt_ostree.cli.render.units import size
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import Advisory, DiffKind, PackageChange, PackageDiff

_KINDS = {
    "upgraded": DiffKind.UPGRADED,
    "downgraded": DiffKind.DOWNGRADED,
    "removed": DiffKind.REMOVED,
    "added": DiffKind.ADDED,
}


@dataclass(frozen=True, slots=True)
class AvailableUpdate:
    """The cached update of the contract, read from its dictionary."""

    has_new_commit: bool
    checksum: str
    version: str | None = None
    timestamp: int | None = None
    is_gpg_enabled: bool = False
    signatures: tuple[Any, ...] | None = None
    diff: PackageDiff | None = None
    advisories: tuple[Advisory, ...] = ()
    layers: Mapping[str, int] | None = None

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        found = raw.get("signatures")
        diff = raw.get("rpm-diff")
        return cls(
            has_new_commit=raw["ref-has-new-commit"],
            checksum=raw["checksum"],
            version=raw.get("version"),
            timestamp=raw.get("timestamp"),
            is_gpg_enabled=raw.get("gpg-enabled", False),
            signatures=None if found is None else tuple(found),
            diff=None if diff is None else _diff(diff),
            advisories=tuple(Advisory.from_tuple(a) for a in raw.get("advisories", ())),
            layers=raw.get("manifest-diff"),
        )


def _diff(raw: Mapping[str, Any]) -> PackageDiff:
    """Modified entries are (origin, name, (evr, arch), (evr, arch)), others (origin, name, evr,
    arch)."""
    changes: list[PackageChange] = []
    for key, kind in _KINDS.items():
        for _, name, *rest in raw.get(key, ()):
            if kind in (DiffKind.UPGRADED, DiffKind.DOWNGRADED):
                old, new = (Package(name, arch, evr) for evr, arch in rest)
                changes.append(PackageChange(kind, old=old, new=new))
                continue
            evr, arch = rest
            package = Package(name, arch, evr)
            is_added = kind is DiffKind.ADDED
            changes.append(
                PackageChange(kind, new=package) if is_added else PackageChange(kind, old=package)
            )
    return PackageDiff(tuple(changes))


def available_update(
    update: AvailableUpdate, style: Style, *, is_verbose: bool, expands_advisories: bool
) -> Iterator[str]:
    width = text.UPDATE_WIDTH
    yield "AvailableUpdate:"
    if update.has_new_commit:
        yield version_line(update.version, update.timestamp, style, width=width)
        yield text.key_value("Commit", update.checksum, width=width)
        if update.is_gpg_enabled:
            yield from signatures(update.signatures, is_verbose=is_verbose, width=width)
    if update.diff is not None:
        yield from advisories(update.advisories, style, expands=expands_advisories, width=width)
        if is_verbose:
            yield from diffs.aligned(update.diff, width=width)
        elif short := diffs.summary(update.diff):
            yield text.key_value("Diff", short, width=width)
    if update.layers is not None:
        layers = update.layers
        for title, count, bytes_ in (
            ("Total layers", layers["total"], layers["total-size"]),
            ("Removed layers", layers["n-removed"], layers["removed-size"]),
            ("Added layers", layers["n-added"], layers["added-size"]),
        ):
            yield text.key_value(title, str(count), width=width)
            yield text.key_value("Size", size(bytes_), width=width)

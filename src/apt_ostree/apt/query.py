"""Questions about what the sources offer; nothing is changed and no network is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from apt_ostree.apt import job
from apt_ostree.apt.root import AptRoot
from apt_ostree.model.package import Package
from apt_ostree.model.progress import Progress, Silent

# The match groups of `search`: key (as on the bus) and header, in the order they are shown.
GROUPS = (
    ("match_group_a", "Summary & Name Matched"),
    ("match_group_b", "Name Matched"),
    ("match_group_c", "Summary Matched"),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One version that a source offers.  `fields` is its whole record, as the source has it."""

    package: Package
    summary: str
    source_id: str
    key: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    installed: str | None = None  # the version that is installed, if any

    def as_dict(self) -> dict[str, Any]:
        """The package dictionary of the interface."""
        package = self.package
        return {
            "name": package.name, "epoch": int(package.epoch), "version": package.upstream,
            "arch": package.arch, "nevra": package.nevra, "evr": package.evr,
            "summary": self.summary, "reponame": self.source_id, "key": self.key,
        }  # fmt: skip

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            Package(raw["name"], raw["arch"], raw["version"]), raw["summary"], raw["source"],
            key=raw["key"], fields=tuple((k, v) for k, v in raw["fields"]),
            installed=raw["installed"],
        )  # fmt: skip


def search(
    root: AptRoot, terms: Sequence[str], progress: Progress | None = None
) -> dict[str, tuple[Offer, ...]]:
    """Packages that match every term, by group key (see `GROUPS`), each package in one group.

    A term matches as a case-insensitive substring, or as a whole when it is a glob.  Group a:
    with one term, name and summary both match; with several, each matches one of the two; b: all
    match the name; c: all match the summary.
    """
    found = job.call("search", root, {"terms": list(terms)}, progress or Silent())
    return {key: tuple(Offer.from_raw(o) for o in found.get(key, ())) for key, _ in GROUPS}


def show(
    root: AptRoot, names: Sequence[str], progress: Progress | None = None
) -> tuple[Offer, ...]:
    """What the sources offer for each name (`name`, `name:arch`, `name=version`): the candidate.

    Raises SolveError naming all that are unknown.
    """
    found = job.call("show", root, {"names": list(names)}, progress or Silent())
    return tuple(Offer.from_raw(o) for o in found)


def providers(
    root: AptRoot, names: Sequence[str], progress: Progress | None = None
) -> tuple[Offer, ...]:
    """What the sources offer for each name, real or virtual; `key` is the name.  None: no row."""
    found = job.call("providers", root, {"names": list(names)}, progress or Silent())
    return tuple(Offer.from_raw(o) for o in found)


def candidates(root: AptRoot, progress: Progress | None = None) -> tuple[Offer, ...]:
    """Installed packages for which a source offers a newer version, with that version."""
    found = job.call("candidates", root, {}, progress or Silent())
    return tuple(Offer.from_raw(o) for o in found)

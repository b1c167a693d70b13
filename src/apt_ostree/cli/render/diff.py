"""Package differences in their forms: block, line by line, aligned, summary, advisories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from apt_ostree.model.package_diff import Advisory, DiffKind, PackageChange, PackageDiff

_TITLES = {
    DiffKind.UPGRADED: "Upgraded",
    DiffKind.DOWNGRADED: "Downgraded",
    DiffKind.REMOVED: "Removed",
    DiffKind.ADDED: "Added",
}
SEVERITIES = ("Unknown", "Low", "Moderate", "Important", "Critical")
_SECURITY = 1


def _text(change: PackageChange) -> str:
    if change.old is not None and change.new is not None:
        return f"{change.name} {change.old.evr} -> {change.new.evr}"
    return change.package.nevra


def block(diff: PackageDiff) -> Iterator[str]:
    """Groups with a title each; empty ones are left out."""
    for kind, title in _TITLES.items():
        if changes := diff.of_kind(kind):
            yield f"{title}:"
            yield from (f"  {_text(c)}" for c in changes)


def with_changelogs(diff: PackageDiff, entries: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The block form with full versions and, below each package, what its changelog adds.

    An entry is a text whose first line names date and author.
    """
    for kind, title in _TITLES.items():
        changes = diff.of_kind(kind)
        if not changes:
            continue
        yield f"{title}:"
        for change in changes:
            if change.old is None or change.new is None:
                yield f"  {change.package.nevra}"
                continue
            old, new = change.old, change.new
            yield f"  {change.name} {old.evr}.{old.arch} -> {new.evr}.{new.arch}"
            for entry in entries.get(change.name, ()):
                first, *rest = entry.splitlines() or [""]
                yield f"    * {first}"
                yield from (f"    {line}".rstrip() for line in rest)
                yield ""


def lines(diff: PackageDiff) -> Iterator[str]:
    """One line a package (two for a changed one), sorted by name."""
    for change in sorted(diff.changes, key=lambda c: (c.name, c.package.arch)):
        if change.old is not None and change.new is not None:
            yield f"!{change.old.nevra}"
            yield f"={change.new.nevra}"
        elif change.new is None:
            yield f"-{change.package.nevra}"
        else:
            yield f"+{change.package.nevra}"


def summary(diff: PackageDiff) -> str:
    """`3 upgraded, 1 added`; empty when nothing differs."""
    counts = ((len(diff.of_kind(kind)), title.lower()) for kind, title in _TITLES.items())
    return ", ".join(f"{n} {word}" for n, word in counts if n)


def aligned(diff: PackageDiff, *, width: int, prefix: str = "") -> Iterator[str]:
    """Lines with the group's name as their right-aligned key, on the first line of each group."""
    for kind, title in _TITLES.items():
        for at, change in enumerate(diff.of_kind(kind)):
            key = f"{prefix}{title}:" if at == 0 else ""
            yield f"  {key:>{width + 1}} {_text(change)}"


def advisory_summary(advisories: Sequence[Advisory]) -> str:
    """`1 unknown severity, 2 low`; only security advisories count."""
    counts = [0] * len(SEVERITIES)
    for advisory in _security(advisories):
        counts[advisory.severity] += 1
    words = ("unknown severity", *(s.lower() for s in SEVERITIES[1:]))
    return ", ".join(f"{n} {word}" for n, word in zip(counts, words, strict=True) if n)


def advisory_rows(advisories: Sequence[Advisory], *, width: int) -> Iterator[tuple[str, bool]]:
    """(text, is a row of the key column) by severity; CVE lines below each advisory."""
    security = sorted(_security(advisories), key=lambda a: (a.severity, a.id))
    id_width = max((len(a.id) for a in security), default=0)
    for advisory in security:
        severity = SEVERITIES[advisory.severity]
        for package in advisory.packages:
            yield f"{advisory.id:<{id_width}}  {severity:<9}  {package}", True
        for url, title in advisory.cves:
            yield " " * (width + 6) + title, False
            yield " " * (width + 6) + url, False


def _security(advisories: Sequence[Advisory]) -> list[Advisory]:
    known = range(len(SEVERITIES))
    return [a for a in advisories if a.kind == _SECURITY and a.severity in known]

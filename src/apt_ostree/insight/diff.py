"""What differs between two commits, in packages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from apt_ostree.apt import version
from apt_ostree.insight import changelog, pkglist
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import Advisory, DiffKind, PackageChange, PackageDiff
from apt_ostree.ostree.repo import Repo

ADVISORIES = "aptostree.advisories"
# `linux-image-6.1.0-21-cloud-amd64` is of the class (`linux-image-`, `-cloud-amd64`): the ABI is
# part of the name, so every kernel update is another package (Debian kernel handbook, 2.1).
_KERNEL = re.compile(
    r"(?P<head>linux-(?:[a-z][a-z0-9]*-)+)"
    r"\d+(?:\.\d+)+[^-]*(?:-\d[^-]*)?"
    r"(?P<tail>(?:-[a-z][a-z0-9.+]*)*)"
)


def resolve(repo: Path, rev: str) -> str | None:
    """The checksum of a ref, checksum or unique prefix; None when there is none."""
    return Repo.open(repo).lookup(rev)


def listing(repo: Path, commit: str) -> tuple[Package, ...]:
    """The packages of a commit, sorted.  Raises AptOstreeError when it has no list of them."""
    return pkglist.of_commit(Repo.open(repo), commit)


def packages(repo: Path, before: str, after: str) -> PackageDiff:
    """Added, removed, upgraded and downgraded packages, by dpkg's version order."""
    opened = Repo.open(repo)
    return between(pkglist.of_commit(opened, before), pkglist.of_commit(opened, after))


def between(before: Iterable[Package], after: Iterable[Package]) -> PackageDiff:
    return PackageDiff.between(before, after, compare=version.compare)


def advisories(repo: Path, commit: str, *, since: str | None = None) -> tuple[Advisory, ...]:
    """The advisories that a commit records (`a(suuasa{sv})`), without those of `since`."""
    opened = Repo.open(repo)
    rows = opened.commit(commit).get(ADVISORIES) or ()
    old = () if since is None else opened.commit(since).get(ADVISORIES) or ()
    known = {row[0] for row in old}
    return tuple(sorted((Advisory.from_tuple(r) for r in rows if r[0] not in known), key=_id))


def _id(advisory: Advisory) -> str:
    return advisory.id


def changelogs(repo: Path, diff: PackageDiff, after: str) -> dict[str, list[str]]:
    """New changelog entries of upgraded packages by name, newest first, from the tree of `after`.

    Packages without a changelog there are left out.
    """
    opened = Repo.open(repo)
    found: dict[str, list[str]] = {}
    for change in diff.of_kind(DiffKind.UPGRADED):
        if change.old is None or change.new is None:
            continue
        text = changelog.read(opened, after, change.new)
        if text is not None and (entries := changelog.since(text, change.old.version)):
            found[change.name] = entries
    return found


def paired(diff: PackageDiff) -> PackageDiff:
    """`diff` for display: a kernel package that another ABI takes the place of is one change.

    Only where one of a class went and one came; the contract's JSON keeps them apart.
    """
    gone = _by_class(diff.of_kind(DiffKind.REMOVED))
    came = _by_class(diff.of_kind(DiffKind.ADDED))
    pairs = [
        (gone[key][0], came[key][0])
        for key in gone.keys() & came.keys()
        if len(gone[key]) == len(came[key]) == 1
    ]
    if not pairs:
        return diff
    single = {id(change) for pair in pairs for change in pair}
    changes = [c for c in diff.changes if id(c) not in single]
    changes += [_pair(old, new) for old, new in pairs]
    return replace(
        diff, changes=tuple(sorted(changes, key=lambda c: (c.kind, c.name, c.package.arch)))
    )


def _by_class(changes: Iterable[PackageChange]) -> dict[tuple[str, str, str], list[PackageChange]]:
    found: dict[tuple[str, str, str], list[PackageChange]] = {}
    for change in changes:
        match = _KERNEL.fullmatch(change.name)
        if match is not None:
            key = (match["head"], match["tail"], change.package.arch)
            found.setdefault(key, []).append(change)
    return found


def _pair(removed: PackageChange, added: PackageChange) -> PackageChange:
    old, new = removed.package, added.package
    is_older = version.compare(new.version, old.version) < 0
    return PackageChange(DiffKind.DOWNGRADED if is_older else DiffKind.UPGRADED, old=old, new=new)

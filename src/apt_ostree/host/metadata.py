"""The package metadata of a target: refreshed when it is needed, searched and shown."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from apt_ostree.apt import query
from apt_ostree.apt import refresh as refreshing
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.sources import Source
from apt_ostree.errors import AptOstreeError, FetchError, SolveError
from apt_ostree.host import aptconf, base, edit, machine, target
from apt_ostree.host.target import Target
from apt_ostree.model.change import Options
from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.model.plan import SourceInfo
from apt_ostree.model.progress import Progress
from apt_ostree.system import fs

# As long as apt's own daily timer lets lists age before an unattended run refreshes them.
MAX_AGE_S = 24 * 3600
STAMP = "lists.sources"


def age_s(root: AptRoot) -> float | None:
    """Seconds since the lists were refreshed, None when there are none."""
    stamps = [p.stat().st_mtime for p in root.lists.glob("*_Packages*")] if (
        root.lists.is_dir()) else []  # fmt: skip
    return time.time() - root.lists.stat().st_mtime if stamps else None


def ensure(root: AptRoot, *, is_upgrade: bool, options: Options, progress: Progress) -> None:
    """Refresh before an upgrade, and whenever the lists are missing, old or of other sources.

    A dry run uses what is there, since it may not write; with `cache_only` cached packages are
    enough.  Old lists that cannot be refreshed serve for anything but an upgrade.
    """
    sources = root.effective_sources(needs_sources=False)
    if options.cache_only or not sources:
        return
    age, stamp = age_s(root), _stamp(root)
    is_same = stamp.is_file() and stamp.read_text() == _digest(sources)
    if options.dry_run:
        if age is None:
            raise AptOstreeError("there is no package metadata yet", hint="apt-ostree refresh-md")
        if not is_same:
            progress.message("warning: the apt sources have changed since apt-ostree refresh-md")
    elif is_upgrade or age is None:
        _refresh(root, progress)
    elif age > MAX_AGE_S or not is_same:
        try:
            _refresh(root, progress)
        except FetchError as err:
            progress.message(f"warning: {err.message}; using package lists {_days(age)} old")


def _refresh(root: AptRoot, progress: Progress, *, force: bool = False) -> tuple[SourceInfo, ...]:
    found = refreshing.refresh(root, progress, force=force)
    fs.write_atomic(_stamp(root), _digest(root.effective_sources()).encode())
    return found


def _stamp(root: AptRoot) -> Path:
    """Which sources the lists are of: a new one, or those of another base, must be fetched."""
    return root.lists.with_name(STAMP)


def _digest(sources: Sequence[Source]) -> str:
    """Of what decides the lists: not which key a source has, whose path may be temporary."""
    text = "\n".join(
        repr((s.id, s.uris, s.suite, s.components, s.types,
              [o for o in s.options if o[0].lower() != "signed-by"]))
        for s in sources
    )  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()


def _days(seconds: float) -> str:
    days = round(seconds / 86400)
    return f"{days} day{'' if days == 1 else 's'}"


@contextmanager
def opened(sysroot: Path, stateroot: str | None) -> Iterator[tuple[Target, AptRoot]]:
    """The apt view of what boots next.  The lock keeps builds and collections away."""
    with target.locked(sysroot, stateroot) as where:
        checksum = where.base_checksum
        with base.database(where, checksum) as database, aptconf.scratch() as scratch:
            yield (
                where,
                machine.apt_root(
                    where, database, where.origin, checksum, Options(), scratch=scratch
                ),
            )


def refresh(
    sysroot: Path,
    stateroot: str | None,
    force: bool,  # noqa: FBT001 - the cli's order
    progress: Progress,
    *,
    dry_run: bool,
) -> tuple[SourceInfo, ...]:
    """Fetch package lists; with `force` even where they seem current.  A dry run names sources."""
    with opened(sysroot, stateroot) as (_, root):
        if dry_run:
            return tuple(SourceInfo(s.id, 0) for s in root.effective_sources())
        return _refresh(root, progress, force=force)


def search(
    sysroot: Path, stateroot: str | None, terms: Sequence[str], progress: Progress
) -> Iterator[tuple[str, str, str]]:
    """(group header, name, summary) of every match, each name once in a group."""
    with opened(sysroot, stateroot) as (_, root):
        ensure(root, is_upgrade=False, options=Options(), progress=progress)
        found = query.search(root, terms, progress)
    for key, header in query.GROUPS:
        seen: set[str] = set()
        for offer in found[key]:
            if offer.package.name not in seen:
                seen.add(offer.package.name)
                yield header, offer.package.name, offer.summary


def info(
    sysroot: Path, stateroot: str | None, names: Sequence[str], progress: Progress
) -> list[dict[str, Any]]:
    """What the sources say of each package, and where it stands in what boots next.

    A package that is there and that no source has (any more) is shown as it is.  Raises SolveError
    naming all that are unknown.
    """
    with opened(sysroot, stateroot) as (where, root):
        with base.database(where, where.current.checksum) as now:
            there = {n: now.find(n)[0] for n in names if now.find(n)}
            present = {p.name: p for p in now.packages}
        with base.database(where, where.base_checksum) as base_database:
            in_base = {p.name: p for p in base_database.packages}
        offers = _offers(root, names, there, progress)
    origin = where.origin
    found = []
    for name in names:
        offer = offers.get(name)
        package = offer.package.name if offer else there[name]["Package"]
        found.append(
            {
                "control": dict(offer.fields if offer else there[name]),
                "installed": present[package].version if package in present else None,
                "candidate": offer.package.version if offer else None,
                **_standing(package, in_base.get(package), present.get(package), origin),
            }
        )
    return found


def _offers(
    root: AptRoot, names: Sequence[str], there: Collection[str], progress: Progress
) -> dict[str, query.Offer]:
    """What the sources offer by the name that was typed; without what only the tree has."""
    asked = list(names)
    if not root.effective_sources(needs_sources=False):
        asked = [n for n in names if n not in there]
    if not asked:
        return {}
    ensure(root, is_upgrade=False, options=Options(), progress=progress)
    try:
        found = query.show(root, asked, progress)
    except SolveError:
        # One of them is of a file, or its source has lost it.
        known = [n for n in asked if n not in there]
        if len(known) == len(asked):
            raise
        in_turn = [_offers(root, known, there, progress)] if known else []
        for name in (n for n in asked if n in there):
            with suppress(SolveError):
                in_turn.append({name: query.show(root, [name], progress)[0]})
        return {name: offer for part in in_turn for name, offer in part.items()}
    return dict(zip(asked, found, strict=True))


def _standing(
    name: str, old: Package | None, now: Package | None, origin: Origin
) -> dict[str, str | None]:
    """What a package is on this system, and what asked for it."""
    if now is None:
        return {"status": "not installed" if old is None else "removed from the base",
                "reason": None if old is None else f"override '{name}'"}  # fmt: skip
    nevra = now.nevra
    if old is not None:
        is_replaced = old != now
        return {"status": "override" if is_replaced else "base",
                "reason": f"replaces {old.nevra} of the base" if is_replaced else None}  # fmt: skip
    if any(p.nevra == nevra for p in (*origin.local, *origin.local_fileoverride)):
        return {"status": "local", "reason": f"requested as a local package: {nevra}"}
    wanted = (r for r in origin.requested if edit.bare_name(r).partition(":")[0] == name)
    request = next(wanted, None)
    if request is None:
        return {"status": "layered (dependency)", "reason": None}
    return {"status": "layered", "reason": f"requested as '{request}'"}

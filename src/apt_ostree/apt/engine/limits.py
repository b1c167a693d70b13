"""What may be chosen at all: exclusions, lockfile pins, per-source packages, the package cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apt_pkg

from apt_ostree.apt.engine.select import in_suite
from apt_ostree.apt.engine.view import View
from apt_ostree.apt.solve import CachedDeb, LocalDeb, Pin, SolveRequest
from apt_ostree.apt.version import compare
from apt_ostree.errors import LockfileError, SolveError
from apt_ostree.model.progress import Progress

_NEVER = -1
_ALWAYS = 1001  # also when it is a downgrade (apt_preferences(5))


def preferences(request: SolveRequest, local: Iterable[tuple[str, str]]) -> str:
    """apt_preferences(5) records for the limits of `request`; `local` are name and version."""
    records = [_record(name, f"version {version}", _ALWAYS) for name, version in local]
    records += [_record(name, "release *", _NEVER) for name in request.exclude]
    if request.cached is not None:
        records += [_record(f"{c.name}:{_pin_arch(c.arch)}", f"version {c.version}", _ALWAYS)
                    for c in request.cached]  # fmt: skip
    records += [_record(spec, f"version {pin.version}", _ALWAYS)
                for spec, pin in sorted(request.pins.items())]  # fmt: skip
    if request.cached is not None or request.strict:
        records.append(_record("*", "release *", _NEVER))
    return "\n".join(records)


def _pin_arch(arch: str) -> str:
    return "any" if arch == "all" else arch


def _record(package: str, pin: str, priority: int) -> str:
    return f"Package: {package}\nPin: {pin}\nPin-Priority: {priority}\n"


def pinned(view: View, request: SolveRequest, progress: Progress) -> list[apt_pkg.Version]:
    """The version for each pin.

    A pin that no source can serve is a message, and with `strict` a LockfileError naming all.
    """
    found = []
    lost = []
    for spec, pin in sorted(request.pins.items()):
        name, _, arch = spec.partition(":")
        package = view.package(name, None if arch in ("", "all") else arch)
        versions = list(package.version_list) if package else []
        same = [v for v in versions if v.ver_str == pin.version]
        fit = next((v for v in same if pin.sha256 in (None, view.sha256(v))), None)
        if fit is not None:
            found.append(fit)
        else:
            lost.append((spec, _explain_lost(spec, pin, same, versions)))
    if lost and request.strict:
        raise LockfileError(
            f"Couldn't find locked packages: {', '.join(spec for spec, _ in lost)}",
            details=[line for _, lines in lost for line in lines],
            hint="make a new lockfile, or use sources that still have these versions",
        )
    for _, lines in lost:
        progress.message("\n".join((f"warning: {lines[0]}", *lines[1:])))
    return found


def lock_sources(view: View, request: SolveRequest) -> None:
    """Make the versions that only `locked_sources` have no candidates; pins choose among them.

    Before anything else is marked: the candidates of `view.depcache` are computed anew.
    """
    if not request.locked_sources:
        return
    cache: Any = view.cache  # python-apt's stubs lack file_list, and set_priority below
    policy: Any = view.depcache.policy
    for file in cache.file_list:
        found = view.source_of(file)
        if found is not None and {found[1].id, found[1].id.partition(":")[0]} & set(
            request.locked_sources
        ):
            policy.set_priority(file, _NEVER)
    view.depcache.init()


def newest_cached(view: View, request: SolveRequest) -> list[apt_pkg.Version]:
    """The newest cached version of each cached package.

    A pin by version would do, but for another file of the same version in a source.
    """
    best: dict[int, apt_pkg.Version] = {}
    for cached in request.cached or ():
        if not cached.control:
            continue
        package = view.package(cached.name, None if cached.arch == "all" else cached.arch)
        for version in package.version_list if package else ():
            if version.ver_str == cached.version and view.sha256(version) == cached.sha256:
                other = best.get(version.parent_pkg.id)
                if other is None or compare(version.ver_str, other.ver_str) > 0:
                    best[version.parent_pkg.id] = version
    return list(best.values())


def _explain_lost(
    spec: str, pin: Pin, same: Sequence[apt_pkg.Version], versions: Sequence[apt_pkg.Version]
) -> list[str]:
    name, _, arch = spec.partition(":")
    digest = f" with checksum {pin.sha256}" if pin.sha256 else ""
    lines = [f"Couldn't find locked package '{spec}={pin.version}'{digest}"]
    lines.append(f"  Packages matching NEVRA: {len(same)}; Mismatched checksums: {len(same)}")
    if versions:
        lines.append(f"  Packages matching name and arch ({len(versions)}):")
        lines += [f"    {v.parent_pkg.name}-{v.ver_str}.{v.arch}" for v in versions]
    else:
        lines.append(f"  No packages matched name: {name} arch: {arch or 'any'}")
    return lines


def from_sources(
    view: View, pairs: Iterable[tuple[str, tuple[str, ...]]]
) -> list[tuple[str, apt_pkg.Version]]:
    """(`KIND=NAME`, newest version there) for each package of (`repo=ID` | `suite=NAME`, names).

    A bare `ID` means `repo=ID`.  Raises SolveError naming what the source has not, or an unknown
    source with the known ones.
    """
    found = []
    for place, names in pairs:
        kind, equals, value = place.partition("=")
        if not equals:
            kind, value = "repo", place
        known = {s.id for s in view.root.sources or ()} | {
            s.id.partition(":")[0] for s in view.root.sources or ()
        }
        if kind == "repo" and value not in known and not view.cached:
            raise SolveError(
                f"Unknown apt source: {value}",
                details=("Discovered apt sources:", *(f"- {n}" for n in sorted(known))),
            )
        missing = []
        for name in names:
            newest = _newest_in(view, name, kind, value)
            if newest is None:
                missing.append(name)
            else:
                found.append((place, newest))
        if missing:
            raise SolveError(
                f"Packages not found in '{value}': {', '.join(missing)}",
                hint="apt-ostree refresh-md fetches the current package lists",
            )
    return found


def _newest_in(view: View, name: str, kind: str, value: str) -> apt_pkg.Version | None:
    base, _, arch = name.partition(":")
    package = view.package(base, arch or None)
    best: apt_pkg.Version | None = None
    for version in package.version_list if package else ():
        if kind == "suite":
            fits = in_suite(view, version, value)
        else:
            fits = any(value in (s.id, s.id.partition(":")[0]) for _, s, _ in view.files(version))
        if view.cached:
            # Of a source that may have moved on since, what was taken from it counts.
            cached = view.cached.get(view.sha256(version))
            fits = cached is not None and (fits or _is_from(cached, kind, value))
        if fits and (best is None or compare(version.ver_str, best.ver_str) > 0):
            best = version
    return best


def _is_from(cached: CachedDeb, kind: str, value: str) -> bool:
    stem, _, suite = cached.source_id.partition(":")
    return value == suite if kind == "suite" else value in (cached.source_id, stem)


def local_version(view: View, stanza: dict[str, str], deb: LocalDeb) -> apt_pkg.Version:
    """The version that libapt made of a local .deb; SolveError when it has none for it."""
    name, arch = stanza["Package"], stanza["Architecture"]
    if arch not in ("all", view.root.arch, *view.root.foreign):
        arches = " ".join((view.root.arch, *view.root.foreign))
        raise SolveError(
            f"{deb.path}: package '{name}' is for architecture {arch}, this tree has {arches}",
            hint="a tree gets further architectures with 'architectures' in its treefile",
        )
    package = view.package(name, None if arch == "all" else arch)
    for version in package.version_list if package else ():
        if version.ver_str == stanza["Version"] and view.is_local(version):
            return version
    raise SolveError(f"{deb.path}: libapt does not see package '{name}'")

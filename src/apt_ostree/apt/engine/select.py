"""What a typed request means: which version of which package, or what satisfies it already."""

from __future__ import annotations

import difflib
import fnmatch
import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apt_pkg

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.engine.view import View, nevra
from apt_ostree.apt.solve import SolveRequest
from apt_ostree.errors import SolveError

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version that a request asks for."""

    request: str
    version: apt_pkg.Version


@dataclass(frozen=True, slots=True)
class Satisfied:
    """A request that an installed version satisfies."""

    request: str
    by: apt_pkg.Version


Answer = Wanted | Satisfied


class NotFound(Exception):
    """No package answers to a request; `hint` says what might have been meant."""

    def __init__(self, request: str, hint: str | None = None) -> None:
        super().__init__(request)
        self.request = request
        self.hint = hint


class NotOffered(SolveError):
    """Some `requests` mean nothing to the apt sources."""

    def __init__(self, requests: Sequence[str], message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.requests = tuple(requests)


def answers(view: View, policy: apt_pkg.DepCache, solve: SolveRequest) -> list[Answer]:
    """What every request of `solve.install` means; `policy` knows the candidates.

    Raises one NotOffered naming all requests that nothing answers, with near misses as the hint,
    and SolveError for a virtual package that several packages provide.
    """
    found: list[Answer] = []
    missing: list[NotFound] = []
    for request in dict.fromkeys(solve.install):
        try:
            found += _answer(view, policy, request)
        except NotFound as miss:
            missing.append(miss)
    if missing and solve.cached is not None:
        raise SolveError(
            f"Packages not found in the package cache: {', '.join(m.request for m in missing)}",
            hint="run without --cache-only",
        )
    if missing:
        hints = [m.hint for m in missing if m.hint]
        raise NotOffered(
            [m.request for m in missing],
            f"Packages not found: {', '.join(m.request for m in missing)}",
            hint="; ".join(hints) or "apt-ostree refresh-md fetches the current package lists",
        )
    return found


def _answer(view: View, policy: apt_pkg.DepCache, request: str) -> list[Answer]:
    if request.startswith("/"):
        return [_by_path(view, policy, request)]
    if request.endswith("^"):
        return _by_task(view, policy, request)
    name, version, suite = split(request)
    if _GLOB.search(name):
        return _by_glob(view, policy, request, name)
    base, _, arch = name.partition(":")
    if arch and arch not in ("all", "any", "native", view.root.arch, *view.root.foreign):
        raise NotFound(
            request,
            f"this tree has no architecture {arch}; 'architectures' in a treefile adds one",
        )
    package = view.package(base, arch or None)
    if package is None or not (package.has_versions or package.provides_list):
        raise NotFound(request, _near_miss(view, policy, base))
    if version or suite:
        return [_exact(view, request, package, version, suite)]
    if package.current_ver:
        return [Satisfied(request, package.current_ver)]
    candidate = policy.get_candidate_ver(package)
    if candidate is not None:
        return [Wanted(request, candidate)]
    return [_by_provides(view, policy, request, package)]


def split(request: str) -> tuple[str, str, str]:
    """Name (with its architecture), version, suite of `name=version` or `name/suite`."""
    name, _, version = request.partition("=")
    if version:
        return name, version, ""
    name, _, suite = request.partition("/")
    return name, "", suite


def _exact(view: View, request: str, package: apt_pkg.Package, version: str, suite: str) -> Answer:
    fit = [v for v in package.version_list
           if (v.ver_str == version if version else in_suite(view, v, suite))]  # fmt: skip
    if not fit:
        offers = ", ".join(dict.fromkeys(v.ver_str for v in package.version_list))
        raise NotFound(
            request, f"the apt sources offer {package.name} {offers}" if offers else None
        )
    current = package.current_ver
    if current and any(v.id == current.id for v in fit):
        return Satisfied(request, current)
    return Wanted(request, fit[0])


def in_suite(view: View, version: apt_pkg.Version, suite: str) -> bool:
    """Whether a source of this suite, codename or Release name offers `version`."""
    return any(
        suite in (source.suite, place[0].archive, place[0].codename)
        for _, source, place in view.files(version)
    )


def _by_provides(
    view: View, policy: apt_pkg.DepCache, request: str, package: apt_pkg.Package
) -> Answer:
    providers: dict[str, apt_pkg.Version] = {}
    for _, _, version in package.provides_list:
        owner = version.parent_pkg
        if owner.current_ver and owner.current_ver.id == version.id:
            return Satisfied(request, version)
        candidate = policy.get_candidate_ver(owner)
        native = owner.architecture == package.architecture
        if native and candidate is not None and candidate.id == version.id:
            providers[owner.name] = version
    if not providers:
        raise NotFound(request, _near_miss(view, policy, package.name))
    if len(providers) > 1:
        names = sorted(providers)
        raise SolveError(
            f"'{request}' is a virtual package provided by: {', '.join(names)}",
            hint=f"name the one you want, for example: apt-ostree install {names[0]}",
        )
    return Wanted(request, next(iter(providers.values())))


def _by_glob(view: View, policy: apt_pkg.DepCache, request: str, pattern: str) -> list[Answer]:
    name, _, arch = pattern.partition(":")
    match = re.compile(fnmatch.translate(name)).match
    found: list[Answer] = []
    for package in view.cache.packages:
        if package.architecture == (arch or view.root.arch) and match(package.name):
            candidate = policy.get_candidate_ver(package)
            if package.current_ver:
                found.append(Satisfied(request, package.current_ver))
            elif candidate is not None:
                found.append(Wanted(request, candidate))
    wanted = [f for f in found if isinstance(f, Wanted)]
    if not found:
        raise NotFound(request, None)
    return list(wanted) or found[:1]


def _by_task(view: View, policy: apt_pkg.DepCache, request: str) -> list[Answer]:
    """Packages of a tasksel task: those whose record's `Task` field lists it."""
    task = request.removesuffix("^")
    field = re.compile(rf"^Task:.*(?<![\w-]){re.escape(task)}(?![\w-])", re.M)
    found: list[Answer] = []
    for package in view.cache.packages:
        candidate = policy.get_candidate_ver(package)
        if candidate is None or package.architecture != view.root.arch:
            continue
        view.records.lookup(candidate.file_list[0])
        if field.search(view.records.record):
            if package.current_ver:
                found.append(Satisfied(request, package.current_ver))
            else:
                found.append(Wanted(request, candidate))
    wanted = [f for f in found if isinstance(f, Wanted)]
    if not found:
        raise NotFound(request, f"no package of the apt sources belongs to task '{task}'")
    return list(wanted) or found[:1]


def _by_path(view: View, policy: apt_pkg.DepCache, request: str) -> Answer:
    """The owner of a path: an installed package first, then what the Contents indexes say."""
    if view.root.status is not None:
        owner = dpkgdb.load(view.root.status.parent).owner_of(request)
        arch = None if owner is None or owner.arch == "all" else owner.arch
        package = view.package(owner.name, arch) if owner else None
        if package is not None and package.current_ver:
            return Satisfied(request, package.current_ver)
    indexes = sorted(view.root.lists.glob(f"*_Contents-{view.root.arch}"))
    if not indexes:
        raise NotFound(
            request,
            f"which package has {request} is unknown without Contents indexes; name the package, "
            "or add 'Targets: Packages Contents-deb' to the apt source",
        )
    names = sorted({n for index in indexes for n in _in_contents(index, request)})
    found = [c for n in names if (p := view.package(n)) and (c := policy.get_candidate_ver(p))]
    if not found:
        raise NotFound(request, f"no package of the apt sources has {request}")
    if len(found) > 1:
        raise SolveError(
            f"several packages have {request}: {', '.join(v.parent_pkg.name for v in found)}",
            hint=f"name the one you want, for example: apt-ostree install {names[0]}",
        )
    return Wanted(request, found[0])


def _in_contents(index: Path, path: str) -> set[str]:
    """Package names that a Contents index gives for `path` (its aliases count)."""
    names: set[str] = set()
    if index.stat().st_size == 0:
        return names
    with index.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
        for alias in dpkgdb.aliases(path):
            for match in re.finditer(rb"^" + re.escape(alias[1:].encode()) + rb"\s+(\S+)$", data,
                                     re.M):  # fmt: skip
                names |= {w.rpartition("/")[2] for w in match[1].decode().split(",")}
    return names


def _near_miss(view: View, policy: apt_pkg.DepCache, name: str) -> str | None:
    """`did you mean 'x'?` with up to three installable names; comparing all 60 000 takes 1 s."""
    near = [
        p.name
        for p in view.cache.packages
        if p.architecture == view.root.arch
        and abs(len(p.name) - len(name)) <= 2
        and (p.name[:1] == name[:1] or p.name[-3:] == name[-3:])
        and policy.get_candidate_ver(p) is not None
    ]
    close = difflib.get_close_matches(name, near, n=3, cutoff=0.75)
    return f"did you mean {' or '.join(repr(n) for n in close)}?" if close else None


def already_provided(satisfied: Satisfied) -> SolveError:
    """The error for a request that the base satisfies, where that is not allowed."""
    return SolveError(
        f'"{satisfied.request}" is already provided by: {nevra(satisfied.by)}. '
        "Use --allow-inactive to explicitly require it."
    )

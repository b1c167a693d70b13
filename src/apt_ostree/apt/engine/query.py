"""The jobs that only look: `search`, `show`, `providers` and `candidates`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any

import apt_pkg

from apt_ostree.apt import deb822
from apt_ostree.apt.engine import Context
from apt_ostree.apt.engine.config import configure
from apt_ostree.apt.engine.select import NotFound, split
from apt_ostree.apt.engine.view import View
from apt_ostree.apt.version import compare
from apt_ostree.errors import SolveError

_MOST_PER_GROUP = 50
Match = Callable[[str], object]


def search(context: Context, arguments: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Offers by group; at most 50 each, by name.  Cost: reads every candidate's record, 0.5 s."""
    view = _open(context)
    matchers = [_matcher(term) for term in arguments["terms"]]
    groups: dict[str, list[tuple[str, apt_pkg.Version]]] = {}
    for package in view.cache.packages:
        version = view.depcache.get_candidate_ver(package)
        if version is None or package.architecture != view.root.arch:
            continue
        group = _group(matchers, package.name, _summary(view, version))
        if group:
            groups.setdefault(group, []).append((package.name, version))
    return {
        group: [_offer(view, v, key=group) for _, v in sorted(found, key=_name)[:_MOST_PER_GROUP]]
        for group, found in groups.items()
    }


def _name(entry: tuple[str, apt_pkg.Version]) -> str:
    return entry[0]


def _group(matchers: list[Match], name: str, summary: str) -> str | None:
    by_name = [bool(m(name)) for m in matchers]
    by_summary = [bool(m(summary)) for m in matchers]
    if len(matchers) == 1:
        both = by_name[0] and by_summary[0]
    else:
        pairs = zip(by_name, by_summary, strict=True)
        both = all(n or s for n, s in pairs) and any(by_name) and any(by_summary)
    if both:
        return "match_group_a"
    if all(by_name):
        return "match_group_b"
    return "match_group_c" if all(by_summary) else None


def _matcher(term: str) -> Match:
    if re.search(r"[*?\[]", term):
        return re.compile(fnmatch.translate(term), re.IGNORECASE).match
    return re.compile(re.escape(term), re.IGNORECASE).search


def show(context: Context, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    view = _open(context)
    found = []
    missing = []
    for name in arguments["names"]:
        try:
            found.append(_offer(view, _version_of(view, name), key=name, with_fields=True))
        except NotFound:
            missing.append(name)
    if missing:
        raise SolveError(
            f"Packages not found: {', '.join(missing)}", hint=f"apt-ostree search {missing[0]}"
        )
    return found


def providers(context: Context, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the sources offer for each name: the package itself and those that provide it."""
    view = _open(context)
    found = []
    for name in arguments["names"]:
        package = view.package(*_named(name))
        if package is None:
            continue
        versions = [v for _, _, v in package.provides_list]
        own = view.depcache.get_candidate_ver(package)
        offers = [v for v in versions if v == view.depcache.get_candidate_ver(v.parent_pkg)]
        found += [_offer(view, v, key=name) for v in ([own] if own else []) + offers]
    return found


def _named(name: str) -> tuple[str, str | None]:
    base, _, arch = name.partition(":")
    return base, arch or None


def _version_of(view: View, request: str) -> apt_pkg.Version:
    name, wanted, _ = split(request)
    package = view.package(*_named(name))
    if package is not None:
        for version in package.version_list if wanted else ():
            if version.ver_str == wanted:
                return version
        version_or_none = view.depcache.get_candidate_ver(package) or package.current_ver
        if version_or_none is not None and not wanted:
            return version_or_none
    raise NotFound(request)


def candidates(context: Context, _arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    view = _open(context)
    found = []
    for package in view.installed:
        version, current = view.depcache.get_candidate_ver(package), package.current_ver
        if version and current and compare(version.ver_str, current.ver_str) > 0:
            found.append(_offer(view, version, key=package.name))
    return sorted(found, key=lambda o: (o["name"], o["arch"]))


def _open(context: Context) -> View:
    configure(context)
    return View(context.root)


def _summary(view: View, version: apt_pkg.Version) -> str:
    view.records.lookup(version.file_list[0])
    return view.records.short_desc or ""


def _offer(
    view: View, version: apt_pkg.Version, *, key: str, with_fields: bool = False
) -> dict[str, Any]:
    source = min(view.files(version), key=lambda f: f[0], default=None)
    view.records.lookup(source[2] if source else version.file_list[0])
    current = version.parent_pkg.current_ver
    fields = deb822.parse(view.records.record, version.parent_pkg.name)[0] if with_fields else {}
    return {
        "name": version.parent_pkg.name, "arch": version.arch, "version": version.ver_str,
        "summary": view.records.short_desc or "", "source": source[1].id if source else "",
        "key": key, "fields": list(fields.items()),
        "installed": current.ver_str if current else None,
    }  # fmt: skip

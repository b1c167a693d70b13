"""What a solve is to reach, and one attempt to reach it with libapt's resolver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apt_pkg

from apt_ostree.apt.engine import error_lines
from apt_ostree.apt.engine.kernel import superseded
from apt_ostree.apt.engine.select import Wanted
from apt_ostree.apt.engine.view import View


@dataclass(frozen=True, slots=True)
class Goal:
    """`install` and `replace` must be in the result, `remove` must not.

    `prefer` only sets which version of a package is the candidate.  With `lock`, installed
    packages other than the named ones, `free` (package ids) and a replaced kernel stay as they
    are.
    """

    install: tuple[Wanted, ...] = ()
    replace: tuple[Wanted, ...] = ()
    remove: tuple[tuple[str, apt_pkg.Package], ...] = ()
    prefer: tuple[apt_pkg.Version, ...] = ()
    lock: bool = False
    free: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The state libapt ended in.  Only the latest attempt's is valid: libapt has one per cache.

    `errors` is empty when the goal was reached; `changes` are then the packages that the result
    adds, changes or removes.  `kernels` are packages removed because another kernel image takes
    their place, with the name of that image.
    """

    depcache: apt_pkg.DepCache
    errors: tuple[str, ...] = ()
    changes: tuple[apt_pkg.Package, ...] = ()
    kernels: tuple[tuple[apt_pkg.Package, str], ...] = ()

    @property
    def is_reached(self) -> bool:
        return not self.errors


def attempt(view: View, goal: Goal) -> Attempt:
    """Try to reach `goal` from the installed state; never raises for a goal out of reach."""
    depcache = view.depcache
    kernels: list[tuple[apt_pkg.Package, str]] = []
    while True:
        errors = _mark(view, depcache, goal, kernels)
        if errors:
            return Attempt(depcache, tuple(errors))
        changed = _changes(view, depcache, goal)
        more = superseded(view, depcache, changed, [p for p, _ in kernels])
        if not more:
            return Attempt(depcache, changes=changed, kernels=tuple(kernels))
        kernels += more


def _mark(
    view: View,
    depcache: apt_pkg.DepCache,
    goal: Goal,
    kernels: list[tuple[apt_pkg.Package, str]],
) -> list[str]:
    view.reset()
    resolver = apt_pkg.ProblemResolver(depcache)
    before = unmet(view, depcache)
    chosen = (*goal.replace, *goal.install)
    named = {w.version.parent_pkg.id for w in chosen} | {p.id for _, p in goal.remove}
    gone = {p.id for p, _ in kernels}
    with action_group(depcache):
        for version in goal.prefer:
            depcache.set_candidate_ver(version.parent_pkg, version)
        if goal.lock:
            for package in view.installed:
                if package.id not in named and package.id not in goal.free | gone:
                    # A pin could be out-voted; a candidate that is the current version cannot.
                    depcache.set_candidate_ver(package, package.current_ver)
                    resolver.protect(package)
        for wanted in chosen:
            depcache.set_candidate_ver(wanted.version.parent_pkg, wanted.version)
            resolver.protect(wanted.version.parent_pkg)
        for package in (*(p for _, p in goal.remove), *(p for p, _ in kernels)):
            depcache.mark_delete(package, True)  # noqa: FBT003 - purge
            resolver.protect(package)
        # All requests first, then their dependencies (as apt-get does): a choice among
        # alternatives must see what else was asked for.
        for with_dependencies in (False, True):
            for wanted in chosen:
                depcache.mark_install(wanted.version.parent_pkg, with_dependencies, True)  # noqa: FBT003
    # What is broken in the base itself stays as it is: repairing it is not what was asked for.
    if depcache.broken_count and unmet(view, depcache) - before:
        try:
            resolver.resolve(True)  # noqa: FBT003 - may install to repair
        except apt_pkg.Error as err:
            return error_lines(err)
    return [
        f"{w.version.parent_pkg.name} {w.version.ver_str} cannot be chosen"
        for w in chosen
        if (got := result_of(depcache, w.version.parent_pkg)) is None or got.id != w.version.id
    ]


def unmet(view: View, depcache: apt_pkg.DepCache) -> frozenset[tuple[int, str, int]]:
    """The dependencies and conflicts that the marked state violates: version, field, place."""
    if not depcache.broken_count:
        return frozenset()
    found = set()
    for package in view.cache.packages:
        version = result_of(depcache, package) if depcache.is_inst_broken(package) else None
        if version is None:
            continue
        depends = version.depends_list
        for field in ("PreDepends", "Depends", "Conflicts", "Breaks"):
            for number, group in enumerate(depends.get(field, [])):
                hit = any(_is_result(depcache, t) for d in group for t in d.all_targets())
                if hit is (field in ("Conflicts", "Breaks")):
                    found.add((version.id, field, number))
    return frozenset(found)


def _is_result(depcache: apt_pkg.DepCache, version: apt_pkg.Version) -> bool:
    got = result_of(depcache, version.parent_pkg)
    return got is not None and got.id == version.id


def action_group(depcache: apt_pkg.DepCache) -> Any:
    """libapt's ActionGroup: marks inside it are tidied up once, at its end.

    python-apt's stubs lack its context manager methods.
    """
    return apt_pkg.ActionGroup(depcache)


def result_of(depcache: apt_pkg.DepCache, package: apt_pkg.Package) -> apt_pkg.Version | None:
    """The version that `package` has in the result, None when it is not there."""
    if depcache.marked_delete(package):
        return None
    if is_changed(depcache, package):
        return depcache.get_candidate_ver(package)
    return package.current_ver


def is_changed(depcache: apt_pkg.DepCache, package: apt_pkg.Package) -> bool:
    """Whether another version than the current one is put in place."""
    return (
        depcache.marked_install(package)
        or depcache.marked_upgrade(package)
        or depcache.marked_downgrade(package)
    )


def _changes(view: View, depcache: apt_pkg.DepCache, goal: Goal) -> tuple[apt_pkg.Package, ...]:
    """The packages that the result adds, changes or removes, by name.

    What the goal names leads to nearly all of them; libapt's own counts tell whether that was
    all, else every package is looked at (60 000 of them take 40 ms).
    """
    expected = depcache.inst_count + depcache.del_count
    found: dict[int, apt_pkg.Package] = {}
    queue = [w.version.parent_pkg for w in (*goal.install, *goal.replace)]
    queue += [p for _, p in goal.remove] + list(view.installed)
    while queue:
        package = queue.pop()
        if package.id in found or not _is_touched(depcache, package):
            continue
        found[package.id] = package
        version = result_of(depcache, package)
        if version is not None:
            queue += [t.parent_pkg for t in needed_by(version)]
    if len(found) != expected:
        found = {p.id: p for p in view.cache.packages if _is_touched(depcache, p)}
    return tuple(sorted(found.values(), key=lambda p: (p.name, p.architecture)))


def _is_touched(depcache: apt_pkg.DepCache, package: apt_pkg.Package) -> bool:
    return depcache.marked_delete(package) or is_changed(depcache, package)


def needed_by(version: apt_pkg.Version) -> Iterator[apt_pkg.Version]:
    """Every version that would meet a dependency or recommendation of `version`."""
    depends = version.depends_list
    for field in ("PreDepends", "Depends", "Recommends"):
        for group in depends.get(field, []):
            for dependency in group:
                yield from dependency.all_targets()

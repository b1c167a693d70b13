"""The chain of dependencies from a request to the one fact that makes it impossible.

libapt's resolver says only that something is broken.  Here each dependency of a version is
followed, with the choice that the goal leaves for every package, until one cannot be met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apt_pkg

from apt_ostree.apt.engine.goal import Goal
from apt_ostree.apt.engine.view import View, nevra
from apt_ostree.apt.solve import SolveRequest

_NEEDS = (("PreDepends", "pre-depends on"), ("Depends", "depends on"))
_FORBIDS = (("Conflicts", "conflicts with"), ("Breaks", "breaks"))


class Blame:
    """Why versions cannot be installed under `goal`; asks libapt, changes nothing."""

    def __init__(self, view: View, request: SolveRequest, goal: Goal) -> None:
        self._view = view
        self._request = request
        self._goal = goal
        view.reset()
        for version in goal.prefer:
            view.depcache.set_candidate_ver(version.parent_pkg, version)
        self._removed = {p.id: name for name, p in goal.remove}
        self._chosen = {w.version.parent_pkg.id: w for w in (*goal.install, *goal.replace)}
        self._replaced = {w.version.parent_pkg.id for w in goal.replace}
        self._known: dict[int, list[str] | None] = {}

    def choice(self, package: apt_pkg.Package) -> apt_pkg.Version | None:
        """The one version of `package` that the result could have."""
        if package.id in self._removed:
            return None
        if package.id in self._chosen:
            return self._chosen[package.id].version
        if package.current_ver and self._goal.lock and package.id not in self._goal.free:
            return package.current_ver
        return self._view.depcache.get_candidate_ver(package) or package.current_ver

    def _is_choice(self, version: apt_pkg.Version) -> bool:
        choice = self.choice(version.parent_pkg)
        return choice is not None and choice.id == version.id

    def why_not(self, version: apt_pkg.Version) -> list[str] | None:
        """The chain of facts that rules `version` out, outermost first; None when it fits."""
        if version.id in self._known:
            return self._known[version.id]
        self._known[version.id] = None  # a cycle is no reason against a package
        found = self._forbidden(version)
        for field, words in _NEEDS if found is None else ():
            for group in version.depends_list.get(field, []):
                found = self._unmet(version, group, words)
                if found:
                    break
            if found:
                break
        self._known[version.id] = found
        return found

    def _unmet(
        self, version: apt_pkg.Version, group: Sequence[apt_pkg.Dependency], words: str
    ) -> list[str] | None:
        failures: list[list[str]] = []
        for dependency in group:
            targets = [t for t in dependency.all_targets() if self._is_choice(t)]
            for target in targets:
                deeper = self.why_not(target)
                if deeper is None:
                    return None
                failures.append(deeper)
            if not targets:
                failures.append([self._missing(dependency)])
        text = " | ".join(text_of(d) for d in group)
        # Of several alternatives the longest chain says most.
        return [f"{nevra(version)} {words} {text}", *max(failures, key=len)]

    def _missing(self, dependency: apt_pkg.Dependency) -> str:
        """Why no version that would meet `dependency` can be chosen."""
        package = dependency.target_pkg
        fit = list(dependency.all_targets())
        owner = fit[0].parent_pkg if fit else package
        if owner.id in self._removed:
            return f"{owner.name} is removed by the override '{self._removed[owner.id]}'"
        if owner.id in self._replaced:
            return f"the override replaces {owner.name} by {self._chosen[owner.id].version.ver_str}"
        if owner.id in self._chosen:
            return f"'{self._chosen[owner.id].request}' asks for another version of {owner.name}"
        if owner.current_ver and self._goal.lock:
            return f"the base has {nevra(owner.current_ver)}, and base packages are locked"
        if owner.name in self._request.exclude:
            return f"{owner.name} is excluded by exclude-packages"
        if fit and self._request.cached is not None:
            return f"{nevra(fit[0])} is not in the package cache"
        if fit and self._request.strict:
            return f"{nevra(fit[0])} is not in the lockfile"
        if fit:
            other = self.choice(owner)
            why = f"the version chosen is {other.ver_str}" if other else "it may not be installed"
            return f"{nevra(fit[0])} exists, but {why}"
        offers = ", ".join(dict.fromkeys(v.ver_str for v in package.version_list))
        if offers:
            return f"the apt sources offer {package.name} {offers} only"
        return f"no apt source has {package.name}"

    def _forbidden(self, version: apt_pkg.Version) -> list[str] | None:
        for field, words in _FORBIDS:
            for group in version.depends_list.get(field, []):
                for dependency in group:
                    for target in dependency.all_targets():
                        if self._stays(target, version):
                            return [f"{nevra(version)} {words} {text_of(dependency)}",
                                    self._presence(target)]  # fmt: skip
        for holder, words, dependency in forbidding(self._view, version):
            if self._stays(holder, version):
                return [f"{nevra(holder)} {words} {text_of(dependency)}", self._presence(holder)]
        return None

    def _stays(self, other: apt_pkg.Version, version: apt_pkg.Version) -> bool:
        """Whether `other` is surely in the result beside `version`."""
        package = other.parent_pkg
        if package.id == version.parent_pkg.id:
            return False
        sure = package.id in self._chosen or (package.current_ver and self._goal.lock)
        choice = self.choice(package) if sure else None
        return choice is not None and choice.id == other.id

    def _presence(self, version: apt_pkg.Version) -> str:
        package = version.parent_pkg
        if package.id in self._replaced:
            return f"{nevra(version)} is put there by an override"
        if package.id in self._chosen:
            return f"{nevra(version)} is requested as '{self._chosen[package.id].request}'"
        return f"{nevra(version)} is in the base, and base packages are locked"


def forbidding(
    view: View, version: apt_pkg.Version
) -> Iterator[tuple[apt_pkg.Version, str, apt_pkg.Dependency]]:
    """Who conflicts with or breaks `version` (by its name or what it provides), and how."""
    provided = (view.package(name) for name, _, _ in version.provides_list)
    for package in (version.parent_pkg, *(p for p in provided if p is not None)):
        for holder, dependency in reverse_depends(package):
            words = dict(_FORBIDS).get(dependency.dep_type_untranslated)
            if words and any(t.id == version.id for t in dependency.all_targets()):
                yield holder, words, dependency


def reverse_depends(package: Any) -> list[tuple[apt_pkg.Version, apt_pkg.Dependency]]:
    """Every dependency on `package` with its holder (python-apt's stubs lack both)."""
    return [(d.parent_ver, d) for d in package.rev_depends_list]


def text_of(dependency: apt_pkg.Dependency) -> str:
    name = dependency.target_pkg.name
    if dependency.target_ver:
        return f"{name} ({dependency.comp_type_deb} {dependency.target_ver})"
    return name

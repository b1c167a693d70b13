"""Commands that get around a failed solve; each was tried before it is proposed.

A proposal is a variant of the command that failed: without one of its requests, with a further
override, or with an earlier request given up.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import apt_pkg

from apt_ostree.apt.engine import local
from apt_ostree.apt.engine.goal import Goal, attempt
from apt_ostree.apt.engine.view import View
from apt_ostree.apt.solve import Asked, SolveRequest
from apt_ostree.model.package import Package

_MOST_ATTEMPTS = 10  # each costs a solve of about 0.2 s


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in the way: requests that fail, base packages that would have to go or change."""

    failing: tuple[str, ...]
    removed: tuple[apt_pkg.Package, ...]
    replaced: tuple[apt_pkg.Version, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """How a proposal differs from the command: requests dropped, base packages removed or taken
    from a source, overrides given up (by package name)."""

    drop: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    take: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reset: tuple[str, ...] = ()


def cures(view: View, request: SolveRequest, goal: Goal, obstacle: Obstacle) -> Iterator[str]:
    """Commands that reach the goal, or all of it but little."""
    for edit in _edits(view, goal, obstacle):
        command = text(request, edit)
        if command is not None:
            yield command


def _edits(view: View, goal: Goal, obstacle: Obstacle) -> Iterator[Edit]:
    if obstacle.replaced and not obstacle.removed:
        free = frozenset(v.parent_pkg.id for v in obstacle.replaced)
        if attempt(view, replace(goal, free=free)).is_reached:
            yield from (Edit(take=((s, n),)) for s, n in _by_source(view, obstacle.replaced))
    if obstacle.removed:
        more = tuple((p.name, p) for p in obstacle.removed)
        if attempt(view, replace(goal, remove=(*goal.remove, *more))).is_reached:
            yield Edit(remove=tuple(sorted(p.name for p in obstacle.removed)))
    yield from _drops(view, goal, obstacle)
    for wanted in goal.replace:
        rest = tuple(w for w in goal.replace if w is not wanted)
        if attempt(view, replace(goal, replace=rest)).is_reached:
            yield Edit(reset=(wanted.version.parent_pkg.name,))
    for name, package in goal.remove:
        kept = tuple(r for r in goal.remove if r[1] is not package)
        if attempt(view, replace(goal, remove=kept)).is_reached:
            yield Edit(reset=(name,))


def _drops(view: View, goal: Goal, obstacle: Obstacle) -> Iterator[Edit]:
    """One request less; where that is not enough, all that fail."""
    is_enough = False
    for request in islice(dict.fromkeys(w.request for w in goal.install), _MOST_ATTEMPTS):
        if request and _is_reached_without(view, goal, (request,)):
            is_enough = True
            yield Edit(drop=(request,))
    several = len(obstacle.failing) > 1
    if several and not is_enough and _is_reached_without(view, goal, obstacle.failing):
        yield Edit(drop=obstacle.failing)


def _is_reached_without(view: View, goal: Goal, dropped: Sequence[str]) -> bool:
    rest = tuple(w for w in goal.install if w.request not in dropped)
    return attempt(view, replace(goal, install=rest)).is_reached


def _by_source(
    view: View, versions: Sequence[apt_pkg.Version]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    groups: dict[str, list[str]] = {}
    for version in versions:
        source = next((s.id for _, s, _ in view.files(version)), None)
        if source:
            groups.setdefault(source, []).append(version.parent_pkg.name)
    if len(groups) == 1:  # packages of several sources would need one command for all
        yield from ((f"repo={s}", tuple(sorted(n))) for s, n in groups.items())


def text(request: SolveRequest, edit: Edit) -> str | None:
    """The command that asks for the same with `edit`; None where no single one can, or where it
    would ask for nothing."""
    asked = request.asked
    if asked is None:  # a compose: its requests stand in a treefile
        is_rest = len(request.install) > len(edit.drop)
        return f"take '{edit.drop[0]}' out of packages" if edit.drop and is_rest else None
    words = _Words.of(asked, edit, _files(request))
    if asked.command:
        if words.remove or words.replace or words.take:
            return None
        first = f"apt-ostree override reset {_join(words.reset)} && " if words.reset else ""
        return f"{first}apt-ostree {asked.command}{words.layers()}"
    if words.reset and (words.remove or words.replace or words.take):
        return None
    if len({source for source, _ in words.take}) > 1:
        return None
    return words.command()


def _files(request: SolveRequest) -> Mapping[str, tuple[str, str]]:
    """(what the request is called, path) of each local file by SHA-256."""
    found = {}
    for deb in (*request.local, *request.override_replace):
        stanza = local.stanza_of(deb)
        package = Package(stanza["Package"], stanza["Architecture"], stanza["Version"])
        found[deb.sha256] = package.nevra, str(deb.path)
    return found


@dataclass(frozen=True, slots=True)
class _Words:
    """The parts of a command line."""

    install: tuple[str, ...]
    uninstall: tuple[str, ...]
    remove: tuple[str, ...]
    replace: tuple[str, ...]
    take: tuple[tuple[str, tuple[str, ...]], ...]
    reset: tuple[str, ...]

    @classmethod
    def of(cls, asked: Asked, edit: Edit, files: Mapping[str, tuple[str, str]]) -> _Words:
        new_files = {files[s] for s in asked.local}
        new_names = {*asked.install, *(name for name, _ in new_files)}
        replacing = [files[s] for s in asked.replace]
        taken = [(s, tuple(n for n in names if n not in edit.reset))
                 for s, names in asked.replace_from]  # fmt: skip
        new_overrides = {
            *asked.remove, *(n for _, names in asked.replace_from for n in names),
            *(name.partition("-")[0] for name, _ in replacing),
        }  # fmt: skip
        return cls(
            install=(
                *(r for r in asked.install if r not in edit.drop),
                *sorted(path for name, path in new_files if name not in edit.drop),
            ),
            uninstall=(*asked.uninstall, *(r for r in edit.drop if r not in new_names)),
            remove=(*(n for n in asked.remove if n not in edit.reset), *edit.remove),
            replace=tuple(
                path for name, path in replacing
                if not any(name.startswith(f"{n}-") for n in edit.reset)
            ),
            take=tuple((s, n) for s, n in (*taken, *edit.take) if n),
            reset=(*asked.reset, *(n for n in edit.reset if n not in new_overrides)),
        )  # fmt: skip

    def layers(self) -> str:
        """` --install A --uninstall B`"""
        parts = [f" --install {shlex.quote(r)}" for r in self.install]
        parts += [f" --uninstall {shlex.quote(r)}" for r in self.uninstall]
        return "".join(parts)

    def command(self) -> str | None:
        if self.replace or self.take:
            source = f"--experimental --from {self.take[0][0]} " if self.take else ""
            names = [n for _, names in self.take for n in names]
            removes = "".join(f" --remove {shlex.quote(n)}" for n in self.remove)
            what = _join((*names, *self.replace))
            return f"apt-ostree override replace {source}{what}{removes}{self.layers()}"
        if self.remove:
            return f"apt-ostree override remove {_join(self.remove)}{self.layers()}"
        if self.reset:
            return f"apt-ostree override reset {_join(self.reset)}{self.layers()}"
        if self.install:
            drops = "".join(f" --uninstall {shlex.quote(r)}" for r in self.uninstall)
            return f"apt-ostree install {_join(self.install)}{drops}"
        return f"apt-ostree uninstall {_join(self.uninstall)}" if self.uninstall else None


def _join(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(w) for w in words)

"""The error of a failed solve: what is in the way of what, and commands that were seen to help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import apt_pkg

from apt_ostree.apt.engine import remedy
from apt_ostree.apt.engine.blame import Blame, forbidding, text_of
from apt_ostree.apt.engine.goal import Attempt, Goal, attempt, is_changed, result_of
from apt_ostree.apt.engine.remedy import Obstacle
from apt_ostree.apt.engine.select import Wanted
from apt_ostree.apt.engine.view import View, nevra
from apt_ostree.apt.solve import SolveRequest
from apt_ostree.errors import SolveError

# Each costs a solve (about 0.2 s); the explanation must not take longer than a minute.
_MOST_ATTEMPTS = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """What fails (`request` as typed, empty for a base package) and the chain of facts."""

    request: str
    lines: tuple[str, ...]


def failure(view: View, request: SolveRequest, goal: Goal, found: Attempt) -> SolveError:
    """Why `goal` is out of reach, as one error with the whole story in its details.

    When the requests would do but for the lock on the base, that is the message; else it is the
    solver's frame with one problem for each request that fails.
    """
    problems = _problems(view, request, goal)
    if not problems:
        problems = [Problem("", ("apt's resolver gives up", *found.errors))]
    details = list(_numbered(problems))
    message = (
        f"Could not depsolve transaction; {len(problems)} "
        f"problem{'s' if len(problems) != 1 else ''} detected:"
    )
    removed: list[apt_pkg.Package] = []
    replaced: list[apt_pkg.Version] = []
    if goal.lock:
        open_goal = replace(goal, lock=False)
        free = attempt(view, open_goal)
        if free.is_reached:
            removed, replaced = _base_changes(view, open_goal, free)
    if removed:
        message = f"Base packages would be removed: {_names(removed)}"
    elif replaced:
        message = "Some base packages would be replaced"
        details = [*_forbidden(view, replaced), *details]
    failing = tuple(dict.fromkeys(p.request for p in problems if p.request))
    wanted = Obstacle(failing, tuple(removed), tuple(replaced))
    cures = list(islice(remedy.cures(view, request, goal, wanted), 4))
    if cures:
        details += ["To solve this:", *(f"  {c}" for c in cures)]
    if replaced and not removed and not (request.asked and request.asked.command):
        details.append("A base made from the same sources would do too: apt-ostree upgrade")
    return SolveError(message, details=details, hint=cures[0] if cures else None)


def base_removed(removed: Sequence[apt_pkg.Package]) -> SolveError:
    return SolveError(f"Base packages would be removed: {_names(removed)}")


def base_replaced(
    view: View, depcache: apt_pkg.DepCache, replaced: Sequence[apt_pkg.Package]
) -> SolveError:
    new = [v for p in replaced if (v := result_of(depcache, p)) is not None]
    return SolveError("Some base packages would be replaced", details=list(_forbidden(view, new)))


def _names(packages: Sequence[apt_pkg.Package]) -> str:
    return ", ".join(sorted(p.name for p in packages))


def _forbidden(view: View, versions: Sequence[apt_pkg.Version]) -> Iterator[str]:
    yield "Forbidden base package replacements:"
    for version in sorted(versions, key=lambda v: v.parent_pkg.name):
        old = version.parent_pkg.current_ver
        source = next((s.id for _, s, _ in view.files(version)), "@local")
        yield (
            f"  {version.parent_pkg.name} {old.ver_str if old else ''} -> {version.ver_str} "
            f"({source})"
        )


def _numbered(problems: Sequence[Problem]) -> Iterator[str]:
    for number, problem in enumerate(problems, start=1):
        first, *rest = problem.lines
        yield f" Problem{f' {number}' if len(problems) > 1 else ''}: {first}"
        yield from (f"  - {line}" for line in rest)


def _problems(view: View, request: SolveRequest, goal: Goal) -> list[Problem]:
    blame = Blame(view, request, goal)
    found = []
    for wanted in (*goal.replace, *goal.install):
        chain = blame.why_not(wanted.version)
        if chain and wanted in goal.replace:
            head = f"override '{_typed(wanted)}' cannot be satisfied"
            found.append(Problem("", (head, *chain)))
        elif chain:
            head = f"request '{_typed(wanted)}' cannot be satisfied"
            found.append(Problem(wanted.request, (head, *chain)))
    found += _orphans(view, blame, goal)
    return found or _clashes(view, goal)


def _typed(wanted: Wanted) -> str:
    return wanted.request or wanted.version.parent_pkg.name


def _orphans(view: View, blame: Blame, goal: Goal) -> list[Problem]:
    """Base packages that need what an override takes away or replaces."""
    named = {p.id for _, p in goal.remove} | {w.version.parent_pkg.id for w in goal.replace}
    if not (goal.lock and named):
        return []
    found = []
    for package in view.installed:
        if package.id not in named and package.current_ver:
            chain = blame.why_not(package.current_ver)
            if chain:
                head = f"base package {nevra(package.current_ver)} would break"
                found.append(Problem("", (head, *chain)))
    return found


def _clashes(view: View, goal: Goal) -> list[Problem]:
    """Requests that are possible alone, but not together."""
    alone: dict[str, dict[int, apt_pkg.Version]] = {}
    for wanted in islice(goal.install, _MOST_ATTEMPTS // 2):
        tried = attempt(view, replace(goal, install=(wanted,)))
        if not tried.is_reached:
            head = f"request '{_typed(wanted)}' cannot be satisfied"
            return [Problem(wanted.request, (head, *tried.errors))]
        alone[_typed(wanted)] = {
            p.id: v for p in tried.changes
            if (v := result_of(tried.depcache, p)) is not None
        }  # fmt: skip
    found = []
    for (a, of_a), (b, of_b) in combinations(alone.items(), 2):
        lines = _clash(view, of_a, of_b)
        if lines:
            head = f"requests '{a}' and '{b}' cannot be installed together"
            found.append(Problem(b, (head, *lines)))
    return found or _pairs(view, goal)


def _pairs(view: View, goal: Goal) -> list[Problem]:
    """Two requests that libapt cannot bring together, whatever its reason."""
    for pair in islice(combinations(goal.install, 2), _MOST_ATTEMPTS):
        tried = attempt(view, replace(goal, install=pair))
        if not tried.is_reached:
            a, b = (_typed(w) for w in pair)
            head = f"requests '{a}' and '{b}' cannot be installed together"
            return [Problem(pair[1].request, (head, *tried.errors))]
    return []


def _clash(
    view: View, of_a: dict[int, apt_pkg.Version], of_b: dict[int, apt_pkg.Version]
) -> list[str]:
    ids_of_b = {v.id for v in of_b.values()}
    lines = []
    for number, version in of_a.items():
        other = of_b.get(number)
        if other is not None and other.id != version.id:
            lines.append(f"one needs {nevra(version)}, the other {nevra(other)}")
        for holder, words, dependency in forbidding(view, version):
            if holder.id in ids_of_b:
                lines.append(f"{nevra(holder)} {words} {text_of(dependency)}")
        for field, words in (("Conflicts", "conflicts with"), ("Breaks", "breaks")):
            for group in version.depends_list.get(field, []):
                lines += [f"{nevra(version)} {words} {text_of(d)}" for d in group
                          if any(t.id in ids_of_b and t.parent_pkg.id != number
                                 for t in d.all_targets())]  # fmt: skip
    return sorted(set(lines))


def _base_changes(
    view: View, goal: Goal, found: Attempt
) -> tuple[list[apt_pkg.Package], list[apt_pkg.Version]]:
    named = {w.version.parent_pkg.id for w in goal.replace} | {p.id for _, p in goal.remove}
    named |= {p.id for p, _ in found.kernels}
    touched = [p for p in view.installed if p.id not in named]
    removed = [p for p in touched if found.depcache.marked_delete(p)]
    replaced = [v for p in touched if is_changed(found.depcache, p)
                and (v := found.depcache.get_candidate_ver(p)) is not None]  # fmt: skip
    return removed, replaced

"""The `solve` job: a request to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import apt_pkg

from apt_ostree.apt.engine import (
    Context,
    explain,
    limits,
    local,
    order,
    reasons,
    remedy,
    select,
)
from apt_ostree.apt.engine.config import configure
from apt_ostree.apt.engine.goal import Attempt, Goal, attempt, is_changed, result_of
from apt_ostree.apt.engine.indexes import source_infos
from apt_ostree.apt.engine.select import Satisfied, Wanted
from apt_ostree.apt.engine.view import View, is_protected, nevra, package_of
from apt_ostree.apt.solve import SolveRequest
from apt_ostree.apt.version import compare
from apt_ostree.errors import SolveError
from apt_ostree.model.plan import Action, Inactive, InactiveKind, Plan, Reason, ReasonKind, Step


@dataclass(frozen=True, slots=True)
class Meaning:
    """A request with every name looked up."""

    goal: Goal
    inactive: tuple[Inactive, ...]
    essential: frozenset[int]


def solve(context: Context, arguments: Mapping[str, Any]) -> dict[str, Any]:
    request = SolveRequest.from_dict(arguments)
    debs = (*request.local, *request.override_replace)
    kept = local.from_cache(request.cached or (), debs)
    if debs or kept:
        context = local.prepare(context, (*debs, *kept))
    stanzas = [local.stanza_of(d) for d in debs]
    names = [(s["Package"], s["Version"]) for s in stanzas]
    configure(context, preferences=limits.preferences(request, names),
              extra=[local.SOURCE] if debs or kept else [])  # fmt: skip
    view = View(context.root, local.paths(debs), {c.sha256: c for c in request.cached or ()})
    try:
        meaning = _meaning(view, request, context)
    except select.NotOffered as err:
        raise _vanished(view, request, context, err) from err
    found = attempt(view, meaning.goal)
    if not found.is_reached:
        raise explain.failure(view, request, meaning.goal, found)
    _check_base(view, request, meaning.goal, found)
    return _plan(context, view, request, meaning, found).as_dict()


def _vanished(
    view: View, request: SolveRequest, context: Context, err: select.NotOffered
) -> SolveError:
    """The error for requests that no source answers; those made earlier had an answer once, and
    must not stand in the way of everything else."""
    asked = request.asked
    if asked is None or not set(err.requests) - set(asked.install):
        return SolveError(err.message, hint=err.hint)
    rest = tuple(r for r in request.install if r not in err.requests)
    left = replace(request, install=rest)
    found = attempt(view, _meaning(view, left, context).goal)
    command = remedy.text(request, remedy.Edit(drop=err.requests)) if found.is_reached else None
    details = ["the apt sources have lost them since they were requested"]
    if command is not None:
        details += ["To solve this:", f"  {command}"]
    return SolveError(err.message, details=details, hint=command or err.hint)


def _meaning(view: View, request: SolveRequest, context: Context) -> Meaning:
    policy = view.depcache
    limits.lock_sources(view, request)
    prefer = limits.pinned(view, request, context.progress)
    prefer += [v for _, v in limits.from_sources(view, request.repo_packages)]
    prefer += limits.newest_cached(view, request)
    for version in prefer:
        policy.set_candidate_ver(version.parent_pkg, version)
    inactive: list[Inactive] = []
    replace = _replacements(view, request, inactive)
    remove = _removals(view, request, inactive)
    install: list[Wanted] = []
    essential: list[Wanted] = []
    if request.essential:
        essential = [Wanted("", v) for v in _essential(view, policy)]
    answers = select.answers(view, policy, request) + _local_answers(view, request)
    gone = {p.id for _, p in remove}
    for answer in answers:
        if isinstance(answer, Wanted):
            install.append(_checked(answer))
        elif answer.by.parent_pkg.id in gone:
            raise SolveError(
                f"Cannot request '{answer.request}' provided by removed package "
                f"'{answer.by.parent_pkg.name}'",
                hint=f"apt-ostree override reset {answer.by.parent_pkg.name}",
            )
        elif not request.allow_inactive:
            raise select.already_provided(answer)
        else:
            inactive.append(Inactive(answer.request, nevra(answer.by)))
    taken = {w.version.parent_pkg.id for w in install}
    essential = [w for w in essential if w.version.parent_pkg.id not in taken]
    goal = Goal(
        install=(*essential, *install), replace=tuple(replace), remove=tuple(remove),
        prefer=tuple(prefer), lock=request.lock_installed,
    )  # fmt: skip
    ids = frozenset(w.version.parent_pkg.id for w in essential)
    return Meaning(goal, tuple(inactive), ids)


def _checked(wanted: Wanted) -> Wanted:
    """`wanted`, unless it names another version of something that is installed."""
    current = wanted.version.parent_pkg.current_ver
    if current is None:
        return wanted
    raise SolveError(
        f"Package '{nevra(current)}' is already in the base",
        hint=f"apt-ostree override replace changes its version to {wanted.version.ver_str}",
    )


def _local_answers(view: View, request: SolveRequest) -> list[select.Answer]:
    found: list[select.Answer] = []
    for deb in request.local:
        version = limits.local_version(view, local.stanza_of(deb), deb)
        current = version.parent_pkg.current_ver
        found.append(Satisfied(nevra(version), current) if current
                     else Wanted(nevra(version), version))  # fmt: skip
    return found


def _replacements(view: View, request: SolveRequest, inactive: list[Inactive]) -> list[Wanted]:
    wanted = []
    for deb in request.override_replace:
        version = limits.local_version(view, local.stanza_of(deb), deb)
        wanted.append((Wanted(nevra(version), version), nevra(version)))
    for place, version in limits.from_sources(view, request.override_replace_from):
        name = version.parent_pkg.name
        wanted.append((Wanted(f"{place} {name}", version), name))
    active = []
    for one, name in wanted:
        current = one.version.parent_pkg.current_ver
        if current and current.ver_str == one.version.ver_str:
            inactive.append(Inactive(name, nevra(current), InactiveKind.REPLACEMENT))
        elif current or _is_kernel_swap(view, one):
            active.append(one)
        else:
            inactive.append(Inactive(name, kind=InactiveKind.REPLACEMENT))
    return active


def _is_kernel_swap(view: View, wanted: Wanted) -> bool:
    """A kernel image has another name in each version: it replaces the image there is."""
    from apt_ostree.apt.engine.kernel import is_image

    return is_image(wanted.version) and any(is_image(p.current_ver) for p in view.installed)


def _removals(
    view: View, request: SolveRequest, inactive: list[Inactive]
) -> list[tuple[str, apt_pkg.Package]]:
    found = []
    for name in request.override_remove:
        base, _, arch = name.partition(":")
        package = view.package(base, arch or None)
        if package is None or not package.current_ver:
            inactive.append(Inactive(name, kind=InactiveKind.REMOVAL))
            continue
        if is_protected(package) and not request.force:
            kind = "essential" if package.essential else "protected"
            raise SolveError(f"Package '{package.name}' is {kind} and cannot be removed")
        found.append((name, package))
    return found


def _essential(view: View, policy: apt_pkg.DepCache) -> list[apt_pkg.Version]:
    """The candidates marked `Essential: yes` of the root's own architecture, by name."""
    found = []
    for package in view.cache.packages:
        if package.essential and package.architecture == view.root.arch:
            version = policy.get_candidate_ver(package)
            if version is not None and not package.current_ver:
                found.append(version)
    if not found and not view.installed:
        raise SolveError(
            f"the apt sources have no essential packages for {view.root.arch}",
            hint="is the distribution's own source among 'repos'?",
        )
    return sorted(found, key=lambda v: v.parent_pkg.name)


def _check_base(view: View, request: SolveRequest, goal: Goal, found: Attempt) -> None:
    """No installed package may have changed that was not named.  Locks make that so; this is the
    proof, since a wrong answer here would be a broken tree."""
    if request.cached is not None:
        allowed = {c.sha256 for c in request.cached}
        lost = [v for p in found.changes
                if (v := result_of(found.depcache, p)) is not None and not view.is_local(v)
                and view.sha256(v) not in allowed]  # fmt: skip
        if lost:
            raise SolveError(
                f"Found {len(lost)} packages to download in cache-only mode",
                details=sorted(f"  {nevra(v)}" for v in lost),
                hint="run without --cache-only",
            )
    if not request.lock_installed:
        return
    named = {w.version.parent_pkg.id for w in goal.replace} | {p.id for _, p in goal.remove}
    named |= {p.id for p, _ in found.kernels}
    touched = [p for p in view.installed if p.id not in named]
    removed = [p for p in touched if found.depcache.marked_delete(p)]
    if removed:
        raise explain.base_removed(removed)
    replaced = [p for p in touched if is_changed(found.depcache, p)]
    if replaced:
        raise explain.base_replaced(view, found.depcache, replaced)


def _plan(
    context: Context, view: View, request: SolveRequest, meaning: Meaning, found: Attempt
) -> Plan:
    changed = {p.id: p for p in found.changes if result_of(found.depcache, p) is not None}
    removed = [p for p in found.changes if p.id not in changed]
    why = reasons.of_installs(meaning.goal, found, changed, meaning.essential)
    steps = [_step(view, p, found, why[p.id]) for p in changed.values()]
    steps += [_removal(p, meaning.goal, found) for p in removed]
    steps.sort(key=lambda s: s.package)
    return Plan(
        steps=tuple(steps),
        order=order.of_result(view, found.depcache, changed=changed.values(), removed=removed),
        inactive=meaning.inactive,
        sources=source_infos(context.root),
        base=request.base,
    )


def _step(view: View, package: apt_pkg.Package, found: Attempt, reason: Reason) -> Step:
    version = found.depcache.get_candidate_ver(package)
    assert version is not None
    current = package.current_ver
    if current is None:
        action = Action.INSTALL
    elif compare(version.ver_str, current.ver_str) < 0:
        action = Action.DOWNGRADE
    else:
        action = Action.UPGRADE
    return Step(
        action=action, package=package_of(version), reason=reason,
        old_version=current.ver_str if current else None, archive=view.archive(version),
        installed_bytes=version.installed_size - (current.installed_size if current else 0),
        source=view.source_package(version),
    )  # fmt: skip


def _removal(package: apt_pkg.Package, goal: Goal, found: Attempt) -> Step:
    version = package.current_ver
    assert version is not None
    kernel = next((by for p, by in found.kernels if p.id == package.id), None)
    typed = next((name for name, p in goal.remove if p.id == package.id), package.name)
    reason = Reason(ReasonKind.KERNEL, kernel) if kernel else Reason(ReasonKind.OVERRIDE, typed)
    return Step(
        action=Action.REMOVE, package=package_of(version), reason=reason,
        old_version=version.ver_str, installed_bytes=version.installed_size,
    )  # fmt: skip

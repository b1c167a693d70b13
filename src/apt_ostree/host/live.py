"""Bring the running system to the content of another commit, without a reboot.

The running `/usr` gets an overlay that lives until the system shuts down; into it, and into
`/etc`, goes what the target has otherwise.  The deployment that boots next is not touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import base, live_state, live_tree, target
from apt_ostree.host import change as changing
from apt_ostree.host.live_state import APPLIED, IN_PROGRESS, Live
from apt_ostree.host.target import Target
from apt_ostree.insight import diff
from apt_ostree.model.change import Change, Options, Outcome
from apt_ostree.model.package_diff import DiffKind, PackageDiff
from apt_ostree.model.progress import Progress, task
from apt_ostree.ostree import treediff
from apt_ostree.ostree.sysroot import Deployment, Sysroot
from apt_ostree.ostree.treediff import Changes
from apt_ostree.system import failpoint, mount
from apt_ostree.system.run import run as run_program

_UNITS = ("usr/lib/systemd/system/", "usr/etc/systemd/system/")


def run(
    sysroot_path: Path,
    progress: Progress,
    *,
    to: str | None = None,
    reset: bool = False,
    allow_replacement: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Apply commit `to` (default: what boots next; `reset`: what was booted) to the system.

    Returns {from, to, changed, units, reload}: both commits, whether anything changed, the service
    files that did, and whether systemd must read its units anew.  Raises AptOstreeError when
    packages would go or change and `allow_replacement` is not given, or `/usr` is unlocked in
    another way.
    """
    where = target.find(Sysroot.open(sysroot_path), None)
    intent = _decide(where, to, reset=reset, allow_replacement=allow_replacement)
    if dry_run:
        return _result(intent)
    # Before the lock, which `ostree admin unlock` takes, and in the namespace of the system.
    if intent.changes and intent.booted.unlocked == "none":
        _unlock()
    mount.enter_private_namespace()
    with target.locked(sysroot_path, None) as where:
        intent = _decide(where, to, reset=reset, allow_replacement=allow_replacement)
        if intent.changes:
            _apply(where, intent, progress)
    return _result(intent)


def change(
    sysroot_path: Path,
    stateroot: str | None,
    edit: Change,
    options: Options,
    progress: Progress,
) -> Outcome:
    """Make a change, and bring the running system to what it has made (`notes["live"]`).

    In that order: what is staged stays when it cannot be applied.  Errors as `changing.run`, `run`.
    """
    outcome = changing.run(sysroot_path, stateroot, edit, options, progress)
    if not outcome.changed or options.dry_run:
        return outcome
    return replace(outcome, notes={**outcome.notes, "live": run(sysroot_path, progress)})


def _result(intent: _Intent) -> dict[str, Any]:
    changes = intent.changes
    return {
        "from": intent.source,
        "to": intent.target,
        "changed": bool(changes),
        "units": _services(changes),
        "reload": any(p.startswith(_UNITS) for p in (*changes.files, *changes.removed)),
    }


@dataclass(frozen=True, slots=True)
class _Intent:
    """`source` is what runs now, `target` what is to run, `changes` what lies between."""

    booted: Deployment
    live: Live
    source: str
    target: str
    changes: Changes


def _decide(where: Target, to: str | None, *, reset: bool, allow_replacement: bool) -> _Intent:
    booted = next((d for d in where.sysroot.deployments if d.booted), None)
    if booted is None:
        raise AptOstreeError("Not booted into an OSTree deployment")
    live = live_state.of(where.repo, booted)
    wanted = _target(where, booted, to, reset=reset)
    _check_unlocked(booted, live, wanted)
    source = live.applied or booted.checksum
    if not allow_replacement and not reset:
        _refuse_replacement(diff.packages(where.repo.path, source, wanted))
    changes = treediff.between(where.repo, source, wanted, "usr")
    return _Intent(booted, live, source, wanted, changes)


def _target(where: Target, booted: Deployment, to: str | None, *, reset: bool) -> str:
    if reset:
        return booted.checksum
    if to is not None:
        return where.repo.resolve(to)
    first = where.sysroot.deployments[0]
    if first.booted:
        raise AptOstreeError(
            "No target commit specified and no pending deployment",
            hint="apt-ostree install PACKAGE",
        )
    return first.checksum


def _check_unlocked(booted: Deployment, live: Live, wanted: str) -> None:
    is_live = live_state.stamp(booted).exists()
    if is_live and booted.unlocked != "transient":
        raise AptOstreeError(f"deployment not unlocked, is in state: {booted.unlocked}")
    if not is_live and booted.unlocked not in ("none", "transient"):
        raise AptOstreeError(f"apply-live is incompatible with unlock state: {booted.unlocked}")
    if live.in_progress is not None and live.in_progress != wanted:
        raise AptOstreeError(
            f"Previously interrupted while targeting commit {live.in_progress}, "
            f"cannot change target to {wanted}",
            hint=f"apt-ostree apply-live --target={live.in_progress}",
        )


def _refuse_replacement(packages: PackageDiff) -> None:
    removed = len(packages.of_kind(DiffKind.REMOVED))
    changed = len(packages.of_kind(DiffKind.UPGRADED)) + len(packages.of_kind(DiffKind.DOWNGRADED))
    for count, what in ((removed, "removed"), (changed, "changed")):
        if count:
            raise AptOstreeError(
                f"packages would be {what}: {count}, allow replacement to override",
                hint="apt-ostree apply-live --allow-replacement, or reboot",
            )


def _apply(where: Target, intent: _Intent, progress: Progress) -> None:
    changes = intent.changes
    # `/etc` is compared with what it was made from; it is not part of the running `/usr`.
    etc = replace(changes, **{n: _below(getattr(changes, n), "usr/etc") for n in _LISTS})
    with task(progress, "Computing /etc diff to preserve"):
        before, after = base.tree(where, intent.source), base.tree(where, intent.target)
        kept = live_tree.locally_changed(etc, before, Path("/etc"), under="usr/etc")
    stamp = live_state.stamp(intent.booted)
    stamp.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if intent.live.applied is None and where.repo.lookup(APPLIED) is not None:
        where.repo.set_ref(APPLIED, None)  # of an earlier boot
    where.repo.set_ref(IN_PROGRESS, intent.target)
    stamp.touch()
    failpoint.reach("live.before-usr")
    with task(progress, "Updating /usr"):
        if not mount.is_overlay(Path("/usr")):  # whatever else it is, it is the deployment itself
            raise AptOstreeError("deployment not unlocked: /usr is no overlay")
        mount.make_writable(Path("/usr"))
        live_tree.apply(changes, after, Path("/usr"), under="usr", keep=())
    failpoint.reach("live.after-usr")
    with task(progress, "Updating /etc"):
        live_tree.apply(etc, after, Path("/etc"), under="usr/etc", keep=kept)
    with task(progress, "Running systemd-tmpfiles for /run and /var"):
        run_program(["systemd-sysusers"])
        # 65, 73: lines that it could not make something of (systemd-tmpfiles(8))
        run_program(
            ["systemd-tmpfiles", "--create", "--prefix=/run", "--prefix=/var"], ok=(0, 65, 73)
        )
    failpoint.reach("live.before-done")
    where.repo.set_ref(APPLIED, intent.target)
    where.repo.set_ref(IN_PROGRESS, None)


_LISTS = ("files", "directories", "attributes", "removed", "replaced")


def _below(paths: list[str], folder: str) -> list[str]:
    return [p for p in paths if p == folder or p.startswith(f"{folder}/")]


def _unlock() -> None:
    """In the system's own mount namespace: what is mounted in that of a service stays there."""
    is_managed = os.path.isdir("/run/systemd/system")
    there = (
        ["systemd-run", "--quiet", "--wait", "--collect", "--"]
        if is_managed
        else ["nsenter", "--target=1", "--mount", "--"]
    )
    run_program([*there, "ostree", "admin", "unlock", "--transient"])


def _services(changes: Changes) -> list[str]:
    """Service files that are other than before; new ones were not running."""
    found = {
        path.removeprefix(folder)
        for path in (*changes.replaced, *changes.removed)
        for folder in _UNITS
        if path.startswith(folder) and ".service" in path
    }
    return sorted(found)

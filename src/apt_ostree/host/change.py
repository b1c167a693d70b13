"""Carry out one change of a sysroot: edit the origin, plan, build, deploy.

Every verb that deploys comes through `run`.  Until `Sysroot.deploy` writes the boot entries,
whatever ends the work leaves the machine as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from apt_ostree.apt.root import AptRoot
from apt_ostree.assemble import etc_overlay
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.importer import Want
from apt_ostree.assemble.package_cache import PackageCache
from apt_ostree.assemble.placement import Policy
from apt_ostree.deploy import kargs as boot_args
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import (
    aptconf,
    base,
    build,
    edit,
    fetching,
    garbage,
    history,
    inactive,
    local,
    machine,
    metadata,
    revision,
    space,
    target,
    update,
)
from apt_ostree.host import kargs as kernel_arguments
from apt_ostree.host import plan as plans
from apt_ostree.host.local import LocalFile
from apt_ostree.host.target import Target
from apt_ostree.model.change import Change, Options, Outcome
from apt_ostree.model.origin import LocalPackage, Origin
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import PlanWatcher, Progress, Timings, task
from apt_ostree.ostree.sysroot import Sysroot
from apt_ostree.system import failpoint, mount


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that has been decided but not carried out.

    `kargs` are the kernel arguments to boot with; `is_new` says whether the result would differ
    from what boots next, `is_same_tree` that it differs in how it boots only.
    """

    origin: Origin
    base: str
    plan: Plan
    kargs: tuple[str, ...]
    is_new: bool
    is_same_tree: bool
    root: AptRoot | None  # apt's view that the plan was made with; None when apt was not asked


def run(
    sysroot: Path, stateroot: str | None, change: Change, options: Options, progress: Progress
) -> Outcome:
    """Make the deployment that `change` asks for.

    Errors are those of each stage, all AptOstreeError; the attempt is in the history either way,
    except for a dry run, which writes nothing at all.
    """
    mount.enter_private_namespace()
    timings = Timings()
    files = local.read(change)
    if options.dry_run:  # without the lock, which would be written
        where = target.find(Sysroot.open(sysroot), stateroot)
        return _carry_out(where, change, options, files, progress, timings)
    with target.locked(sysroot, stateroot) as where:
        try:
            outcome = _carry_out(where, change, options, files, progress, timings)
        except (AptOstreeError, OSError, KeyboardInterrupt) as err:
            if not options.only_check:
                _record(where, options, error=err)
            if isinstance(err, AptOstreeError):
                space.add_way_out(err)
            raise
        if outcome.deployment is not None:
            _record(where, options, outcome=outcome)
        return outcome


def _forget_branch(where: Target, change: Change, now: Origin) -> None:
    """After a rebase the old branch of a remote is left behind; one of our own is no copy."""
    old = where.origin
    if change.refspec is None or change.skip_purge or old.remote is None or old.branch is None:
        return
    if old.refspec != now.refspec and where.repo.lookup(str(old.refspec)) is not None:
        where.repo.set_ref(old.branch, None, remote=old.remote)


def _collect(where: Target, progress: Progress) -> None:
    """Clean up; the deployment stands by now, so a failure here is not the change's."""
    try:
        garbage.collect(where.sysroot, progress)
    except (AptOstreeError, OSError) as err:
        progress.message(f"warning: cleaning up failed: {err}")
    except KeyboardInterrupt:
        progress.message("warning: cleaning up was interrupted; the change itself is done")


def _record(
    where: Target,
    options: Options,
    *,
    outcome: Outcome | None = None,
    error: BaseException | None = None,
) -> None:
    made = None if outcome is None else outcome.deployment
    history.record(
        where.sysroot,
        where.stateroot,
        command_line=options.command_line,
        deployment=next((d for d in where.sysroot.deployments if d.id == made), None),
        plan_digest=None if outcome is None or outcome.plan is None else outcome.plan.digest,
        error=error,
    )


def _carry_out(
    where: Target,
    change: Change,
    options: Options,
    files: Mapping[Path, LocalFile],
    progress: Progress,
    timings: Timings,
) -> Outcome:
    machine.refuse_layering(where, change)
    change = _with_local_base(where, change, options, progress)
    names = {path: file.name for path, file in files.items()}
    with _decided(where, change, options, files, names, progress, timings) as draft:
        if isinstance(progress, PlanWatcher) and _is_worth_showing(draft, options):
            progress.plan_ready(draft.plan)
        if options.dry_run or options.only_check:
            notes = _news(where, change, draft) if options.only_check else {}
            return Outcome(
                changed=draft.is_new, plan=draft.plan, timings=timings.seconds, notes=notes
            )
        if not draft.is_new:
            progress.message(_nothing(change, draft.origin))
            return Outcome(changed=False, plan=draft.plan, timings=timings.seconds)
        # What does not take part now may do so after the next change of the base.
        local.keep(where.repo, files)
        cache = _package_cache(where, draft.base)
        obtain = partial(
            fetching.obtain, root=draft.root, cache=cache,
            archives=where.cache / "archives", cache_only=options.cache_only,
            progress=progress, timings=timings,
        )  # fmt: skip
        entries = obtain(draft.plan)
        if options.download_only:
            commits = (draft.base, *(e.checksum for e in entries.values()))
            garbage.keep_downloads(where.repo, commits)
            return Outcome(
                changed=False, plan=draft.plan, timings=timings.seconds, notes={"downloaded": True}
            )
        checksum = _tree(where, draft, cache, entries, obtain, progress, timings)
    writing = "Staging deployment" if where.sysroot.is_booted else "Writing deployment"
    with timings.phase("deploy"), task(progress, writing):
        failpoint.reach("change.before-deploy")
        space.check_boot(where, checksum)
        made = where.sysroot.deploy(
            where.stateroot, checksum, origin=str(draft.origin), kargs=draft.kargs,
            overlay=_overlay(where, draft.origin, progress),
            is_locked=options.lock_finalization,
        )  # fmt: skip
    with timings.phase("cleanup"):
        if change.pull_base or change.refspec is not None or change.revision is not None:
            garbage.keep_downloads(where.repo, ())
        _forget_branch(where, change, draft.origin)
        _collect(where, progress)
    return Outcome(changed=True, plan=draft.plan, deployment=made.id, timings=timings.seconds)


def _is_worth_showing(draft: Draft, options: Options) -> bool:
    """A plan is always the whole way from the base, so it has steps even when it is done."""
    is_new = draft.is_new and not draft.is_same_tree
    return bool(draft.plan.steps or draft.plan.inactive) and (is_new or options.dry_run)


def _news(where: Target, change: Change, draft: Draft) -> dict[str, Any]:
    """What the change would bring; an update of the same branch is remembered for `status`."""
    found = None
    if draft.is_new and where.pending is not None:
        found = update.describe(where, draft.origin, draft.base, draft.plan)
    if change == Change(pull_base=True):
        update.store(where, found)
    return {} if found is None else {"cached-update": found}


def _overlay(where: Target, origin: Origin, progress: Progress) -> bytes | None:
    """The tracked files of `/etc` as they are now, for the boot loader."""
    if where.merge is None or not origin.initramfs_etc:
        return None
    etc = where.merge.directory / "etc"
    for path in origin.initramfs_etc:
        if not os.path.lexists(etc / os.path.relpath(path, "/etc")):
            progress.message(f"warning: tracked file {path} does not exist")
    return etc_overlay.archive(etc, origin.initramfs_etc)


def _with_local_base(where: Target, change: Change, options: Options, progress: Progress) -> Change:
    """`rebase /path/to/repo:REF` becomes a rebase to the commit, once it is here."""
    if change.refspec is None:
        return change
    checksum = revision.import_local(where, change.refspec, options, progress)
    return change if checksum is None else replace(change, refspec=checksum)


@contextmanager
def _decided(
    where: Target,
    change: Change,
    options: Options,
    files: Mapping[Path, LocalFile],
    names: Mapping[Path, LocalPackage],
    progress: Progress,
    timings: Timings,
) -> Iterator[Draft]:
    """Everything that can be known before anything is written."""
    arch = machine.native_arch(where)
    given = {f.deb.sha256: f.package.name for f in files.values()}
    known = {**local.names(where.repo, where.origin), **given}
    origin = edit.edit(where.origin, change, options=options, local=names, arch=arch, names=known)
    if change.refspec is not None and change.refspec.endswith(":"):
        progress.message(f"Rebasing to {origin.refspec}")
    with timings.phase("pull"):
        origin, checksum = revision.resolve(where, origin, change, options, progress)
    root: AptRoot | None = None
    is_same_tree = _is_same_tree(where, origin, change)
    plan = plans.without_packages(origin, checksum)
    with ExitStack() as stack:
        # A base without dpkg can be deployed all the same, as long as nothing is layered on it.
        if origin.has_packages and not is_same_tree:
            database = stack.enter_context(base.database(where, checksum))
            scratch = stack.enter_context(aptconf.scratch())
            root = machine.apt_root(where, database, origin, checksum, options, scratch=scratch)
            with timings.phase("refresh"):
                metadata.ensure(root, is_upgrade=change.pull_base, options=options,
                                progress=progress)  # fmt: skip
            with timings.phase("solve"):
                plan = plans.make(
                    root,
                    plans.Request(
                        origin,
                        checksum,
                        local.by_checksum(files),
                        options,
                        asked=plans.asked(change, names),
                    ),
                    where.repo,
                    _package_cache(where, checksum),
                    progress,
                )
            if not options.allow_inactive:
                inactive.refuse(where.origin, origin, plan)
        if not is_same_tree:
            space.check(where, plan, origin)
        wanted = boot_args.edited(_options_line(where, change), change.kargs)
        yield Draft(
            origin, checksum, plan, wanted,
            is_new=_is_new(where, origin, plan, wanted, change),
            is_same_tree=is_same_tree,
            root=root,
        )  # fmt: skip


def _is_same_tree(where: Target, origin: Origin, change: Change) -> bool:
    """Whether a change is about booting only, so that no package needs to be looked at."""
    is_moving = change.pull_base or change.refspec is not None or change.revision is not None
    if where.pending is None or is_moving:
        return False
    now, before = (str(replace(o, initramfs_etc=())) for o in (origin, where.origin))
    return now == before


def _options_line(where: Target, change: Change) -> str:
    """The kernel command line that edits start from."""
    if where.pending is None:
        return ""
    if change.kargs_base_index is None:
        return where.pending.options
    return kernel_arguments.at_index(where.sysroot, change.kargs_base_index).options


def _is_new(
    where: Target, origin: Origin, plan: Plan, kargs: tuple[str, ...], change: Change
) -> bool:
    if where.pending is None or change.initramfs_etc_force_sync:
        return True
    same_tree = _is_same_tree(where, origin, change) or (
        where.pending.checksum == _known(where, origin, plan)
    )
    # Which commit it was pinned to tells how the tree was found, not what it is.
    now, before = (str(replace(o, override_commit=None)) for o in (origin, where.origin))
    return not (same_tree and now == before and kargs == where.pending.kargs)


def _known(where: Target, origin: Origin, plan: Plan) -> str | None:
    """The commit that a plan comes to, where no build is needed to tell: the base itself when
    nothing is done to it, or that of a deployment that was built from an equal plan."""
    if not plan.steps and not origin.regenerate_initramfs:
        return plan.base
    for deployment in where.sysroot.deployments:
        commit = where.repo.commit(deployment.checksum)
        if commit.get("aptostree.state-sha512") == plan.digest:
            return deployment.checksum
    return None


def _nothing(change: Change, origin: Origin) -> str:
    if change.revision is not None:
        return "No change."
    if change.pull_base:
        if origin.is_checksum:
            described = origin.custom_description
            return (
                f"Pinned to commit by custom origin: {described}"
                if described
                else "Pinned to commit; no upgrade available"
            )
        return "No upgrade available."
    return "No changes."


def _tree(
    where: Target,
    draft: Draft,
    cache: PackageCache,
    entries: Mapping[str, Entry],
    obtain: Callable[..., dict[str, Entry]],
    progress: Progress,
    timings: Timings,
) -> str:
    """The commit to deploy: the base itself, one that exists already, or a new one."""
    if draft.is_same_tree:
        return where.current.checksum
    known = _known(where, draft.origin, draft.plan)
    if known is not None:
        is_base = known == draft.base
        return known if is_base else build.restated(where.repo, known, draft.plan, draft.origin)
    with timings.phase("checkout"):
        lower = base.tree(where, draft.base)
    inputs = build.Inputs(
        draft.plan, draft.origin, draft.base, lower, entries,
        ledger=machine.ledger(where), reserved=machine.accounts(where),
        policy=machine.script_policy(where),
    )  # fmt: skip

    def archives_of(keys: Collection[str]) -> Mapping[str, Entry]:
        steps = tuple(s for s in draft.plan.steps if s.package.key in keys)
        return obtain(replace(draft.plan, steps=steps), want=Want.BOTH)

    built = build.layered(
        where.repo, cache, inputs, archives_of=archives_of, progress=progress, timings=timings
    )
    machine.remember(where, built.ledger)
    return built.checksum


def _package_cache(where: Target, checksum: str) -> PackageCache:
    return PackageCache(where.repo, policy=Policy(**machine.trim(where, checksum)))

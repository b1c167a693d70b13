"""Build the tree of a layered deployment from its plan: base, packages, finish, commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble import (
    accounts,
    ids,
    initramfs,
    install,
    kernel,
    lay,
    layout,
    record,
    tidy,
    var,
    varseed,
    workspace,
)
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.ids import Ledger
from apt_ostree.assemble.package_cache import PackageCache
from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Action, Plan, Verb
from apt_ostree.model.progress import Progress, Timings, task
from apt_ostree.ostree.glib import Metadata, pack
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree
from apt_ostree.sandbox.bwrap import target_root
from apt_ostree.sandbox.policy import DRACUT, Policy
from apt_ostree.system import failpoint, fs


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that decides the tree besides the plan's packages.

    `lower` is the base checked out; `ledger` and `reserved` are the account numbers that names had
    on this machine, and that it has now; `policy` bounds what scripts may do.
    """

    plan: Plan
    origin: Origin
    base: str
    lower: Path
    entries: Mapping[str, Entry]
    ledger: Ledger
    reserved: Ledger
    policy: Policy


@dataclass(frozen=True, slots=True)
class Built:
    checksum: str
    ledger: Ledger  # to be remembered for later builds


def layered(
    repo: Repo,
    cache: PackageCache,
    inputs: Inputs,
    *,
    archives_of: Callable[[Collection[str]], Mapping[str, Entry]],
    progress: Progress,
    timings: Timings,
) -> Built:
    """Write the commit of a layered tree; nothing refers to it yet.

    `archives_of` gets the .debs of packages (by key) into the cache; it is asked for those whose
    files cannot be laid on this base.  Needs a private mount namespace.  Raises ScriptError,
    PackageError, AptOstreeError; then the repository holds nothing that pruning would not remove.
    """
    plan = inputs.plan
    base = repo.commit(inputs.base)
    with workspace.create(repo.path) as space:
        # What may overwrite files comes after those whose files it overwrites.
        keys = [o.key for o in plan.order if o.verb is Verb.UNPACK]
        keys.sort(key=_may_overwrite(inputs).__contains__)
        order = [inputs.entries[k] for k in keys]
        with timings.phase("lay"):
            installed = [s.package.key for s in plan.of_action(Action.UPGRADE, Action.DOWNGRADE)]
            choice = lay.choose(order, lower=[inputs.lower], installed=installed)
            lacking = lay.without_archive(choice, inputs.entries)
            if lacking:
                entries = {**inputs.entries, **archives_of(lacking)}
                inputs = replace(inputs, entries=entries)
            packages = space.directory / "packages"
            failpoint.reach("build.before-checkout")
            lay.checkout(repo, choice, packages)
            failpoint.reach("build.after-checkout")
        archives = space.directory / "debs"
        archives.mkdir()
        lower = [packages, inputs.lower] if choice.laid else [inputs.lower]
        with repo.transaction():
            with space.mounted(lower, binds=var.BINDS) as root:
                job = install.Job(
                    plan, inputs.entries, choice, cache, archives, debconf=inputs.origin.debconf,
                    overwrite=_may_overwrite(inputs), architectures=inputs.origin.architectures,
                )  # fmt: skip
                packages_now, ledger = _fill(
                    root, space.upper, job, inputs, repo, epoch=base.timestamp,
                    progress=progress, timings=timings,
                )  # fmt: skip
            failpoint.reach("build.before-commit")
            with timings.phase("commit"), task(progress, "Writing OSTree commit"):
                tree = Tree(repo, base=inputs.base)
                lay.merge(tree, choice)
                add_upper(tree, space.upper)
                checksum = repo.write_commit(
                    tree.write(),
                    parent=inputs.base,
                    timestamp=base.timestamp,
                    metadata=record.layered(
                        plan, inputs.origin, packages=packages_now, version=base.version,
                        digest=plan.digest,
                    ),
                )  # fmt: skip
            failpoint.reach("build.after-commit")
    return Built(checksum, ledger)


def restated(repo: Repo, checksum: str, plan: Plan, origin: Origin) -> str:
    """A commit of the tree of `checksum` that says of the requests what `origin` does.

    The same packages may have been asked for in other words, or by another override.
    """
    commit = repo.commit(checksum)
    old = commit.variants()
    now: Metadata = {**old, **record.requests(plan, origin)}
    if pack(now).equal(pack(old)):
        return checksum
    with repo.transaction():
        return repo.write_commit(
            repo.root(checksum), parent=commit.parent, timestamp=commit.timestamp, metadata=now
        )


def add_upper(tree: Tree, upper: Path) -> None:
    """Lay what an overlay recorded over the tree being written.

    The mount points of `/etc` and `/var` are no content.
    """
    for name in ("etc", "var"):
        fs.remove_tree(upper / name)
    changes = workspace.settle_upper(upper)
    for path in changes.removed:
        tree.remove(path)
    for path in changes.cleared:
        tree.clear(path)
    tree.add_directory(upper, consume=True)


def _fill(
    root: Path,
    upper: Path,
    job: install.Job,
    inputs: Inputs,
    repo: Repo,
    *,
    epoch: int,
    progress: Progress,
    timings: Timings,
) -> tuple[tuple[Package, ...], Ledger]:
    """Everything that happens in the mounted tree; returns its packages and the id ledger."""
    before = accounts.load(root / accounts.ETC)
    with timings.phase("seed"):
        varseed.seed(root)
    with target_root(root, policy=inputs.policy, source_date_epoch=epoch) as box:
        install.run(root, job, box=box, progress=progress, timings=timings)
    with timings.phase("accounts"):
        settled = ids.settle(
            root, upper, base=before, ledger=inputs.ledger, reserved=inputs.reserved,
            day=epoch // 86400,
        )  # fmt: skip
        for conflict in settled.conflicts:
            progress.message(f"warning: {conflict}")
        if settled.accounts != before:
            accounts.write_sysusers(root, settled.accounts)
    with timings.phase("tidy"):
        kernel.adopt_boot_files(root)
        kernel.describe_boot_files(root)
        kernel.drop_orphans(root)
        tidy.tree(root, upper, accounts=settled.accounts, is_base=False)
        layout.finish(root)
    _boot(root, inputs, repo, epoch=epoch, progress=progress, timings=timings)
    layout.check(root)
    return dpkgdb.packages(root / layout.DPKG), settled.ledger


def _boot(
    root: Path,
    inputs: Inputs,
    repo: Repo,
    *,
    epoch: int,
    progress: Progress,
    timings: Timings,
) -> None:
    """A new initramfs when the kernel is another one, or the origin asks for one of its own."""
    version = kernel.only_version(root)
    if version is None:
        return
    is_new = kernel.is_new(version, root, base=inputs.lower)
    if not (is_new or inputs.origin.regenerate_initramfs):
        return
    database = dpkgdb.load(root / layout.DPKG)
    versions = {dpkgdb.info_name(s): s["Version"] for s in database.installed.values()}
    args = (*_base_args(repo, inputs.base), *inputs.origin.initramfs_args)
    request = initramfs.Request(version, versions, args)
    with (
        timings.phase("initramfs"),
        target_root(root, policy=DRACUT, source_date_epoch=epoch) as box,
    ):
        if is_new:
            kernel.depmod(box, version)
        if not initramfs.reuse(root, request, repo=repo):
            with task(progress, "Generating initramfs"):
                initramfs.generate(root, request, box=box, repo=repo)


def _base_args(repo: Repo, base: str) -> tuple[str, ...]:
    """The dracut arguments that the base was composed with."""
    return tuple(repo.commit(base).get("aptostree.initramfs-args") or ())


def _may_overwrite(inputs: Inputs) -> frozenset[str]:
    forced = {p.sha256 for p in inputs.origin.local_fileoverride}
    return frozenset(
        s.package.key for s in inputs.plan.steps if s.archive and s.archive.sha256 in forced
    )

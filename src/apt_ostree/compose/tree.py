"""`compose tree`: a treefile becomes a commit, unless nothing changed since the previous one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree.apt import refresh
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.sources import Source
from apt_ostree.assemble import lay, workspace
from apt_ostree.assemble.accounts import Accounts
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.package_cache import PackageCache
from apt_ostree.compose import build, commit, finish, layers, numbers, treefiles
from apt_ostree.compose import plan as plans
from apt_ostree.compose.build import Assembly
from apt_ostree.compose.commit import Draft
from apt_ostree.compose.finish import Context
from apt_ostree.model.compose import CommitRequest, Composed, InstallRequest
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import PlanWatcher, Progress, Timings, task
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree
from apt_ostree.system import fs, lock, mount
from apt_ostree.treefile import lock as lockfiles
from apt_ostree.treefile.lock import Lockfile
from apt_ostree.treefile.schema import Treefile

DEFAULT_CACHE = Path("/var/cache/apt-ostree/compose")
expanded = treefiles.expanded


@dataclass(frozen=True, slots=True)
class Prepared:
    """A treefile with its plan, before anything is built.  `repo` is the cache's repository."""

    treefile: Treefile
    root: AptRoot
    plan: Plan
    repo: Repo
    archives: Path

    @property
    def cache(self) -> PackageCache:
        return build.package_cache(self.repo, self.treefile)

    @property
    def sources(self) -> tuple[Source, ...]:
        return plans.tree_sources(self.treefile, self.root)

    @property
    def inputhash(self) -> str:
        return self.plan.digest


@dataclass(frozen=True, slots=True)
class Previous:
    """The commit that a new one is compared with; all None for a first compose."""

    checksum: str | None = None
    inputhash: str | None = None
    accounts: Accounts | None = None


@contextmanager
def prepared(
    request: InstallRequest, treefile: Treefile, progress: Progress, timings: Timings
) -> Iterator[Prepared]:
    """Plan a compose; the cache is locked for the time of the block."""
    cachedir = request.cachedir or DEFAULT_CACHE
    lockfile = _locked(request, progress)
    with lock.exclusive(cachedir / "lock", what=f"the compose cache {cachedir}"):
        origin = plans.Origin(cachedir, request.source_root or Path("/"), request.proxy)
        root = plans.apt_root(treefile, origin)
        with timings.phase("refresh"):
            if not request.cache_only:
                refresh.refresh(root, progress)
        repo = Repo.create(cachedir / "repo")
        with timings.phase("solve"):
            cached = build.cached(repo, treefile) if request.cache_only else None
            plan = plans.make(
                treefile, root, lockfile=lockfile, strict=request.lockfile_strict, cached=cached,
                progress=progress,
            )  # fmt: skip
            layer_digest = layers.digest(treefile, request.layer_repo or request.repo)
        if layer_digest:
            plan = replace(plan, inputs=(*plan.inputs, ("layers", layer_digest)))
        if isinstance(progress, PlanWatcher):
            progress.plan_ready(plan)
        write_lockfile(request, plan)
        yield Prepared(treefile, root, plan, repo, cachedir / "archives")


def _locked(request: InstallRequest, progress: Progress) -> Lockfile | None:
    if not request.lockfiles:
        return None
    found = lockfiles.load(request.lockfiles)
    progress.message("Loaded lockfiles:")
    for path in request.lockfiles:
        progress.message(f"  {path}")
    return found


def run(request: InstallRequest, to: CommitRequest, progress: Progress) -> Composed:
    """Compose a tree and commit it; `changed` is False when there was nothing to do."""
    mount.enter_private_namespace()
    timings = Timings()
    treefile = treefiles.load(request.treefile, progress)
    target = commit.check_target(treefile, to)
    parent = commit.parent_of(to, treefile, target)
    previous = previous_of(request, treefile, target, progress)
    with prepared(request, treefile, progress, timings) as work:
        if (done := undone(request, work, previous, progress, timings)) is not None:
            return done
        entries = packages(request, work, progress, timings)
        if entries is None:
            return Composed(changed=False, plan=work.plan, timings=timings.seconds)
        draft = Draft(
            treefile, to, treefiles.timestamp(),
            treefiles.version(treefile, target, request.previous_version,
                              given=treefiles.given_version(to)),
            inputhash=work.inputhash, sources=work.plan.sources,
        )  # fmt: skip
        with work.repo.transaction() as written:
            checksum, draft = _build(
                work, entries, draft, previous.accounts, parent=parent,
                layer_repo=request.layer_repo or request.repo, progress=progress, timings=timings,
            )  # fmt: skip
        draft = commit.counted(draft, written)
        made = commit.publish(work.repo, checksum, draft, progress=progress, timings=timings)
        touch(request.touch_if_changed)
        return replace(made, plan=work.plan)


def undone(
    request: InstallRequest,
    work: Prepared,
    previous: Previous,
    progress: Progress,
    timings: Timings,
) -> Composed | None:
    """The result when nothing is to be built: no change, or a dry run; else None."""
    progress.message(f"Input state hash: {work.inputhash}")
    changed = request.force_nocache or work.inputhash != previous.inputhash
    if not changed:
        progress.message(
            "No apparent changes since previous commit."
            if request.dry_run
            else "No apparent changes since previous commit; use --force-nocache to override"
        )
    if not request.dry_run and changed:
        return None
    if request.dry_run and changed:
        touch(request.touch_if_changed)
    return Composed(changed=changed, plan=work.plan, timings=timings.seconds)


def packages(
    request: InstallRequest, work: Prepared, progress: Progress, timings: Timings
) -> dict[str, Entry] | None:
    """Download and import the packages; None when the request ends with that."""
    if request.download_only_debs:
        build.download(work.plan, work.root, work.cache, work.archives, progress, timings)
        return None
    entries = build.import_packages(
        work.plan, work.root, work.cache, archives=work.archives, progress=progress,
        timings=timings,
    )  # fmt: skip
    return None if request.download_only else entries


def context(
    work: Prepared,
    entries: Mapping[str, Entry],
    *,
    version: str | None,
    previous: Accounts | None,
    progress: Progress,
    timings: Timings,
) -> Context:
    """What the finish of a composed tree needs."""
    return Context(
        treefile=work.treefile,
        version=version,
        previous=previous,
        epoch=build.epoch(entries),
        cache=work.repo,
        progress=progress,
        timings=timings,
    )


def _build(
    work: Prepared,
    entries: Mapping[str, Entry],
    draft: Draft,
    accounts: Accounts | None,
    *,
    parent: str | None,
    layer_repo: Path | None,
    progress: Progress,
    timings: Timings,
) -> tuple[str, Draft]:
    """The commit in the cache's repository, and the draft completed by what the tree holds."""
    finishing = context(
        work, entries, version=draft.version, previous=accounts, progress=progress, timings=timings
    )
    with build.assembled(
        work.repo, work.treefile, work.plan, entries, work.cache,
        epoch=finishing.epoch, sources=work.sources, progress=progress, timings=timings,
    ) as made:  # fmt: skip
        layers.unpack(made.root, work.treefile, layer_repo, progress)
        finish.postprocess(made.root, made.space.upper, finishing)
        packages, kernel = commit.describe(made.root)
        made.release()
        with timings.phase("commit"), task(progress, "Committing"):
            tree = _tree(work.repo, made)
            draft = replace(draft, packages=packages, kernel=kernel)
            # The parent is only named: its objects need not be in the cache's repository.
            checksum = commit.write(work.repo, tree.write(), draft, parent=parent)
    return checksum, draft


def _tree(repo: Repo, made: Assembly) -> Tree:
    """Skeleton, packages by reference, and what was written on top, as one tree."""
    upper = made.space.upper
    tree = Tree(repo)
    tree.add_directory(made.skeleton, consume=False)
    lay.merge(tree, made.choice)
    fs.remove_tree(upper / "etc")
    fs.remove_tree(upper / "var")
    changes = workspace.settle_upper(upper)
    for path in changes.removed:
        tree.remove(path)
    for path in changes.cleared:
        tree.clear(path)
    tree.add_directory(upper, consume=True)
    return tree


def previous_of(
    request: InstallRequest, treefile: Treefile, repo: Repo, progress: Progress
) -> Previous:
    rev = request.previous_commit or treefile.ref
    checksum = None if rev is None else repo.lookup(rev)
    if checksum is None:
        progress.message(f"No previous commit for {treefile.ref}")
        return Previous(inputhash=request.previous_inputhash)
    progress.message(f"Previous commit: {checksum}")
    inputhash = request.previous_inputhash or repo.commit(checksum).get("aptostree.inputhash")
    if inputhash is None:
        progress.message("Previous commit found, but without aptostree.inputhash metadata key")
    return Previous(checksum, inputhash, numbers.of_commit(repo, checksum))


def touch(path: Path | None) -> None:
    if path is not None:
        path.touch()
        os.utime(path)


def write_lockfile(request: InstallRequest, plan: Plan) -> None:
    """What was resolved, also when nothing changed and in a dry run: the file was asked for."""
    if request.write_lockfile_to is None:
        return
    lockfiles.dump(
        [(s.package, s.archive.sha256) for s in plan.steps if s.archive is not None],
        request.write_lockfile_to,
        generated=treefiles.now(),
        repos={s.id: treefiles.at(s.generated) for s in plan.sources},
    )

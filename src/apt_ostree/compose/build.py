"""Build the tree of a treefile: packages, then what the treefile adds, then the finish.

`assembled` gives the complete tree, mounted; what follows decides whether it is committed
(`compose tree`) or copied out (`compose install`, `compose rootfs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.apt import fetch
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import CachedDeb
from apt_ostree.apt.sources import Source
from apt_ostree.assemble import install, lay, layout, var, varseed, workspace
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.importer import Want
from apt_ostree.assemble.lay import Choice
from apt_ostree.assemble.package_cache import PackageCache, Request
from apt_ostree.assemble.workspace import Workspace
from apt_ostree.compose import content
from apt_ostree.compose.plan import policy_of
from apt_ostree.model.plan import Plan, Step, Verb
from apt_ostree.model.progress import Progress, Timings
from apt_ostree.ostree.repo import Repo
from apt_ostree.sandbox.bwrap import Sandbox, target_root
from apt_ostree.treefile.schema import Treefile

EPOCH_FILE = "usr/share/apt-ostree/source-date-epoch"


@dataclass(frozen=True, slots=True)
class Assembly:
    """A tree with all packages configured, mounted at `root`; `box` runs programs in it.

    `release` unmounts it, so that what was written can be committed.
    """

    space: Workspace
    skeleton: Path
    root: Path
    box: Sandbox
    choice: Choice
    release: Callable[[], None]


def epoch(entries: Mapping[str, Entry]) -> int:
    """The time that scripts are told: of the newest file of any package, UNIX seconds."""
    return max((e.commit.timestamp for e in entries.values()), default=0)


def write_epoch(root: Path, epoch: int) -> None:
    """Note the time in the tree: a later `compose postprocess` must use the same."""
    path = root / EPOCH_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{epoch}\n")


def read_epoch(root: Path) -> int | None:
    """What `write_epoch` wrote; None in a root that was made by other means."""
    path = root / EPOCH_FILE
    text = path.read_text().strip() if path.is_file() and not path.is_symlink() else ""
    return int(text) if text.isdecimal() else None


def cached(repo: Repo, treefile: Treefile) -> tuple[CachedDeb, ...]:
    """What can be used without any download."""
    found = package_cache(repo, treefile).entries()
    return tuple(
        CachedDeb(e.package.name, e.package.arch, e.package.version, e.sha256) for e in found
    )


def download(
    plan: Plan,
    root: AptRoot,
    cache: PackageCache,
    archives: Path,
    progress: Progress,
    timings: Timings,
) -> None:
    """Fetch the .debs that are not imported yet, and keep them."""
    missing = cache.missing(plan.steps)
    with timings.phase("download"):
        fetch.fetch(root, [s.archive for s in missing if s.archive], archives, progress)


def import_packages(
    plan: Plan,
    root: AptRoot,
    cache: PackageCache,
    *,
    archives: Path,
    progress: Progress,
    timings: Timings,
) -> dict[str, Entry]:
    """Download and import what the plan needs; entries by `name:arch`.

    The Essential packages are needed with their files even when dpkg will unpack them again.
    """
    steps = [s for s in plan.steps if s.archive is not None]
    entries = _import(steps, {}, root, cache, archives, progress, timings)
    essential = install.essential_closure(plan, entries)
    wants = {k: Want.BOTH for k in essential if not entries[k].is_fast}
    order = [o.key for o in plan.order if o.verb is Verb.UNPACK]
    while True:
        if wants:
            again = [s for s in steps if s.package.key in wants]
            entries |= _import(again, wants, root, cache, archives, progress, timings)
        choice = lay.choose([entries[k] for k in order], lower=[], bootstrap=essential)
        wants = dict.fromkeys(lay.without_archive(choice, entries), Want.BOTH)
        if not wants:
            return entries


def _import(
    steps: Sequence[Step],
    wants: Mapping[str, Want],
    root: AptRoot,
    cache: PackageCache,
    archives: Path,
    progress: Progress,
    timings: Timings,
) -> dict[str, Entry]:
    by_sha = {s.archive.sha256: wants.get(s.package.key, Want.AUTO) for s in steps if s.archive}
    missing = cache.missing(steps, wants=by_sha)
    with timings.phase("download"):
        files = fetch.fetch(root, [s.archive for s in missing if s.archive], archives, progress)
    requests = [
        Request(
            files.get(s.archive.sha256, Path("/nonexistent")), s.archive.sha256, s.package,
            want=by_sha[s.archive.sha256], source_id=s.archive.source_id,
        )
        for s in steps
        if s.archive
    ]  # fmt: skip
    with timings.phase("import"):
        found = cache.ensure(requests, progress=progress)
    return {s.package.key: found[s.archive.sha256] for s in steps if s.archive}


@contextmanager
def assembled(
    repo: Repo,
    treefile: Treefile,
    plan: Plan,
    entries: Mapping[str, Entry],
    cache: PackageCache,
    *,
    epoch: int,
    sources: Sequence[Source],
    progress: Progress,
    timings: Timings,
) -> Iterator[Assembly]:
    """Install the plan into an empty tree.  `epoch` is SOURCE_DATE_EPOCH of all scripts,
    `sources` are the apt sources that the tree will have.

    Needs a private mount namespace (`system.mount.enter_private_namespace`).
    """
    with workspace.create(repo.path) as space:
        skeleton = space.directory / "skeleton"
        skeleton.mkdir()
        layout.create(skeleton, layout_of(treefile), arch=treefile.basearch)
        layout.create_database(skeleton, (treefile.basearch, *treefile.architectures))
        content.write_trim(skeleton, treefile)
        order = [entries[o.key] for o in plan.order if o.verb is Verb.UNPACK]
        with timings.phase("lay"):
            choice = lay.choose(
                order, lower=[skeleton], bootstrap=install.essential_closure(plan, entries)
            )
            packages = space.directory / "packages"
            lay.checkout(repo, choice, packages)
        archives = space.directory / "debs"
        archives.mkdir()
        with ExitStack() as mounts:
            root = mounts.enter_context(space.mounted([packages, skeleton], binds=var.BINDS))
            varseed.seed(root)
            box = mounts.enter_context(target_root(root, source_date_epoch=epoch))
            job = install.Job(plan, entries, choice, cache, archives, debconf=treefile.debconf)
            install.run(root, job, box=box, progress=progress, timings=timings)
            content.write_apt_sources(root, sources)
            write_epoch(root, epoch)
            yield Assembly(space, skeleton, root, box, choice, mounts.close)


def layout_of(treefile: Treefile) -> layout.Layout:
    return layout.Layout(treefile.opt_usrlocal, tmp_is_dir=treefile.tmp_is_dir)


def package_cache(repo: Repo, treefile: Treefile) -> PackageCache:
    return PackageCache(repo, policy=policy_of(treefile))

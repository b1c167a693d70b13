"""`compose extensions`: packages that fit a base exactly, gathered to be served beside it.

The packages of the base are locked for the solver, so that everything in the directory can be
layered on that commit.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apt_ostree.apt import dpkgdb, fetch, refresh, solve
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import SolveRequest
from apt_ostree.assemble import layout
from apt_ostree.compose import plan as plans
from apt_ostree.compose import treefiles
from apt_ostree.compose.tree import DEFAULT_CACHE, touch
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import Composed, ExtensionsRequest
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import PlanWatcher, Progress, Timings, task
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import fs, lock
from apt_ostree.treefile import extensions
from apt_ostree.treefile.extensions import Extension
from apt_ostree.treefile.schema import Treefile

LISTING = "extensions.json"
STATE = ".apt-ostree-state-chksum"


@dataclass(frozen=True, slots=True)
class Base:
    """The packages that extensions must fit; `status` is dpkg's file, `checksum` None for a plain
    root."""

    status: Path
    packages: tuple[Package, ...]
    checksum: str | None = None


def run(request: ExtensionsRequest, progress: Progress) -> Composed:
    """Fill `output_dir`; `changed` is False when it holds the same packages already.

    Raises TreefileError with the line of an extension that cannot be had.
    """
    timings = Timings()
    treefile = treefiles.load(request.treefile, progress)
    wanted = extensions.load(request.extensions)
    chosen = wanted.for_arch(treefile.basearch)
    cachedir = request.cachedir or DEFAULT_CACHE
    with _base(request, treefile, progress) as base:
        requests = _requests(chosen, base.packages)
        with lock.exclusive(cachedir / "lock", what=f"the compose cache {cachedir}"):
            root = _apt_root(treefile, wanted.repos, base, cachedir)
            with timings.phase("refresh"):
                refresh.refresh(root, progress)
            with timings.phase("solve"):
                plan = solve.solve(
                    root,
                    SolveRequest(install=requests, lock_installed=True, base=base.checksum,
                                 exclude=treefile.exclude_packages),
                    progress,
                )  # fmt: skip
            plan = replace(plan, inputs=(("extensions", json.dumps(_listing(chosen))),))
            if isinstance(progress, PlanWatcher):
                progress.plan_ready(plan)
            if _is_there(request.output_dir, plan):
                progress.message("No change.")
                return Composed(changed=False, plan=plan, timings=timings.seconds)
            if not request.dry_run:
                with timings.phase("download"):
                    _gather(root, plan, cachedir / "archives", request.output_dir, progress)
                _finish(request.output_dir, chosen, plan)
    touch(request.touch_if_changed)
    return Composed(changed=True, plan=plan, timings=timings.seconds)


def _apt_root(treefile: Treefile, repos: tuple[str, ...], base: Base, cachedir: Path) -> AptRoot:
    """apt's view of the base, with the sources of the treefile and of the extensions."""
    root = plans.apt_root(treefile, plans.Origin(cachedir))
    more = plans.apt_sources(replace(treefile, repos=repos), Path("/")) if repos else ()
    known = {s.id: s for s in (*(root.sources or ()), *more)}
    return replace(root, sources=tuple(known.values()), status=base.status)


@contextmanager
def _base(request: ExtensionsRequest, treefile: Treefile, progress: Progress) -> Iterator[Base]:
    if request.rootfs is not None:
        admindir = request.rootfs / layout.DPKG
        if not (admindir / "status").is_file():
            raise AptOstreeError(f"'{request.rootfs}' has no package database at /{layout.DPKG}")
        yield Base(admindir / "status", dpkgdb.packages(admindir))
        return
    rev = request.base_rev or treefile.ref
    if rev is None:
        raise AptOstreeError("--base-rev not specified and treefile doesn't have a ref")
    assert request.repo is not None
    repo = Repo.open(request.repo)
    checksum = repo.resolve(rev)
    with task(progress, f"Checking out {checksum[:7]}", "done!"):
        # Only the database is looked at.
        status = repo.read_file(checksum, f"{layout.DPKG}/status")
    if status is None:
        raise AptOstreeError(
            f"commit {checksum[:10]} has no package database at /{layout.DPKG}",
            hint="was it composed by apt-ostree?",
        )
    with tempfile.TemporaryDirectory(prefix="apt-ostree-extensions-") as folder:
        path = Path(folder) / "status"
        path.write_bytes(status)
        yield Base(path, dpkgdb.packages(Path(folder)), checksum)


def _requests(chosen: Sequence[Extension], packages: Sequence[Package]) -> tuple[str, ...]:
    versions = {p.name: p.version for p in packages}
    found = [r for extension in chosen for r in extension.requests(versions)]
    if not found:
        raise AptOstreeError(
            "No packages in transaction", hint="is there an extension for this architecture?"
        )
    return tuple(dict.fromkeys(found))


def _listing(chosen: Sequence[Extension]) -> dict[str, Any]:
    """What `extensions.json` says: the extensions of this architecture, as they were written."""
    return {
        e.name: {
            "packages": sorted(e.packages), "repos": list(e.repos),
            "architectures": list(e.architectures), "match-base-evr": e.match_base_evr,
            "kind": e.kind,
        }
        for e in chosen
    }  # fmt: skip


def _is_there(output: Path, plan: Plan) -> bool:
    state = output / STATE
    if not state.is_file() or state.read_text().strip() != plan.digest:
        return False
    return all((output / _file_name(s.package)).is_file() for s in plan.steps)


def _file_name(package: Package) -> str:
    """`NAME_VERSION_ARCH.deb` without the epoch, as dpkg-deb --build names a file."""
    _, _, version = package.version.rpartition(":")
    return f"{package.name}_{version}_{package.arch}.deb"


def _gather(root: AptRoot, plan: Plan, archives: Path, output: Path, progress: Progress) -> None:
    steps = [s for s in plan.steps if s.archive is not None]
    found = fetch.fetch(root, [s.archive for s in steps if s.archive], archives, progress)
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.deb"):
        old.unlink()
    for step in steps:
        assert step.archive is not None
        target = output / _file_name(step.package)
        fs.write_atomic(target, found[step.archive.sha256].read_bytes(), mode=0o644)


def _finish(output: Path, chosen: Sequence[Extension], plan: Plan) -> None:
    """The state is written last: an interrupted run is repeated."""
    text = json.dumps({"extensions": _listing(chosen)}, indent=2) + "\n"
    fs.write_atomic(output / LISTING, text.encode())
    fs.write_atomic(output / STATE, f"{plan.digest}\n".encode())

"""Make the plan of a tree from nothing: a treefile's packages from its sources."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree.apt import solve, sources, suites
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import CachedDeb, Pin, SolveRequest
from apt_ostree.apt.sources import Source
from apt_ostree.assemble.placement import Policy
from apt_ostree.errors import AptOstreeError, SolveError, TreefileError
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import Progress
from apt_ostree.treefile import inputs as treefile_inputs
from apt_ostree.treefile import sources as treefile_sources
from apt_ostree.treefile.lock import Lockfile
from apt_ostree.treefile.schema import Treefile

# Set in the environment, dpkg unpacks every package: slower, and must give the identical tree.
DPKG_ONLY = "APTOSTREE_DPKG_ONLY"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where packages come from: `cache` keeps lists and downloads between composes,
    `source_root` is the root whose apt configuration serves a treefile without `repos`."""

    cache: Path
    source_root: Path = Path("/")
    proxy: str | None = None


def policy_of(treefile: Treefile) -> Policy:
    """How the treefile wants packages to be laid out."""
    return Policy(
        documentation=treefile.documentation,
        install_langs=treefile.install_langs or None,
        opt=treefile.opt_usrlocal,  # type: ignore[arg-type]  # the parser allows only these
        readonly_executables=treefile.readonly_executables,
        dpkg_only=DPKG_ONLY in os.environ,
    )


def apt_sources(treefile: Treefile, source_root: Path) -> tuple[Source, ...]:
    """The sources of a tree: the files that `repos` names, else the distribution's own of
    `source_root`, read for `releasever`.

    Raises AptOstreeError when nothing serves, TreefileError for a missing file.
    """
    files = treefile_sources.find(treefile)
    parsed = [s for f in files for s in sources.parse(f.text, str(f.path))]
    named = {*(treefile.repos or ()), *treefile.lockfile_repos}
    found = tuple(s for s in parsed if s.id in named or s.id.partition(":")[0] in named)
    return found if treefile.repos is not None else (*_host_sources(treefile, source_root), *found)


def tree_sources(treefile: Treefile, root: AptRoot) -> tuple[Source, ...]:
    """The sources that a tree carries: what it was made from, but for the lockfile's."""
    locked = locked_sources(treefile)
    return tuple(s for s in root.sources or () if not {s.id, s.id.partition(":")[0]} & set(locked))


def locked_sources(treefile: Treefile) -> tuple[str, ...]:
    return tuple(n for n in treefile.lockfile_repos if n not in (treefile.repos or ()))


def _host_sources(treefile: Treefile, source_root: Path) -> tuple[Source, ...]:
    etc = source_root / "etc/apt"
    codename = _codename(source_root)
    host = sources.load(etc)
    if treefile.releasever is not None:
        return suites.for_release(host, str(treefile.releasever), codename=codename)
    return suites.distribution(host, codename)


def _codename(root: Path) -> str | None:
    for name in ("etc/os-release", "usr/lib/os-release"):
        path = root / name
        if path.is_file():
            for line in path.read_text().splitlines():
                key, _, value = line.partition("=")
                if key == "VERSION_CODENAME":
                    return value.strip("'\"")
    return None


def apt_root(treefile: Treefile, origin: Origin) -> AptRoot:
    """apt's view of an empty system that may install from the treefile's sources."""
    release = str(treefile.releasever or "host")
    place = origin.cache / "apt" / f"{release}-{treefile.basearch}"
    return AptRoot(
        lists=place / "lists",
        archives=origin.cache / "archives",
        arch=treefile.basearch,
        etc=origin.source_root / "etc/apt",
        preferences=False,
        cache=place,
        sources=apt_sources(treefile, origin.source_root),
        foreign=treefile.architectures,
        recommends=treefile.recommends,
        proxy=origin.proxy,
        prefix=None,
    )


def make(
    treefile: Treefile,
    root: AptRoot,
    *,
    lockfile: Lockfile | None,
    strict: bool,
    cached: tuple[CachedDeb, ...] | None,
    progress: Progress,
) -> Plan:
    """Solve the treefile's packages with the Essential set on an empty system."""
    if not treefile.packages:
        raise AptOstreeError(
            "No packages in transaction", hint="list what the tree needs under 'packages'"
        )
    both = sorted(set(treefile.packages) & set(treefile.exclude_packages))
    if both:
        raise TreefileError(
            f"'{both[0]}' is among 'packages' too", where=treefile.where_of("exclude-packages"),
            hint="take it out of one of them",
        )  # fmt: skip
    pins = {} if lockfile is None else {k: Pin(v, s) for k, (v, s) in lockfile.pins().items()}
    request = SolveRequest(
        install=treefile.packages,
        essential=True,
        exclude=treefile.exclude_packages,
        repo_packages=tuple((r.repo, r.packages) for r in treefile.repo_packages),
        pins=pins,
        strict=strict,
        locked_sources=locked_sources(treefile),
        cached=cached,
    )
    try:
        plan = solve.solve(root, request, progress)
    except SolveError as err:
        err.details = (*err.details, f"'packages' is at {treefile.where_of('packages')}")
        if err.hint is not None and err.hint.startswith("apt-ostree refresh-md"):
            err.hint = "is the source that has it among 'repos'?"
        raise
    inputs = (
        ("policy", policy_of(treefile).key),
        ("sources", "".join(s.stanza() for s in tree_sources(treefile, root))),
        ("treefile", treefile_inputs.digest(treefile)),
    )
    return replace(plan, inputs=inputs)

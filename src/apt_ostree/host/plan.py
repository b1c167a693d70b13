"""Make the plan of a layered tree: the base, the requests of an origin, and apt's metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from apt_ostree.apt import solve
from apt_ostree.apt.dpkgdb import Database
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import Asked, CachedDeb, LocalDeb, SolveRequest
from apt_ostree.assemble import local_files
from apt_ostree.assemble.package_cache import PackageCache
from apt_ostree.errors import AptOstreeError
from apt_ostree.host.target import Target
from apt_ostree.model.change import Change, Options
from apt_ostree.model.origin import LocalPackage, Origin
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.repo import Repo


@dataclass(frozen=True, slots=True)
class Request:
    """What a plan is made from.  `files` are local packages given now, by SHA-256; others that the
    origin names were kept in the repository.  `asked` is what the change adds."""

    origin: Origin
    base: str
    files: Mapping[str, LocalDeb]
    options: Options
    asked: Asked = field(default_factory=Asked)


def native_arch(database: Database) -> str:
    """The architecture of a tree: what its dpkg says, else that of its dpkg package."""
    if database.arches:
        return database.arches[0]
    for package in database.packages:
        if package.name == "dpkg":
            return package.arch
    raise AptOstreeError("cannot tell the architecture of the base: it has no dpkg")


def apt_root(
    target: Target,
    database: Database,
    *,
    etc: Path,
    prefix: Path,
    options: Options,
    origin: Origin,
    recommends: bool,
) -> AptRoot:
    """apt's view of the target: base packages, the machine's sources and pins, own lists.

    `etc` is the apt configuration that counts, `prefix` the root its key paths refer to.  A dry
    run keeps apt's binary caches out, since they would be written.
    """
    arch = native_arch(database)
    foreign = [a for a in database.arches if a != arch]
    foreign += [a for a in origin.architectures if a not in foreign and a != arch]
    return AptRoot(
        lists=target.cache / "lists",
        archives=target.cache / "archives",
        arch=arch,
        etc=etc,
        status=database.admindir / "status",
        cache=None if options.dry_run else target.cache / "apt",
        foreign=tuple(foreign),
        recommends=recommends,
        prefix=prefix,
        release=options.release,
    )


def without_packages(origin: Origin, base: str) -> Plan:
    """The plan of an origin that asks for no package: only the base and how it boots."""
    return Plan(base=base, inputs=_inputs(origin) if origin.may_assemble else ())


def make(
    root: AptRoot, request: Request, repo: Repo, cache: PackageCache, progress: Progress
) -> Plan:
    """Solve the whole origin at once.

    Raises SolveError with the explanation, AptOstreeError for requests that must be refused.
    """
    origin = request.origin
    plan = solve.solve(
        root,
        SolveRequest(
            install=origin.requested,
            local=tuple(
                _local(p, request.files, repo) for p in (*origin.local, *origin.local_fileoverride)
            ),
            lock_installed=True,
            override_remove=origin.override_remove,
            override_replace=tuple(_local(p, request.files, repo) for p in origin.override_local),
            override_replace_from=tuple((r.source, r.packages) for r in origin.override_remote),
            allow_inactive=True,
            cached=_cached(cache) if request.options.cache_only else None,
            base=request.base,
            asked=request.asked,
        ),
        progress,
    )
    return replace(plan, base=request.base, inputs=_inputs(origin))


def _inputs(origin: Origin) -> tuple[tuple[str, str], ...]:
    """What besides packages decides the tree."""
    values = {
        "architectures": ",".join(origin.architectures),
        "debconf": "\n".join(origin.debconf),
        "initramfs": f"{origin.regenerate_initramfs} {' '.join(origin.initramfs_args)}",
        "cliwrap": str(origin.cliwrap),
        "fileoverride": ",".join(sorted(map(str, origin.local_fileoverride))),
    }
    return tuple(sorted((k, hashlib.sha256(v.encode()).hexdigest()) for k, v in values.items()))


def _local(package: LocalPackage, files: Mapping[str, LocalDeb], repo: Repo) -> LocalDeb:
    if package.sha256 in files:
        return files[package.sha256]
    kept = local_files.find(repo, package.sha256)
    if kept is None:
        raise AptOstreeError(
            f"the file of local package {package.nevra} is not in the repository any more",
            hint="apt-ostree reset --overlays --overrides drops what needs it",
        )
    return LocalDeb(kept.path, package.sha256, kept.size_bytes, kept.control)


def asked(change: Change, files: Mapping[Path, LocalPackage]) -> Asked:
    """A change as the solver's explanations refer to it."""
    moves = change.pull_base or change.refspec is not None or change.revision is not None
    command = ""
    if moves and change.refspec is not None:
        command = f"rebase {change.refspec}"
    elif moves and change.revision is not None:
        command = f"deploy {change.revision}"
    elif moves:
        command = "upgrade"

    def checksums(paths: tuple[Path, ...]) -> tuple[str, ...]:
        return tuple(files[p].sha256 for p in paths)

    return Asked(
        command=command,
        install=change.install,
        local=checksums((*change.install_local, *change.install_fileoverride_local)),
        uninstall=change.uninstall,
        remove=change.override_remove,
        replace=checksums(change.override_replace_local),
        replace_from=change.override_replace_from,
        reset=change.override_reset,
    )


def _cached(cache: PackageCache) -> tuple[CachedDeb, ...]:
    """With their control stanzas: the sources may offer other versions by now, or be gone."""
    return tuple(
        CachedDeb(
            e.package.name, e.package.arch, e.package.version, e.sha256,
            control=e.control, size_bytes=e.size_bytes, source_id=e.source_id,
        )
        for e in cache.entries()
    )  # fmt: skip

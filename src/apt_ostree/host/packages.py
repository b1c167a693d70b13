"""The packages of a deployment, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from apt_ostree.apt import dpkgdb, query
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import aptconf, machine, metadata, target
from apt_ostree.insight import pkglist, selection
from apt_ostree.model import origin as origins
from apt_ostree.model.change import Options
from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.sysroot import Deployment, Sysroot

Json = dict[str, Any]
KINDS = ("all", "layered", "base", "upgradable")
DATABASE = "usr/lib/sysimage/dpkg"
# Origin of a package -> the list that shows it.  An override stands where the base's stood.
_LIST_OF = {"base": "base", "override": "base", "layered": "layered", "local": "layered"}


def list(
    sysroot_path: Path,
    stateroot: str | None,
    patterns: Sequence[str],
    *,
    which: str = "all",
    deployment: str | None = None,
    progress: Progress,
) -> Sequence[Json]:
    """{name, arch, version, origin, candidate} of each package, sorted by name.

    `origin` is base, override (another version than the base's), layered or local; `candidate`
    None unless `which` is upgradable, which needs the metadata of an earlier refresh.  `patterns`
    are globs on names.  Raises AptOstreeError when a pattern without a wildcard matches nothing.
    """
    if which not in KINDS:
        raise AptOstreeError(f"unknown list '{which}'", hint=f"one of {', '.join(KINDS)}")
    sysroot = Sysroot.open(sysroot_path)
    chosen = selection.choose(sysroot, stateroot, deployment)
    packages = pkglist.of_commit(sysroot.repo, chosen.checksum)
    _check(packages, patterns)
    from_where = _origins(sysroot, chosen, packages)
    candidates: Mapping[str, str] = {}
    if which == "upgradable":
        candidates = _candidates(sysroot, chosen, progress)
    return [
        {**p.as_dict(), "origin": from_where[p], "candidate": candidates.get(p.key)}
        for p in packages
        if _fits(p, patterns) and (which in ("all", _LIST_OF[from_where[p]]) or p.key in candidates)
    ]


def _fits(package: Package, patterns: Sequence[str]) -> bool:
    return not patterns or any(
        fnmatchcase(package.key if ":" in p else package.name, p) for p in patterns
    )


def _check(packages: Sequence[Package], patterns: Sequence[str]) -> None:
    missing = [
        p
        for p in patterns
        if not any(c in p for c in "*?[") and not any(_fits(package, [p]) for package in packages)
    ]
    if missing:
        raise AptOstreeError(
            f"Packages not found: {', '.join(missing)}", hint=f"apt-ostree search {missing[0]}"
        )


def _origins(
    sysroot: Sysroot, deployment: Deployment, packages: Sequence[Package]
) -> dict[Package, str]:
    checksum = selection.base_of(sysroot.repo, deployment)
    if checksum is None:
        return dict.fromkeys(packages, "base")
    base = {p.key: p for p in pkglist.of_commit(sysroot.repo, checksum)}
    local = {p.nevra for p in _origin(deployment).all_local}
    return {p: _origin_of(p, base, local) for p in packages}


def _origin_of(package: Package, base: Mapping[str, Package], local: set[str]) -> str:
    if base.get(package.key) == package:
        return "base"
    if package.key in base:
        return "override"
    return "local" if package.nevra in local else "layered"


def _origin(deployment: Deployment) -> Origin:
    if not deployment.origin.strip():
        return Origin()
    return origins.parse(deployment.origin, source=f"the origin of {deployment.id}")


def _candidates(sysroot: Sysroot, deployment: Deployment, progress: Progress) -> dict[str, str]:
    """Newer versions that the machine's sources offer, by `name:arch`; nothing is fetched."""
    where = target.find(sysroot, deployment.osname)
    database = dpkgdb.load(deployment.directory / DATABASE)
    with aptconf.scratch() as scratch:
        root = machine.apt_root(
            where, database, where.origin, where.base_checksum, Options(dry_run=True),
            scratch=scratch,
        )  # fmt: skip
        if metadata.age_s(root) is None:
            raise AptOstreeError("there is no package metadata yet", hint="apt-ostree refresh-md")
        return {o.package.key: o.package.version for o in query.candidates(root, progress)}

"""The .deb files that a command names: read, identified, and ready for solver and cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.apt.deb import Deb, sha256_of
from apt_ostree.apt.solve import LocalDeb
from apt_ostree.assemble import local_files
from apt_ostree.errors import PackageError
from apt_ostree.model.change import Change
from apt_ostree.model.origin import LocalPackage, Origin
from apt_ostree.model.package import Package
from apt_ostree.ostree.repo import Repo


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file: `deb` is what the solver needs, `name` what the origin records."""

    package: Package
    deb: LocalDeb

    @property
    def name(self) -> LocalPackage:
        return LocalPackage(self.deb.sha256, self.package.nevra)


def read(change: Change) -> dict[Path, LocalFile]:
    """Every local file of a change.  Raises PackageError for what is no package."""
    return {path: _read(path) for path in _paths(change)}


def _paths(change: Change) -> Iterable[Path]:
    return dict.fromkeys(
        (
            *change.install_local,
            *change.install_fileoverride_local,
            *change.override_replace_local,
        )
    )


def _read(path: Path) -> LocalFile:
    if not path.is_file():
        raise PackageError(f"'{path}' is not a file", hint="name a .deb file, or a package")
    deb = Deb.open(path)
    local = LocalDeb(path.absolute(), sha256_of(path), path.stat().st_size, deb.control)
    return LocalFile(deb.package, local)


def keep(repo: Repo, files: Mapping[Path, LocalFile]) -> None:
    """Copy the files into the repository: nobody can be asked for them again."""
    local_files.keep(
        repo, {f.deb.sha256: (f.deb.path, f.package, f.deb.control) for f in files.values()}
    )


def names(repo: Repo, origin: Origin) -> dict[str, str]:
    """The package names of an origin's local packages by SHA-256, as far as the files are kept."""
    kept = {p.sha256: local_files.find(repo, p.sha256) for p in origin.all_local}
    return {sha256: file.package.name for sha256, file in kept.items() if file is not None}


def by_checksum(files: Mapping[Path, LocalFile]) -> dict[str, LocalDeb]:
    return {f.deb.sha256: f.deb for f in files.values()}

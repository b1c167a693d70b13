"""libapt's cache of one root, and the few questions the jobs ask about a version."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import apt_pkg

from apt_ostree.apt.engine.indexes import prefixes
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import CachedDeb
from apt_ostree.apt.sources import Source
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Archive

LOCAL = "@local"
# The URI of the source that stands for local .debs (engine/local.py); never fetched.
LOCAL_URI = "file:/apt-ostree-local"
LOCAL_PREFIX = "_apt-ostree-local_"


class View:
    """An opened cache; `local` maps SHA-256 to the path of a local .deb, `cached` to a package
    that was fetched before."""

    def __init__(
        self,
        root: AptRoot,
        local: dict[str, str] | None = None,
        cached: Mapping[str, CachedDeb] | None = None,
    ) -> None:
        self.root = root
        self.cache = apt_pkg.Cache(None)
        self.records = apt_pkg.PackageRecords(self.cache)
        self._local = local or {}
        self.cached = cached or {}
        self._prefixes = [
            (prefix, number, source)
            for number, source in enumerate(root.sources or ())
            for prefix in prefixes(source, root.arch)
        ]
        self._of_file: dict[int, tuple[int, Source] | None] = {}
        self.depcache = apt_pkg.DepCache(self.cache)  # libapt has one per cache
        self._is_marked = False

    def reset(self) -> None:
        """Make `depcache` fit for marking: a fresh one is, for a used one it costs 0.15 s."""
        if self._is_marked:
            self.depcache.init()
        self._is_marked = True

    @cached_property
    def source_list(self) -> apt_pkg.SourceList:
        found = apt_pkg.SourceList()
        found.read_main_list()
        return found

    @cached_property
    def installed(self) -> tuple[apt_pkg.Package, ...]:
        return tuple(p for p in self.cache.packages if p.current_ver)

    def package(self, name: str, arch: str | None = None) -> apt_pkg.Package | None:
        """The package called `name`; of the root's own architecture when none is given."""
        key = (name, arch or self.root.arch)
        return self.cache[key] if key in self.cache else None  # noqa: SIM401 - has no get()

    def source_of(self, file: apt_pkg.PackageFile) -> tuple[int, Source] | None:
        """The source (and its rank) that an index file belongs to; None for the status file."""
        if file.id not in self._of_file:
            base = os.path.basename(file.filename)
            self._of_file[file.id] = next(
                ((n, s) for prefix, n, s in self._prefixes if base.startswith(prefix)), None
            )
        return self._of_file[file.id]

    def files(
        self, version: apt_pkg.Version
    ) -> Iterator[tuple[int, Source, tuple[apt_pkg.PackageFile, int]]]:
        """Where `version` can be had: rank, source, and the record's place."""
        for file, index in version.file_list:
            found = self.source_of(file)
            if found is not None:
                yield (*found, (file, index))

    def is_from(self, version: apt_pkg.Version, source_id: str) -> bool:
        return any(s.id == source_id for _, s, _ in self.files(version))

    def is_local(self, version: apt_pkg.Version) -> bool:
        return any(_is_local_file(file) for file, _ in version.file_list)

    def sha256(self, version: apt_pkg.Version) -> str:
        """The SHA-256 of the version's .deb, empty when no index has it."""
        if self._look_up(version) is None:
            return ""
        return self.records.sha256_hash.lower()

    def archive(self, version: apt_pkg.Version) -> Archive:
        """Where the bytes of `version` come from; the first source in order wins."""
        place = self._look_up(version)
        if place is None:
            raise AptOstreeError(f"no source offers {nevra(version)}")
        file, source = place
        sha256 = self.records.sha256_hash.lower()
        if len(sha256) != 64:
            raise AptOstreeError(
                f"apt source '{source.id if source else LOCAL}' has no SHA256 for {nevra(version)}",
                hint="a source without strong hashes cannot be used",
            )
        if source is None and sha256 in self._local:
            return Archive(sha256, version.size, LOCAL, path=self._local[sha256])
        if source is None:
            return Archive(sha256, version.size, self.cached[sha256].source_id or LOCAL)
        index = self.source_list.find_index(file)
        uri = index.archive_uri(self.records.filename) if index else ""
        return Archive(sha256, version.size, source.id, uri=uri, suite=source.suite)

    def source_package(self, version: apt_pkg.Version) -> str:
        if self._look_up(version) is None:
            self.records.lookup(version.file_list[0])
        return self.records.source_pkg or version.parent_pkg.name

    def _look_up(
        self, version: apt_pkg.Version
    ) -> tuple[apt_pkg.PackageFile, Source | None] | None:
        for place in version.file_list:
            if _is_local_file(place[0]):
                self.records.lookup(place)
                return place[0], None
        best = min(self.files(version), key=lambda f: f[0], default=None)
        if best is None:
            return None
        self.records.lookup(best[2])
        return best[2][0], best[1]


def _is_local_file(file: apt_pkg.PackageFile) -> bool:
    return os.path.basename(file.filename).startswith(LOCAL_PREFIX)


def is_protected(package: Any) -> bool:
    """Whether dpkg refuses to remove `package` (python-apt's stubs lack `important`)."""
    return bool(package.essential or package.important)


def package_of(version: apt_pkg.Version) -> Package:
    return Package(version.parent_pkg.name, version.arch, version.ver_str)


def nevra(version: apt_pkg.Version) -> str:
    return package_of(version).nevra

"""The packages that a repository has imported, found by name and checked by content.

A cached package serves only when its .deb had the wanted SHA-256, it was imported by this version
of the importer, under the same policy, and has the forms that are needed; a repository that
publishes other content under the same version is noticed so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.assemble import refs
from apt_ostree.assemble.entry import ARCHIVE_NAME, IMPORTER_VERSION, Entry, Form
from apt_ostree.assemble.importer import Imported, Want, write_package
from apt_ostree.assemble.placement import Policy
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Step
from apt_ostree.model.progress import Progress, Silent
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import failpoint

TASK = "Importing packages"


@dataclass(frozen=True, slots=True)
class Request:
    """A .deb on disk that shall be in the cache; `package` is what it must turn out to be."""

    path: Path
    sha256: str
    package: Package
    want: Want = Want.AUTO
    source_id: str = ""


class PackageCache:
    """Packages below `aptostree/pkg/` in `repo`, as `policy` wants them."""

    def __init__(self, repo: Repo, *, policy: Policy | None = None) -> None:
        self._repo = repo
        self._policy = policy or Policy()
        self._entries: dict[str, Entry | None] = {}  # by commit checksum

    # -- looking

    def entry(self, package: Package) -> Entry | None:
        """What is cached under the package's name and version, whatever its content."""
        checksum = self._repo.lookup(refs.ref_of(package))
        return None if checksum is None else self._load(checksum)

    def _load(self, checksum: str) -> Entry | None:
        if checksum not in self._entries:
            entry = Entry.of(self._repo.commit(checksum))
            usable = entry is not None and entry.importer_version == IMPORTER_VERSION
            self._entries[checksum] = entry if usable else None
        return self._entries[checksum]

    def hit(self, package: Package, sha256: str, *, want: Want = Want.AUTO) -> Entry | None:
        """The entry when it serves for exactly this file in these forms."""
        entry = self.entry(package)
        if entry is None or entry.sha256 != sha256 or entry.trim != self._policy.key:
            return None
        return entry if want.forms(is_fast=entry.is_fast) <= entry.forms else None

    def missing(
        self, steps: Iterable[Step], *, wants: Mapping[str, Want] | None = None
    ) -> tuple[Step, ...]:
        """The steps whose archive must be at hand to be imported; `wants` is by SHA-256."""
        return tuple(
            step
            for step in steps
            if step.archive is not None
            and self.hit(
                step.package,
                step.archive.sha256,
                want=(wants or {}).get(step.archive.sha256, Want.AUTO),
            )
            is None
        )

    def entries(self) -> tuple[Entry, ...]:
        """Everything that serves under this policy.  Cost: reads every cached commit."""
        found = (self._load(checksum) for checksum in self.refs().values())
        return tuple(e for e in found if e is not None and e.trim == self._policy.key)

    def refs(self) -> dict[str, str]:
        """Ref -> commit of every cached package (`refs.package_of` names them)."""
        return self._repo.refs(refs.PREFIX)

    # -- changing

    def ensure(
        self,
        requests: Sequence[Request],
        *,
        progress: Progress | None = None,
        consume: bool = False,
    ) -> dict[str, Entry]:
        """Import what is not there yet; returns the entries by SHA-256.

        All new commits and refs appear together in one transaction.  With `consume` the files are
        deleted once that is done.  Raises PackageError when a file is unusable or holds another
        package than its request says; then nothing was changed.
        """
        found: dict[str, Entry] = {}
        work: dict[str, Request] = {}
        for request in requests:
            entry = self.hit(request.package, request.sha256, want=request.want)
            if entry is None:
                work.setdefault(request.sha256, request)
            else:
                found[request.sha256] = entry
        if work:
            for sha256, checksum in self._import(tuple(work.values()), progress or Silent()):
                entry = self._load(checksum)
                assert entry is not None
                found[sha256] = entry
        if consume:
            for request in requests:
                with suppress(FileNotFoundError):
                    os.unlink(request.path)
        return found

    def _import(self, requests: Sequence[Request], progress: Progress) -> list[tuple[str, str]]:
        """(SHA-256, commit) of each request, imported in one transaction."""
        done: list[tuple[str, str]] = []
        with self._repo.transaction(), ThreadPoolExecutor(_workers(len(requests))) as pool:
            futures = {
                pool.submit(self._write, request, self._kept(request)): request
                for request in requests
            }
            try:
                for future in as_completed(futures):
                    request, imported = futures[future], future.result()
                    done.append((request.sha256, self._commit(request, imported)))
                    progress.percent(TASK, 100 * len(done) // len(requests))
            except BaseException:
                # What runs must end before the transaction does; start nothing more.
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return done

    def _kept(self, request: Request) -> frozenset[Form]:
        """Forms of an older import of the same file: other deployments may need them."""
        known = self.entry(request.package)
        if known is None or known.sha256 != request.sha256 or known.trim != self._policy.key:
            return frozenset()
        return known.forms

    def _write(self, request: Request, keep: frozenset[Form]) -> Imported:
        return write_package(
            self._repo, request.path, sha256=request.sha256, policy=self._policy,
            want=request.want, keep=keep, source_id=request.source_id,
        )  # fmt: skip

    def _commit(self, request: Request, imported: Imported) -> str:
        if imported.package != request.package:
            raise PackageError(
                f"'{request.path.name}' holds {imported.package.nevra}, not {request.package.nevra}"
            )
        failpoint.reach("import.before-commit")
        checksum = self._repo.write_commit(
            imported.root, timestamp=imported.timestamp, metadata=imported.metadata,
            subject=imported.package.nevra,
        )  # fmt: skip
        failpoint.reach("import.before-ref")
        self._repo.set_ref(refs.ref_of(imported.package), checksum)
        failpoint.reach("import.after-ref")
        return checksum

    def remove(self, names: Iterable[str]) -> int:
        """Drop refs (as `refs()` gives them); pruning frees the space.  Returns how many."""
        present = self.refs()
        gone = sorted(present.keys() & set(names))
        for name in gone:
            self._repo.set_ref(name, None)
        return len(gone)

    # -- using

    def archive_path(self, entry: Entry) -> Path:
        """The cached .deb itself, inside the repository: to be read, never written.

        Only in a bare repository, where a file object is the plain file
        (`ostree_object_to_string`, objects/XX/YY.file).
        """
        if Form.ARCHIVE not in entry.forms:
            raise PackageError(f"package {entry.package.nevra} is not cached as an archive")
        return self._repo.object_path(entry.checksum, ARCHIVE_NAME)


def _workers(count: int) -> int:
    """Decompression runs in children and libostree without the interpreter lock, so one thread
    for each processor keeps them busy; more only made it slower (2 cores: 9.6 s, 3: 12.4 s)."""
    return max(1, min(count, os.cpu_count() or 1))

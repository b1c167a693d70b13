"""The .debs that users gave as files, kept for as long as an origin names them.

    aptostree/local/SHA256 -> a commit with the file as `package.deb`

No apt source can be asked for such a file again, and it is needed long after its import: when the
base changes how packages are laid out, when a request comes back to life, when another package
wants the same path.  The package cache is keyed by name and version, which two files may share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.assemble.entry import ARCHIVE_NAME
from apt_ostree.assemble.sink import sink_into
from apt_ostree.model.package import Package
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree

PREFIX = "aptostree/local"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """`path` is the file inside the repository: to be read, never written."""

    path: Path
    package: Package
    size_bytes: int
    control: str


def ref_of(sha256: str) -> str:
    return f"{PREFIX}/{sha256}"


def keep(repo: Repo, files: Mapping[str, tuple[Path, Package, str]]) -> None:
    """Keep `files`, (path, package, control stanza) by SHA-256, that are not kept yet."""
    new = {k: v for k, v in files.items() if repo.lookup(ref_of(k)) is None}
    if not new:
        return
    with repo.transaction():
        for sha256, (path, package, control) in new.items():
            size = path.stat().st_size
            tree = Tree(repo)
            with sink_into(tree) as sink, path.open("rb") as source:
                sink.file(ARCHIVE_NAME, source, size_bytes=size, mode=0o644)
            checksum = repo.write_commit(
                tree.write(),
                timestamp=0,
                subject=package.nevra,
                metadata={
                    "aptostree.package": ("(sss)", (package.name, package.version, package.arch)),
                    "aptostree.control": control,
                    "aptostree.size": ("t", size),
                },
            )
            repo.set_ref(ref_of(sha256), checksum)


def find(repo: Repo, sha256: str) -> KeptFile | None:
    checksum = repo.lookup(ref_of(sha256))
    if checksum is None:
        return None
    commit = repo.commit(checksum)
    name, version, arch = commit.get("aptostree.package")
    return KeptFile(
        repo.object_path(checksum, ARCHIVE_NAME),
        Package(name, arch, version),
        int(commit.get("aptostree.size")),
        str(commit.get("aptostree.control")),
    )

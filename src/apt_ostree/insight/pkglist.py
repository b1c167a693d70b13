"""The packages of a commit, without checking it out."""

from __future__ import annotations

from typing import Any

from apt_ostree.apt import dpkgdb
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.package import Package
from apt_ostree.ostree.repo import Commit, Repo

KEY = "aptostree.rpmdb.pkglist"
# Where trees keep dpkg's database: ours, and what other builders leave of /var.
DATABASES = ("usr/lib/sysimage/dpkg/status", "var/lib/dpkg/status")


def of_commit(repo: Repo, rev: str) -> tuple[Package, ...]:
    """Sorted.  From the commit's metadata, which is there even when only the commit object was
    pulled, else from the database in its tree.

    Raises AptOstreeError when the commit has neither.
    """
    commit = repo.commit(rev)
    rows = commit.get(KEY)
    if rows is not None:
        return tuple(sorted(_package(row) for row in rows))
    return tuple(sorted(_of_tree(repo, commit)))


def _package(row: Any) -> Package:
    name, epoch, upstream, release, arch = row
    version = f"{upstream}-{release}" if release else upstream
    return Package(name, arch, version if epoch in ("", "0") else f"{epoch}:{version}")


def _of_tree(repo: Repo, commit: Commit) -> list[Package]:
    for path in DATABASES:
        raw = repo.read_file(commit.checksum, path)
        if raw is not None:
            stanzas = dpkgdb.parse_status(
                raw.decode("utf-8", "surrogateescape"), f"{commit.checksum[:10]}:/{path}"
            )
            return [dpkgdb.package_of(s) for s in stanzas if dpkgdb.is_installed(s)]
    raise AptOstreeError(
        "Failed to find any packages in root",
        hint=f"commit {commit.checksum[:10]} has no package list and no dpkg database",
    )

"""The base of a deployment as files: for the solver, and as the lower layer of a build.

A checkout costs half a second, so a tree that lies checked out already serves: a deployment of
exactly that commit, or the one kept from an earlier build.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.dpkgdb import Database
from apt_ostree.assemble.layout import DPKG
from apt_ostree.errors import AptOstreeError
from apt_ostree.host.target import Target
from apt_ostree.ostree.sysroot import Sysroot
from apt_ostree.system import failpoint, fs

KEPT = "ostree/apt-ostree/trees"


def _kept(sysroot: Sysroot, checksum: str) -> Path:
    return sysroot.path / KEPT / checksum


def _lying(sysroot: Sysroot, checksum: str) -> Path | None:
    """A directory that holds exactly this commit, if there is one."""
    for deployment in sysroot.deployments:
        if deployment.checksum == checksum and deployment.unlocked == "none":
            return deployment.directory
    kept = _kept(sysroot, checksum)
    return kept if kept.is_dir() else None


def tree(target: Target, checksum: str) -> Path:
    """The base checked out, to be read only; what had to be made is kept for the next build.

    Needs the sysroot lock.
    """
    sysroot = target.sysroot
    found = _lying(sysroot, checksum)
    if found is not None:
        return found
    kept = _kept(sysroot, checksum)
    parent = kept.parent
    parent.mkdir(parents=True, exist_ok=True)
    os.chmod(parent, 0o700)
    partial = parent / f".{checksum}"
    fs.remove_tree(partial)
    target.repo.checkout(checksum, partial)
    failpoint.reach("base.before-kept")
    os.rename(partial, kept)
    failpoint.reach("base.after-kept")
    return kept


def drop_kept(sysroot: Sysroot, *, but: str | None = None) -> None:
    """Remove the kept checkouts, all or all `but` one."""
    folder = sysroot.path / KEPT
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.name != but:
                fs.remove_tree(entry)


@contextmanager
def database(target: Target, checksum: str) -> Iterator[Database]:
    """The package database of a commit, without checking the commit out.

    Raises AptOstreeError when the commit has none.
    """
    lying = _lying(target.sysroot, checksum)
    if lying is not None:
        yield _usable(lying / DPKG, checksum)
        return
    if not has_database(target, checksum):
        raise _no_database(checksum)
    with fs.scratch_dir("db") as folder:
        target.repo.checkout(checksum, folder / "dpkg", subpath=f"/{DPKG}", copy=True)
        yield _usable(folder / "dpkg", checksum)


def has_database(target: Target, checksum: str) -> bool:
    return "status" in target.repo.list_dir(checksum, DPKG)


def _no_database(checksum: str) -> AptOstreeError:
    return AptOstreeError(
        f"commit {checksum[:10]} has no package database",
        hint=f"packages can be layered on trees that have dpkg's database at /{DPKG}",
    )


def _usable(admindir: Path, checksum: str) -> Database:
    if not (admindir / "status").is_file():
        raise _no_database(checksum)
    return dpkgdb.load(admindir)

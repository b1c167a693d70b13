"""Write the tree of a commit to a directory."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.progress import Progress, task
from apt_ostree.ostree.sysroot import Sysroot
from apt_ostree.system import fs


def run(sysroot_path: Path, rev: str, dest: Path, progress: Progress, *, copy: bool = False) -> str:
    """Check `rev` out to `dest`, which must not exist; returns the commit's checksum.

    Hardlinked files share inodes with the repository and must not be written to; `copy` gives
    files of one's own, on any filesystem.
    """
    repo = Sysroot.open(sysroot_path).repo
    checksum = repo.lookup(rev)
    if checksum is None:
        raise AptOstreeError(
            f"Refspec '{rev}' not found",
            hint=f"ostree refs --repo={repo.path} lists what is there",
        )
    if os.path.lexists(dest):
        raise AptOstreeError(f"Refusing to operate on extant target {dest}")
    if not dest.parent.is_dir():
        raise AptOstreeError(f"'{dest.parent}' is not a directory", hint=f"mkdir -p {dest.parent}")
    if not copy and dest.parent.stat().st_dev != (repo.path / "objects").stat().st_dev:
        raise AptOstreeError(
            f"'{dest}' is on another filesystem than the repository",
            hint="apt-ostree checkout --copy makes files of their own",
        )
    # A name of its own until it is complete: an interrupted checkout must not pass for a tree.
    partial = dest.with_name(f".{dest.name}.partial-{os.getpid()}")
    try:
        with task(progress, f"Checking out {checksum[:10]}"):
            repo.checkout(checksum, partial, copy=copy)
        os.rename(partial, dest)
    except BaseException:
        fs.remove_tree(partial)
        raise
    return checksum

"""The apt configuration of a deployment that is yet to be made.

`/etc` is merged only when a deployment is written, but packages must be solved before, with the
sources that the machine will have: after a rebase to another release those of the new base, unless
the administrator changed them.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apt_ostree.host.target import Target
from apt_ostree.system import fs

ETC = "etc/apt"
# What apt needs of a tree: its configuration, and where Signed-By usually points.
_NEEDED = (f"usr/{ETC}", "usr/share/keyrings")


def effective(where: Target, checksum: str, scratch: Path) -> tuple[Path, Path]:
    """(directory like `/etc/apt`, root that its key paths refer to) for a base.

    Follows the merge of `/etc`: a file that differs from its default is kept, others are the new
    base's.  What must be put together is put below `scratch`, the caller's.
    """
    merge = where.merge
    if merge is not None and where.pending is not None and where.base_checksum == checksum:
        return merge.directory / ETC, merge.directory
    tree = scratch / checksum[:16]
    if not tree.is_dir():
        tree.mkdir()
        for path in _NEEDED:
            if where.repo.list_dir(checksum, path):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                where.repo.checkout(checksum, tree / path, subpath=f"/{path}", copy=True)
    if merge is None:
        return tree / "usr" / ETC, tree
    merged = scratch / "merged"
    old, current = merge.directory / "usr" / ETC, merge.directory / ETC
    _merge(old, current, tree / "usr" / ETC, merged)
    return merged, tree


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for `effective`, outside the sysroot, so that dry runs change nothing there."""
    with fs.scratch_dir("etc") as folder:
        yield folder


def _files(root: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root)
        for name in names
    }


def _merge(old: Path, current: Path, new: Path, result: Path) -> None:
    fs.remove_tree(result)
    result.mkdir(parents=True)
    for name in sorted(_files(current) | _files(new)):
        default, own, fresh = old / name, current / name, new / name
        is_local = own.exists() and not (
            default.exists() and filecmp.cmp(default, own, shallow=False)
        )
        was_deleted = default.exists() and not own.exists()
        source = own if is_local else fresh
        if was_deleted or not source.exists():
            continue
        (result / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, result / name)

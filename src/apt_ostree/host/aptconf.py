"""The apt configuration of a deployment that is yet to be made.

`/etc` is merged only when a deployment is written, but packages must be solved before, with the
sources that the machine will have: after a rebase to another release those of the new base, unless
the administrator changed them.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from apt_ostree.host import base
from apt_ostree.host.target import Target
from apt_ostree.system import fs

_APT = "etc/apt"


def effective(where: Target, checksum: str) -> tuple[Path, Path]:
    """(directory like `/etc/apt`, root that its key paths refer to) for a new base.

    Follows the merge of `/etc`: a file that differs from its default is kept, others are the new
    base's.  Only when both sides differ is a directory made, in the stateroot's cache.
    """
    merge = where.merge
    if merge is None:
        tree = base.tree(where, checksum)
        return tree / "usr" / _APT, tree
    current = merge.directory / _APT
    if where.pending is not None and where.base_checksum == checksum:
        return current, merge.directory
    tree = base.tree(where, checksum)
    merged = where.cache / "etc-apt"
    _merge(merge.directory / "usr" / _APT, current, tree / "usr" / _APT, merged)
    return merged, tree


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

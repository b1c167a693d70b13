"""`compose postprocess`: make a plain root directory ready to be committed."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from apt_ostree.assemble import var, varseed
from apt_ostree.assemble.layout import DPKG
from apt_ostree.compose import build, finish, treefiles
from apt_ostree.compose.finish import Context
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import Composed
from apt_ostree.model.progress import Progress, Timings
from apt_ostree.system import fs, mount
from apt_ostree.treefile import include

BEGUN = f"usr/lib/tmpfiles.d/{varseed.INTEGRATION}"
FINISHED = finish.TREEFILE_COPY  # written last


def run(root: Path, treefile: Path | None, progress: Progress) -> Composed:
    """Finish `root` in place.  A root that was finished already is left as it is."""
    mount.enter_private_namespace()
    timings = Timings()
    if not (root / "usr").is_dir():
        raise AptOstreeError("Missing /usr", hint=f"is {root} a root file system?")
    if (root / FINISHED).exists():
        return Composed(changed=False, root=root)
    if (root / BEGUN).exists():
        raise AptOstreeError(
            f"an earlier postprocess of '{root}' failed half way",
            hint="make the root again with 'apt-ostree compose install'",
        )
    if not (root / DPKG / "status").is_file():
        raise AptOstreeError(
            f"'{root}' has no package database at /{DPKG}",
            hint="make the root with 'apt-ostree compose install'",
        )
    _move_etc(root)
    loaded = (
        treefiles.load(treefile, progress)
        if treefile is not None
        else include.load_text("{}", basearch=treefiles.host_arch())
    )
    epoch = build.read_epoch(root)
    context = Context(
        treefile=loaded, version=None, previous=None,
        epoch=treefiles.timestamp() if epoch is None else epoch,
        cache=None, progress=progress, timings=timings,
    )  # fmt: skip
    with ExitStack() as mounts:
        for inside, shown in var.BINDS:  # as scripts find them in `compose tree`
            (root / inside).mkdir(parents=True, exist_ok=True)
            (root / shown).mkdir(parents=True, exist_ok=True)
            mounts.enter_context(mount.bind(root / inside, root / shown))
        finish.postprocess(root, root, context)
    for entry in (root / "var").iterdir():
        fs.remove_tree(entry)
    return Composed(changed=True, root=root, timings=timings.seconds)


def _move_etc(root: Path) -> None:
    etc, default = root / "etc", root / "usr/etc"
    if etc.is_dir() and not etc.is_symlink():
        if default.is_dir() and any(default.iterdir()):
            raise AptOstreeError("Found both /etc and /usr/etc")
        if default.is_dir():
            default.rmdir()
        os.rename(etc, default)
    if not default.is_dir():
        raise AptOstreeError("Missing usr/etc in rootfs")

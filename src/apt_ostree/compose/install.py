"""`compose install`: the packages of a treefile as a plain directory, `DEST/rootfs`."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.compose import build, finish, layers, tree, treefiles
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import Composed, InstallRequest
from apt_ostree.model.progress import Progress, Timings
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import mount


def run(request: InstallRequest, dest: Path, progress: Progress, *, postprocess: bool) -> Composed:
    """Build the root; with `postprocess` it is finished as `compose tree` would finish it.

    `DEST/rootfs` must not exist.  It is a copy: whatever happens to it cannot reach the cache.
    """
    mount.enter_private_namespace()
    timings = Timings()
    target = dest / "rootfs"
    if target.exists():
        raise AptOstreeError(f"'{target}' exists", hint="name another directory, or remove it")
    treefile = treefiles.load(request.treefile, progress)
    repo = None if request.repo is None else Repo.open(request.repo)
    previous = tree.Previous()
    if repo is not None:
        previous = tree.previous_of(request, treefile, repo, progress)
    with tree.prepared(request, treefile, progress, timings) as work:
        if (done := tree.undone(request, work, previous, progress, timings)) is not None:
            return done
        entries = tree.packages(request, work, progress, timings)
        if entries is None:
            return Composed(changed=False, plan=work.plan, timings=timings.seconds)
        context = tree.context(
            work, entries, version=treefiles.version(treefile, repo, request.previous_version),
            previous=previous.accounts, progress=progress, timings=timings,
        )  # fmt: skip
        with (
            work.repo.transaction(),
            build.assembled(
                work.repo, treefile, work.plan, entries, work.cache, epoch=context.epoch,
                sources=work.sources, progress=progress, timings=timings,
            ) as made,
        ):  # fmt: skip
            layers.unpack(made.root, treefile, request.layer_repo or request.repo, progress)
            if postprocess:
                finish.postprocess(made.root, made.space.upper, context)
            else:
                finish.settle_accounts(made.root, made.space.upper, context)
            with timings.phase("copy"):
                finish.copy_out(made.root, target, is_finished=postprocess)
    tree.touch(request.touch_if_changed)
    return Composed(changed=True, plan=work.plan, root=target, timings=timings.seconds)

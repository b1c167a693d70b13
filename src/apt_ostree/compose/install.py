"""`compose install`: the packages of a treefile as a plain directory, `DEST/rootfs`."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.compose import build, finish, layers, tree
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import Composed, InstallRequest
from apt_ostree.model.progress import Progress, Timings
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
    with tree.prepared(request, progress, timings) as work:
        if request.dry_run:
            return Composed(changed=True, plan=work.plan, timings=timings.seconds)
        cache = build.package_cache(work.repo, work.treefile)
        entries = build.import_packages(
            work.plan, work.root, cache, archives=work.archives, progress=progress, timings=timings
        )
        tree.write_lockfile(request, work)
        version = request.previous_version if postprocess else None
        with (
            work.repo.transaction(),
            build.assembled(
                work.repo, work.treefile, work.plan, entries, cache,
                epoch=build.epoch(entries), progress=progress, timings=timings,
            ) as made,
        ):  # fmt: skip
            layers.unpack(made.root, work.treefile, request.layer_repo or request.repo, progress)
            if postprocess:
                context = tree.context(
                    work, entries, version=version, previous=None, progress=progress,
                    timings=timings,
                )  # fmt: skip
                finish.postprocess(made.root, made.space.upper, context)
            with timings.phase("copy"):
                finish.copy_out(made.root, target, is_finished=postprocess)
    return Composed(changed=True, plan=work.plan, root=target, timings=timings.seconds)

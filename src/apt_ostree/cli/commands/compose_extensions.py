"""apt-ostree compose extensions: packages that fit a base, to be served beside it."""

from __future__ import annotations

from apt_ostree.cli import backend, common, composing, transaction
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError
from apt_ostree.model.compose import ExtensionsRequest

OPTIONS = (
    *composing.UNIFIED,
    *composing.REPO,
    Opt("output-dir", metavar="PATH", help="Path to extensions output directory"),
    Opt("base-rev", metavar="REV", help="Base OSTree revision"),
    Opt("cachedir", metavar="CACHEDIR", help="Cached state"),
    Opt("rootfs", metavar="PATH", help="Path to already present rootfs"),
    Opt("touch-if-changed", metavar="FILE", help="Update the modification time on FILE if new "
        "extensions were downloaded"),
    common.DRY_RUN,
    *common.RESULT,
)  # fmt: skip


def run(args: Args, session: Session) -> int:
    if len(args.rest) != 2:
        raise UsageError("TREEFILE and EXTYAML must be specified")
    output = composing.path_of(args, "output-dir")
    if output is None:
        raise UsageError("--output-dir must be specified")
    repo, rootfs = composing.path_of(args, "repo"), composing.path_of(args, "rootfs")
    if repo is None and rootfs is None:
        raise UsageError("--repo must be specified")
    if repo is not None and rootfs is not None:
        raise UsageError("--repo must not be specified with --rootfs")
    request = ExtensionsRequest(
        treefile=composing.existing(args.rest[0]),
        extensions=composing.existing(args.rest[1]),
        output_dir=output,
        repo=repo,
        layer_repo=composing.path_of(args, "layer-repo"),
        rootfs=rootfs,
        base_rev=args.text("base-rev"),
        cachedir=composing.path_of(args, "cachedir"),
        touch_if_changed=composing.path_of(args, "touch-if-changed"),
        dry_run=args.flag("dry-run"),
    )
    with transaction.reporting(session, args) as progress:
        made = backend.compose_extensions(request, progress)
    return composing.finish(session, args, made)


COMMAND = Command(
    run, usage="TREEFILE EXTYAML", options=OPTIONS, target=Target.LOCAL, needs_root=True
)

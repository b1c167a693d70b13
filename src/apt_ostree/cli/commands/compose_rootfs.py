"""apt-ostree compose rootfs: a treefile becomes a plain root file system."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.cli import backend, common, composing, transaction
from apt_ostree.cli.command import Command, Family, Target
from apt_ostree.cli.options import Args, Opt, OptionError
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import InstallRequest

OPTIONS = (
    Opt("cachedir", metavar="CACHEDIR", help="Directory to use for caching downloaded packages and "
        "other data"),
    Opt("ostree-repo", metavar="REPO", help="OSTree repository to use", is_hidden=True),
    Opt("source-root", metavar="PATH", help="Use the apt sources and keys of the root at PATH"),
    Opt("source-root-rw", metavar="PATH", help="Like --source-root, and it may be written to"),
    Opt("lockfile", metavar="FILE", is_repeatable=True, help="Read lockfile from FILE"),
    common.DRY_RUN,
    *common.RESULT,
)  # fmt: skip


def run(args: Args, session: Session) -> int:
    manifest, target = args.rest
    dest = Path(os.path.abspath(target))
    if args.text("source-root") is not None and args.text("source-root-rw") is not None:
        raise OptionError("the argument '--source-root' cannot be used with '--source-root-rw'")
    if dest.exists():
        raise AptOstreeError(f"Refusing to operate on extant target {dest}")
    source = composing.path_of(args, "source-root") or composing.path_of(args, "source-root-rw")
    request = InstallRequest(
        treefile=composing.existing(manifest),
        repo=composing.path_of(args, "ostree-repo"),
        cachedir=composing.path_of(args, "cachedir"),
        source_root=source,
        lockfiles=tuple(composing.existing(p) for p in args.many("lockfile")),
        dry_run=args.flag("dry-run"),
        command_line=session.command_line,
    )
    with transaction.reporting(session, args) as progress:
        made = backend.compose_rootfs(request, dest, progress)
    return composing.finish(session, args, made)


COMMAND = Command(
    run,
    usage="<MANIFEST> <DEST>",
    options=OPTIONS,
    target=Target.LOCAL,
    needs_root=True,
    family=Family.CLAP,
    required=("MANIFEST", "DEST"),
)

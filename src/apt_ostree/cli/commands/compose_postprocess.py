"""apt-ostree compose postprocess: the last steps on a root before it is committed."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.cli import backend, common, composing, transaction
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError

OPTIONS = (*composing.UNIFIED, common.DRY_RUN, *common.RESULT)


def run(args: Args, session: Session) -> int:
    if not args.rest or len(args.rest) > 2:
        raise UsageError("ROOTFS must be specified")
    root = existing_root(args.rest[0])
    treefile = composing.existing(args.rest[1]) if len(args.rest) > 1 else None
    if args.flag("dry-run"):
        return composing.finish_check(session, args, treefile)
    with transaction.reporting(session, args) as progress:
        made = backend.compose_postprocess(root, treefile, progress)
    return composing.finish(session, args, made)


def existing_root(word: str) -> Path:
    path = Path(os.path.abspath(word))
    if not path.is_dir():
        raise AptOstreeError(f"'{word}' is not a directory")
    return path


COMMAND = Command(
    run, usage="ROOTFS [TREEFILE]", options=OPTIONS, target=Target.LOCAL, needs_root=True
)

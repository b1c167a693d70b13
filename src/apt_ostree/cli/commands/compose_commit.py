"""apt-ostree compose commit: a root becomes a commit."""

from __future__ import annotations

from apt_ostree.cli import backend, common, composing, transaction
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.commands.compose_postprocess import existing_root
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (*composing.UNIFIED, *composing.REPO, *composing.COMMIT, common.DRY_RUN, *common.RESULT)


def run(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError(composing.NO_TREEFILE)
    if len(args.rest) < 2:
        raise UsageError("ROOTFS must be specified")
    request = composing.commit_request(args)
    treefile, root = composing.existing(args.rest[0]), existing_root(args.rest[1])
    if args.flag("dry-run"):
        return composing.finish_check(session, args, treefile)
    with transaction.reporting(session, args) as progress:
        made = backend.compose_commit(treefile, root, request, progress)
    return composing.finish(session, args, made)


COMMAND = Command(
    run, usage="TREEFILE ROOTFS", options=OPTIONS, target=Target.LOCAL, needs_root=True
)

"""apt-ostree compose tree: a treefile becomes a commit."""

from __future__ import annotations

from apt_ostree.cli import backend, common, composing, transaction
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (
    *composing.UNIFIED,
    *composing.REPO,
    *composing.INSTALL,
    *composing.COMMIT,
    *common.RESULT,
)


def run(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError(composing.NO_TREEFILE)
    if args.flag("print-only"):
        session.out.json(backend.treefile_json(composing.existing(args.rest[0])))
        return 0
    commit = composing.commit_request(args)
    if args.text("workdir") is not None:
        session.out.note("note: --workdir is ignored for --unified-core")
    install = composing.install_request(args, session, args.rest[0])
    composing.announce(session)
    with transaction.reporting(session, args) as progress:
        made = backend.compose_tree(install, commit, progress)
    return composing.finish(session, args, made)


COMMAND = Command(run, usage="TREEFILE", options=OPTIONS, target=Target.LOCAL, needs_root=True)

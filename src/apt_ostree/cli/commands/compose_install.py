"""apt-ostree compose install: a treefile becomes a root directory."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.cli import backend, common, composing, transaction
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (
    *composing.UNIFIED,
    *composing.REPO,
    *composing.INSTALL,
    Opt("postprocess", help="Also run default postprocessing"),
    *common.RESULT,
)


def run(args: Args, session: Session) -> int:
    if args.flag("print-only") and args.rest:
        session.out.json(backend.treefile_json(composing.existing(args.rest[0])))
        return 0
    if len(args.rest) != 2:
        raise UsageError("TREEFILE and DESTDIR required")
    if args.text("workdir") is not None:
        raise UsageError("--workdir is ignored with install-root")
    request = composing.install_request(args, session, args.rest[0])
    dest = Path(os.path.abspath(args.rest[1]))
    composing.announce(session)
    with transaction.reporting(session, args) as progress:
        made = backend.compose_install(
            request, dest, progress, postprocess=args.flag("postprocess")
        )
    return composing.finish(session, args, made)


COMMAND = Command(
    run, usage="TREEFILE DESTDIR", options=OPTIONS, target=Target.LOCAL, needs_root=True
)

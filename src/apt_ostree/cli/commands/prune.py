"""apt-ostree prune: delete commits, packages and downloads that nothing needs."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args
from apt_ostree.cli.render.units import size
from apt_ostree.cli.session import Session

OPTIONS = (common.DRY_RUN, common.JSON)


def run(args: Args, session: Session) -> int:
    is_dry_run = args.flag("dry-run")
    with transaction.reporting(session, args) as progress:
        done = backend.prune(session.sysroot(args), progress, dry_run=is_dry_run)
    out = session.out
    if args.flag("json"):
        out.json(done)
        return 0
    counts = ", ".join(f"{key}: {done[key]}" for key in ("commits", "packages", "downloads"))
    verb = "Would free" if is_dry_run else "Freed"
    out.line(f"{verb}: {size(done['freed-bytes'])} ({counts})")
    return 0


COMMAND = Command(run, options=OPTIONS, needs_root=True)

"""apt-ostree start-daemon: serve the system bus until nobody needs it."""

from __future__ import annotations

from apt_ostree.cli import backend
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session

OPTIONS = (
    Opt("sysroot", metavar="SYSROOT", help="Serve system root SYSROOT (default: /)"),
    # For tests and for trying things out beside the system's own daemon.
    Opt("bus", metavar="ADDRESS", is_hidden=True),
    Opt("config", metavar="FILE", is_hidden=True),
    Opt("runtime-dir", metavar="DIR", is_hidden=True),
)


def run(args: Args, session: Session) -> int:
    return backend.serve(
        session.sysroot(args), bus=args.text("bus") or "", config=args.text("config") or "",
        runtime=args.text("runtime-dir") or "",
    )  # fmt: skip


COMMAND = Command(run, options=OPTIONS, target=Target.LOCAL, needs_root=True)

"""apt-ostree reload: make the daemon read its configuration anew."""

from __future__ import annotations

from apt_ostree.cli import backend
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session


def run(args: Args, session: Session) -> int:
    backend.reload_config(session.sysroot(args))
    return 0


COMMAND = Command(run)

"""apt-ostree usroverlay: make /usr of the running system writable until it is shut down."""

from __future__ import annotations

from apt_ostree.cli import backend
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError

OPTIONS = (
    Opt("hotfix", help="Keep the changes: they stay with this deployment through reboots"),
    Opt("transient", help="Mount the overlay read-only; a mount namespace may write to it"),
)


def run(args: Args, session: Session) -> int:
    if args.flag("hotfix") and args.flag("transient"):
        raise AptOstreeError("Cannot specify both --hotfix and --transient")
    if not session.is_root:
        raise AptOstreeError("This command requires root privileges")
    options = [f"--{name}" for name in ("hotfix", "transient") if args.flag(name)]
    session.out.text(backend.unlock(options))
    return 0


COMMAND = Command(run, options=OPTIONS)

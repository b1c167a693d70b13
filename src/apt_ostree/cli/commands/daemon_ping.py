"""apt-ostree daemon-ping: whether the daemon is there, and what it is doing."""

from __future__ import annotations

from apt_ostree.cli import backend, common
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError


def run(args: Args, session: Session) -> int:
    found = backend.ping()
    if found is None:
        raise AptOstreeError("no daemon answers", hint="systemctl start apt-ostreed")
    if args.flag("json"):
        session.out.json(found)
        return 0
    for key, value in found.items():
        session.out.line(f"{key}: {value if value != '' else 'none'}")
    return 0


COMMAND = Command(run, options=(common.JSON,), target=Target.LOCAL)

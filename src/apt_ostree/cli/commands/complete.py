"""apt-ostree __complete: what a shell may offer next; for the scripts in `data/completions`."""

from __future__ import annotations

from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.complete import complete
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session


def run(args: Args, session: Session) -> int:
    session.out.text(str(complete(args.rest)))
    return 0


COMMAND = Command(run, usage="-- [WORD...]", target=Target.LOCAL)

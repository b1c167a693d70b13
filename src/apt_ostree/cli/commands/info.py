"""apt-ostree info: what `apt show` says, and where the package stands on this system."""

from __future__ import annotations

from typing import Any

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import UsageError

OPTIONS = (*common.STATEROOT, common.JSON)
# Beside the control fields: key of the record, label.
_STANDING = (
    ("status", "APT-OSTree-Status"),
    ("installed", "APT-OSTree-Installed"),
    ("candidate", "APT-OSTree-Candidate"),
    ("reason", "APT-OSTree-Reason"),
)


def run(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError("At least one PACKAGE must be specified")
    with transaction.reporting(session, args) as progress:
        records = backend.info(session.sysroot(args), common.stateroot(args), args.rest, progress)
    if args.flag("json"):
        session.out.json(records)
        return 0
    for at, record in enumerate(records):
        if at:
            session.out.line()
        _print(session, record)
    return 0


def _print(session: Session, record: dict[str, Any]) -> None:
    for field, value in record["control"].items():
        session.out.line(f"{field}: {value}")
    for key, label in _STANDING:
        if value := record.get(key):
            session.out.line(f"{label}: {value}")


COMMAND = Command(run, usage="PACKAGE [PACKAGE...]", options=OPTIONS)

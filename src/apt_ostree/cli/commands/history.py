"""apt-ostree history: what was deployed, when, by which command."""

from __future__ import annotations

import time

from apt_ostree.cli import backend
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.history import entry
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError

DEFAULT_LIMIT = 3
OPTIONS = (
    Opt("verbose", "v", help="Print additional fields (e.g. StateRoot)"),
    Opt("json", help="Output JSON, one object an entry"),
    Opt("limit", "n", metavar="N", is_integer=True,
        help=f"Limit number of entries to output (default: {DEFAULT_LIMIT})"),
    Opt("all", help="Output all entries"),
)  # fmt: skip


def run(args: Args, session: Session) -> int:
    limit = args.number("limit")
    if limit is not None and limit <= 0:
        raise AptOstreeError("Limit must be positive integer")
    entries = backend.history(
        session.sysroot(args), limit=None if args.flag("all") else limit or DEFAULT_LIMIT
    )
    out = session.out
    if args.flag("json"):
        for raw in entries:
            out.json(raw)
        return 0
    for raw in entries:
        for line in entry(raw, out.style, now=time.time(), is_verbose=args.flag("verbose")):
            out.line(line)
    if not entries:
        out.line("<< No entries found >>")
    return 0


COMMAND = Command(run, options=OPTIONS)

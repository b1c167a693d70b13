"""apt-ostree list: the packages of a deployment and where each comes from."""

from __future__ import annotations

from apt_ostree.cli import backend, common, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.table import table
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError

OPTIONS = (
    *common.STATEROOT,
    Opt("layered", help="Only packages that are layered on the base"),
    Opt("base", help="Only packages of the base"),
    Opt("upgradable", help="Only packages that a newer version is known of"),
    common.DEPLOYMENT,
    common.JSON,
)
_KINDS = ("layered", "base", "upgradable")


def run(args: Args, session: Session) -> int:
    chosen = [kind for kind in _KINDS if args.flag(kind)]
    if len(chosen) > 1:
        raise AptOstreeError(f"Cannot specify both --{chosen[0]} and --{chosen[1]}")
    with transaction.reporting(session, args) as progress:
        rows = backend.package_list(
            session.sysroot(args),
            common.stateroot(args),
            args.rest,
            which=chosen[0] if chosen else "all",
            deployment=args.text("deployment"),
            progress=progress,
        )
    if args.flag("json"):
        session.out.json(rows)
        return 0
    is_upgrade = chosen == ["upgradable"]
    header = ["Name", "Version", "Arch", "Origin", *(["Candidate"] if is_upgrade else [])]
    cells = [
        [r["name"], r["version"], r["arch"], r["origin"]]
        + ([r.get("candidate") or ""] if is_upgrade else [])
        for r in rows
    ]
    for line in table(cells, header=header if session.out.style.is_terminal else ()):
        session.out.line(line)
    return 0


COMMAND = Command(run, usage="[GLOB...]", options=OPTIONS)

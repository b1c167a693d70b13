"""What a build takes from the machine it is for: sources, accounts, how its base was laid out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apt_ostree.apt.dpkgdb import Database
from apt_ostree.apt.root import AptRoot
from apt_ostree.assemble import accounts as account_files
from apt_ostree.assemble import ids
from apt_ostree.assemble.ids import Ledger
from apt_ostree.host import aptconf, base
from apt_ostree.host import plan as plans
from apt_ostree.host.target import Target
from apt_ostree.model.change import Options
from apt_ostree.model.origin import Origin
from apt_ostree.system import fs
from apt_ostree.system.run import run

IDS = "ids.json"
TREEFILE = "usr/share/apt-ostree/treefile.json"
DAEMON_CONF = "etc/apt-ostreed.conf"


def native_arch(where: Target) -> str:
    """The architecture of the base, or of this machine when nothing is deployed yet."""
    if where.pending is None:
        return run(["dpkg", "--print-architecture"]).output.strip()
    with base.database(where, where.base_checksum) as database:
        return plans.native_arch(database)


def apt_root(
    where: Target,
    database: Database,
    origin: Origin,
    checksum: str,
    options: Options,
    *,
    scratch: Path,
) -> AptRoot:
    """apt's view of the machine as it will be: the merged `/etc/apt` over the base's packages.

    `scratch` is a directory that lives as long as the result is used.
    """
    etc, prefix = aptconf.effective(where, checksum, scratch)
    return plans.apt_root(
        where, database, etc=etc, prefix=prefix, options=options, origin=origin,
        recommends=_recommends(where),
    )  # fmt: skip


def _recommends(where: Target) -> bool:
    """`Recommends=` of the daemon's configuration; true where nothing is said."""
    if where.merge is None:
        return True
    path = where.merge.directory / DAEMON_CONF
    if not path.is_file():
        return True
    for line in path.read_text(errors="replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and key.strip() == "Recommends":
            return value.strip().lower() not in ("false", "0", "no")
    return True


def trim(where: Target, checksum: str) -> dict[str, Any]:
    """How the base's packages were laid out, so that layered ones are laid out alike."""
    raw = where.repo.read_file(checksum, TREEFILE)
    treefile = {} if raw is None else json.loads(raw)
    langs = treefile.get("install-langs")
    return {
        "documentation": treefile.get("documentation", True),
        "install_langs": tuple(langs) if langs else None,
        "opt": treefile.get("opt-usrlocal", "var"),
        "readonly_executables": treefile.get("readonly-executables", False),
    }


def accounts(where: Target) -> Ledger:
    """The machine's own accounts, human ones included: their numbers are taken."""
    if where.merge is None:
        return Ledger()
    return Ledger.of(account_files.load(where.merge.directory / "etc"))


def ledger(where: Target) -> Ledger:
    """Every number that a package's account ever had on this machine."""
    path = _ids(where)
    if not path.is_file():
        return Ledger()
    return Ledger.loads(path.read_bytes(), source=str(path))


def remember(where: Target, now: Ledger) -> None:
    """Keep account numbers beyond the deployments, so that a reinstalled package gets its own."""
    path = _ids(where)
    data = ids.union(now, ledger(where)).dumps()
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        fs.write_atomic(path, data)


def _ids(where: Target) -> Path:
    return where.state / IDS

"""What a build takes from the machine it is for: sources, accounts, how its base was laid out."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from apt_ostree.apt import sources
from apt_ostree.apt.dpkgdb import Database
from apt_ostree.apt.root import AptRoot
from apt_ostree.assemble import accounts as account_files
from apt_ostree.assemble import ids
from apt_ostree.assemble.ids import Ledger
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import aptconf, base
from apt_ostree.host import plan as plans
from apt_ostree.host.target import Target
from apt_ostree.model.change import Change, Options
from apt_ostree.model.origin import Origin
from apt_ostree.sandbox.policy import MAINTAINER, Policy
from apt_ostree.system import failpoint, fs
from apt_ostree.system.run import run

log = logging.getLogger(__name__)

IDS = "ids.json"
TREEFILE = "usr/share/apt-ostree/treefile.json"
DAEMON_CONF = "etc/apt-ostreed.conf"


def native_arch(where: Target) -> str:
    """The architecture of the base, or of this machine when the base has no packages."""
    if where.pending is None or not base.has_database(where, where.base_checksum):
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
    root = plans.apt_root(
        where, database, etc=etc, prefix=prefix, options=options, origin=origin,
        recommends=_recommends(where),
    )  # fmt: skip
    on, off = options.enable_sources, options.disable_sources
    if not on and not off:
        return root
    return replace(root, sources=sources.switch(sources.load(etc), enable=on, disable=off))


def _recommends(where: Target) -> bool:
    """`Recommends=` of the daemon's configuration; true where nothing is said."""
    value = _setting(where, "Recommends")
    return value is None or value.lower() not in ("false", "0", "no")


def refuse_layering(where: Target, change: Change) -> None:
    """Raises AptOstreeError for what the configuration forbids: `LockLayering=`."""
    value = _setting(where, "LockLayering")
    if change.adds_difference and value is not None and value.lower() in ("true", "1", "yes"):
        raise AptOstreeError(
            "Cannot operate; `LockLayering=true` in configuration.",
            hint=f"it is set in /{DAEMON_CONF}",
        )


def script_policy(where: Target) -> Policy:
    """What maintainer scripts may do here: `ScriptTimeout=` (seconds) and `ScriptProcessLimit=` of
    the daemon's configuration; a value that is no positive number is warned of and not used."""
    timeout, processes = _number(where, "ScriptTimeout"), _number(where, "ScriptProcessLimit")
    return replace(
        MAINTAINER,
        timeout_s=timeout or MAINTAINER.timeout_s,
        process_limit=processes or MAINTAINER.process_limit,
    )


def _number(where: Target, key: str) -> int | None:
    value = _setting(where, key)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        log.warning("/%s: %s=%s is not a positive number", DAEMON_CONF, key, value)
        return None
    return int(value)


def _setting(where: Target, key: str) -> str | None:
    """The last value of a key of the daemon's configuration, as the machine has it now."""
    path = None if where.merge is None else where.merge.directory / DAEMON_CONF
    found = None
    if path is not None and path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            name, equals, value = line.partition("=")
            if equals and name.strip() == key:
                found = value.strip()
    return found


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
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Ledger()
    except OSError as err:
        raise AptOstreeError(
            f"cannot read {path}: {err.strerror}",
            hint="move it away; it is made again from /etc/passwd and /etc/group",
        ) from err
    return Ledger.loads(data, source=str(path))


def remember(where: Target, now: Ledger) -> None:
    """Keep account numbers beyond the deployments, so that a reinstalled package gets its own."""
    path = _ids(where)
    data = ids.union(now, ledger(where)).dumps()
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        failpoint.reach("ids.before-write")
        fs.write_atomic(path, data)
        failpoint.reach("ids.after-write")


def _ids(where: Target) -> Path:
    return where.state / IDS

"""Scripts that are known to fail or do harm while a tree is built, and what is done about them.

The table is data, `known-bad-scripts.toml` beside this module, so that it grows without code.
Only postinsts can be listed: dpkg runs preinsts straight from the archive.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.sandbox.bwrap import Bind
from apt_ostree.sandbox.intercepts import SCRIPTS_DIR
from apt_ostree.sandbox.mountpoint import resolve

TABLE_PATH = Path(__file__).with_name("known-bad-scripts.toml")
_INFO = "/var/lib/dpkg/info"


class Action(StrEnum):
    SKIP = "skip"
    IGNORE_EXIT = "ignore-exit"


@dataclass(frozen=True, slots=True)
class KnownBad:
    """`package` is a glob on the name, `why` a sentence for the one who reads the log."""

    package: str
    script: str
    action: Action
    why: str


def parse(text: str, *, source: str) -> tuple[KnownBad, ...]:
    """Read a table.  AptOstreeError names what is wrong with which entry."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise AptOstreeError(f"{source}: {err}") from err
    rows = []
    for number, row in enumerate(raw.get("script", []), start=1):
        try:
            rows.append(KnownBad(row["package"], row["script"], Action(row["action"]), row["why"]))
        except (KeyError, TypeError, ValueError) as err:
            hint = "an entry has package, script, action and why"
            raise AptOstreeError(f"{source}: entry {number}: {err}", hint=hint) from err
        if rows[-1].script != "postinst":
            raise AptOstreeError(f"{source}: entry {number}: only postinst can be listed")
    return tuple(rows)


@cache
def table() -> tuple[KnownBad, ...]:
    return parse(TABLE_PATH.read_text(encoding="utf-8"), source=TABLE_PATH.name)


def binds(root: Path, state: Path, *, rows: tuple[KnownBad, ...] | None = None) -> tuple[Bind, ...]:
    """Mounts over the listed scripts of packages in the tree; helper files go into `state`."""
    chosen = table() if rows is None else rows
    info = resolve(root, _INFO)
    made: list[Bind] = []
    names = os.listdir(f"{root}{info}") if chosen and os.path.isdir(f"{root}{info}") else ()
    for name in sorted(names):
        package, _, script = name.rpartition(".")
        for row in chosen:
            if script == row.script and fnmatchcase(package.partition(":")[0], row.package):
                made += _mounts(row, name, root / info.lstrip("/") / name, state)
                break
    return tuple(made)


def _mounts(row: KnownBad, name: str, real: Path, state: Path) -> tuple[Bind, ...]:
    moved = f"{SCRIPTS_DIR}/{name}"
    said = f"{name}: {row.why}".replace("'", "")
    if row.action is Action.SKIP:
        text = f"#!/bin/sh\necho 'not run: {said}'\n"
    else:
        text = f'#!/bin/sh\n{moved} "$@" || echo "exit status $? ignored" \'({said})\'\nexit 0\n'
    stand_in = state / f"known-bad-{name}"
    stand_in.write_text(text)
    stand_in.chmod(0o755)
    cover = Bind(stand_in, f"{_INFO}/{name}", read_only=True)
    if row.action is Action.SKIP:
        return (cover,)
    return Bind(real, moved, read_only=True), cover

"""Triggers of packages whose files are placed without dpkg: interests and activations.

dpkg registers and activates them while it unpacks, and never later; what is not in its database by
then is lost without a word.  Formats: dpkg's triggers.txt, "Details of the trigger files".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble.entry import Entry
from apt_ostree.system import fs


def ensure_database(admindir: Path) -> None:
    """Make the file of activations, which finished trees do not have.

    Without it dpkg takes the database for one from before triggers, and sets off every trigger of
    every package (lib/dpkg/trigdeferred.c, TDUS_NO_DEFERRED; triglib.c,
    trig_transitional_activate).
    """
    folder = admindir / "triggers"
    folder.mkdir(exist_ok=True)
    (folder / "Unincorp").touch()


def activate(admindir: Path, entries: Iterable[Entry]) -> None:
    """Note the file triggers that the new files set off, in `triggers/Unincorp`.

    dpkg incorporates that file when it starts next: a trigger, and who waits until it is processed
    before others may rely on them, or `-`.  It passes over packages that are not configured, which
    look at all files when they are; so this is called when it would unpack `entries`.
    """
    watched: dict[str, bool] = {}
    for trigger in dpkgdb.load(admindir).file_triggers:
        watched[trigger.path] = watched.get(trigger.path, False) or trigger.is_await
    hit: dict[str, dict[str, None]] = {}
    for entry in entries:
        for path in _with_parents(entry.listed) & watched.keys():
            waits = entry.info_prefix if watched[path] else "-"
            hit.setdefault(path, {})[waits] = None
    if hit:
        file = admindir / "triggers/Unincorp"
        lines = "".join(f"{path} {' '.join(hit[path])}\n" for path in sorted(hit))
        fs.write_atomic(file, (file.read_text() + lines).encode())


def register(admindir: Path, entries: Iterable[Entry]) -> None:
    """Append to `triggers/File` and `triggers/NAME`.

    dpkg does this while unpacking (trigproc/triglib, `trk_*_interest_change`) and never later:
    an interest that is not registered is lost without a word.
    """
    folder = admindir / "triggers"
    lines: dict[str, list[str]] = {}
    for entry in entries:
        for name, is_await in _interests(entry):
            package = entry.info_prefix if is_await else f"{entry.info_prefix}/noawait"
            if name.startswith("/"):
                lines.setdefault("File", []).append(f"{name} {package}")
            else:
                lines.setdefault(name, []).append(package)
    for file, new in lines.items():
        path = folder / file
        old = path.read_text().splitlines() if path.exists() else []
        merged = [*old, *(line for line in new if line not in old)]
        fs.write_atomic(path, "".join(f"{line}\n" for line in merged).encode())


def _directives(entry: Entry) -> list[tuple[str, str]]:
    lines = (line.partition("#")[0].split() for line in entry.triggers.splitlines())
    return [(words[0], words[1]) for words in lines if len(words) == 2]


def _interests(entry: Entry) -> list[tuple[str, bool]]:
    """Names and paths that a package watches; whether those who set it off wait for it."""
    return [
        (name, directive != "interest-noawait")
        for directive, name in _directives(entry)
        if directive.startswith("interest")
    ]


def _with_parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        at = path
        while at not in found and at != "/":
            found.add(at)
            at = os.path.dirname(at)
    return found

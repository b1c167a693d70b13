"""Lockfiles: which version, and which bytes, of every package a compose used.

JSON (or YAML) of the shape that rpm-ostree writes, with dpkg's versions in it:

    {"packages": {NAME: {"evra": "VERSION.ARCH", "digest": "sha256:…"}},
     "metadata": {"generated": RFC 3339, "rpmmd_repos": {ID: {"generated": …}}}}

A name that is locked for several architectures has keys of the form `NAME:ARCH`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apt_ostree.errors import LockfileError, TreefileError
from apt_ostree.model.package import Package
from apt_ostree.system import fs
from apt_ostree.treefile import files, jsontext, locktext, yamltext
from apt_ostree.treefile.locktext import LockedPackage
from apt_ostree.treefile.node import Fault
from apt_ostree.treefile.parse import Format
from apt_ostree.treefile.values import FileRef


@dataclass(frozen=True, slots=True)
class Lockfile:
    """Locked packages in the order of their names; `generated` and `repos` say when and from what
    they were made (None: nothing says so)."""

    packages: tuple[LockedPackage, ...] = ()
    generated: datetime | None = None
    repos: Mapping[str, datetime] = field(default_factory=dict)

    def pins(self) -> dict[str, tuple[str, str | None]]:
        """`name:arch` (only `name` when any will do) -> version, SHA-256 or None."""
        return {locked.key: (locked.version, locked.sha256) for locked in self.packages}


@dataclass(frozen=True, slots=True)
class LockDiff:
    """What changed from one lockfile to the next; a change is (old, new)."""

    added: tuple[LockedPackage, ...]
    removed: tuple[LockedPackage, ...]
    changed: tuple[tuple[LockedPackage, LockedPackage], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def load(paths: Sequence[Path]) -> Lockfile:
    """Read lockfiles; of two that lock one package the later wins.

    LockfileError names the file, the line and the package.
    """
    merged = Lockfile()
    for path in paths:
        try:
            text, _ = files.read_text(FileRef(path.name, path.parent, str(path)))
        except TreefileError as err:
            raise LockfileError(str(err), hint=err.hint) from err
        merged = merge(merged, parse(text, source=str(path)))
    return merged


def parse(text: str, *, source: str) -> Lockfile:
    """One lockfile; `source` is its name in messages."""
    try:
        is_yaml = Format.of(source) is Format.YAML
        root = yamltext.parse(text) if is_yaml else jsontext.parse(text)
        content = locktext.read(root)
    except Fault as fault:
        where = f"{source}:{fault.line}" if fault.line else source
        raise LockfileError(f"{where}: {fault.message}", hint=fault.hint) from fault
    return Lockfile(_in_order(content.packages), content.generated, content.repos)


def merge(earlier: Lockfile, later: Lockfile) -> Lockfile:
    """All locks of both; of two that cannot hold together the later."""
    by_name: dict[str, list[LockedPackage]] = {}
    for locked in later.packages:
        by_name.setdefault(locked.name, []).append(locked)
    kept = [
        locked
        for locked in earlier.packages
        if not any(other.displaces(locked) for other in by_name.get(locked.name, ()))
    ]
    return Lockfile(
        _in_order([*kept, *later.packages]),
        later.generated or earlier.generated,
        {**earlier.repos, **later.repos},
    )


def diff(old: Lockfile, new: Lockfile) -> LockDiff:
    before = {locked.key: locked for locked in old.packages}
    after = {locked.key: locked for locked in new.packages}
    return LockDiff(
        added=tuple(locked for key, locked in after.items() if key not in before),
        removed=tuple(locked for key, locked in before.items() if key not in after),
        changed=tuple(
            (before[key], locked)
            for key, locked in after.items()
            if key in before
            and (before[key].version, before[key].sha256) != (locked.version, locked.sha256)
        ),
    )


def dump(
    packages: Iterable[LockedPackage | tuple[Package, str | None]],
    path: Path,
    *,
    generated: datetime,
    repos: Mapping[str, datetime] | None = None,
) -> None:
    """Write a lockfile in one move; `packages` are locks, or packages with their SHA-256."""
    locked = [
        item if isinstance(item, LockedPackage) else LockedPackage.of(*item) for item in packages
    ]
    data = as_json(Lockfile(_in_order(locked), generated, repos or {}))
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        fs.write_atomic(path, text.encode())
    except OSError as err:
        raise LockfileError(f"cannot write lockfile {path}: {err.strerror}") from err


def as_json(lockfile: Lockfile) -> dict[str, Any]:
    names = Counter(locked.name for locked in lockfile.packages)
    metadata: dict[str, Any] = {}
    if lockfile.generated is not None:
        metadata["generated"] = _rfc3339(lockfile.generated)
    if lockfile.repos:
        metadata["rpmmd_repos"] = {
            name: {"generated": _rfc3339(when)} for name, when in lockfile.repos.items()
        }
    return {
        "packages": {
            locked.key if names[locked.name] > 1 else locked.name: locked.as_json()
            for locked in lockfile.packages
        },
        "metadata": metadata,
    }


def _in_order(packages: Iterable[LockedPackage]) -> tuple[LockedPackage, ...]:
    return tuple(sorted(packages, key=lambda locked: (locked.name, locked.arch or "")))


def _rfc3339(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")

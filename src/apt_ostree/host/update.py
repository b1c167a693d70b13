"""What an upgrade would bring, as the dictionary that `upgrade --check` and programs show.

It describes the very plan that the upgrade would carry out; nothing is built for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apt_ostree.host import status
from apt_ostree.host.target import Target
from apt_ostree.insight import diff, pkglist
from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import DiffKind, PackageChange, PackageDiff
from apt_ostree.model.plan import Action, Plan
from apt_ostree.system import fs
from apt_ostree.wire import codec
from apt_ostree.wire.glib import GLib

Json = dict[str, Any]
_KEYS = {
    DiffKind.UPGRADED: "upgraded",
    DiffKind.DOWNGRADED: "downgraded",
    DiffKind.REMOVED: "removed",
    DiffKind.ADDED: "added",
}
_BASE, _LAYERED = 0, 1
FILE = "cached-update.gv"  # below the cache of a stateroot: `a{sv}`, as D-Bus carries it


def store(where: Target, found: Json | None) -> None:
    """Remember what a check has found, None for nothing."""
    path = where.cache / FILE
    if found is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    variant = codec.dictionary(found, codec.CACHED_UPDATE)
    fs.write_atomic(path, variant.get_data_as_bytes().get_data())


def stored(sysroot: Path, stateroot: str, current: str) -> Json | None:
    """What the last check found for the deployed commit `current`; None when that was another."""
    try:
        data = (sysroot / "ostree/deploy" / stateroot / "var/cache/apt-ostree" / FILE).read_bytes()
    except OSError:
        return None
    kind = GLib.VariantType("a{sv}")
    variant = GLib.Variant.new_from_bytes(kind, GLib.Bytes.new(data), False)  # noqa: FBT003
    found: Json = variant.unpack() if variant.is_normal_form() else {}
    return found if found.get("update-sha256") == current else None


def describe(where: Target, origin: Origin, tip: str, plan: Plan) -> Json:
    """The CachedUpdate dictionary of going from what boots next to `plan` on the base `tip`."""
    repo = where.repo
    has_new_commit = tip != where.base_checksum
    out: Json = {
        "osname": where.stateroot,
        "checksum": tip,
        "origin": origin.refspec,
        "ref-has-new-commit": has_new_commit,
        "update-sha256": (where.merge or where.current).checksum,
    }
    if has_new_commit:
        commit = repo.commit(tip)
        out["timestamp"] = commit.timestamp
        if commit.version is not None:
            out["version"] = commit.version
        if origin.remote is not None:
            out.update(status.trust(repo, tip, origin.remote))
    base = pkglist.of_commit(repo, tip)
    found = diff.between(pkglist.of_commit(repo, where.current.checksum), _after(base, plan))
    if found:
        old_base = pkglist.of_commit(repo, where.base_checksum)
        out["rpm-diff"] = _as_json(found, {p.key for p in (*base, *old_base)})
    return out


def _after(base: Iterable[Package], plan: Plan) -> tuple[Package, ...]:
    packages = {p.key: p for p in base}
    for step in plan.steps:
        if step.action is Action.REMOVE:
            packages.pop(step.package.key, None)
        else:
            packages[step.package.key] = step.package
    return tuple(packages.values())


def _as_json(found: PackageDiff, in_base: set[str]) -> Json:
    out: Json = {key: [] for key in _KEYS.values()}
    for change in found.changes:
        origin = _BASE if change.package.key in in_base else _LAYERED
        out[_KEYS[change.kind]].append([origin, change.name, *_versions(change)])
    return out


def _versions(change: PackageChange) -> list[Any]:
    """(old), (new) for a modified package, each version and architecture; else both unpacked."""
    if change.old is not None and change.new is not None:
        return [[p.evr, p.arch] for p in (change.old, change.new)]
    return [change.package.evr, change.package.arch]

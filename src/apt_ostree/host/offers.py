"""What the sources of the system offer, and which sources there are, for programs that ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apt_ostree.apt import query, sources
from apt_ostree.apt.query import Offer
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import aptconf, metadata, target
from apt_ostree.host.target import Target
from apt_ostree.model.change import Options
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.sysroot import Sysroot

Json = dict[str, Any]


def search(
    sysroot: Path, stateroot: str | None, terms: Sequence[str], progress: Progress
) -> list[Json]:
    """The packages that match, with their group as `key`, in the order in which they are shown."""
    with metadata.opened(sysroot, stateroot) as (_, root):
        metadata.ensure(root, is_upgrade=False, options=Options(), progress=progress)
        found = query.search(root, terms, progress)
    return [o.as_dict() for key, _ in query.GROUPS for o in found[key]]


def packages(
    sysroot: Path, stateroot: str | None, names: Sequence[str], progress: Progress
) -> list[Json]:
    """The candidate for each name that has one; `key` is the name."""
    found = _providers(sysroot, stateroot, names, progress)
    return [o.as_dict() for o in found if o.package.name == o.key.partition(":")[0]]


def providers(
    sysroot: Path, stateroot: str | None, names: Sequence[str], progress: Progress
) -> list[Json]:
    """Every candidate that is called or provides one of `names`."""
    return [o.as_dict() for o in _providers(sysroot, stateroot, names, progress)]


def _providers(
    sysroot: Path, stateroot: str | None, names: Sequence[str], progress: Progress
) -> Iterable[Offer]:
    if not names:
        raise AptOstreeError("No queries passed")
    with metadata.opened(sysroot, stateroot) as (_, root):
        metadata.ensure(root, is_upgrade=False, options=Options(), progress=progress)
        return query.providers(root, names, progress)


# -- sources


def listing(sysroot: Path, stateroot: str | None) -> list[Json]:
    """Every source of the system, also those that are off: `Source.describe`."""
    return [s.describe() for s in sources.load(_etc(target.find(Sysroot.open(sysroot), stateroot)))]


def modify(
    sysroot: Path, stateroot: str | None, source_id: str, settings: Mapping[str, str]
) -> None:
    """Turn the file of a source on or off: `enabled` is the one setting there is, "0" or "1".

    Raises AptOstreeError for an unknown source, another setting or another value.
    """
    for key, value in settings.items():
        if key != "enabled":
            raise AptOstreeError(f"Changing '{key}' not allowed in apt source files")
        if value not in ("0", "1"):
            raise AptOstreeError("Only '0' and '1' are allowed for the 'enabled' key")
    with target.locked(sysroot, stateroot) as where:
        found = sources.load(_etc(where))
        source = next((s for s in found if s.id == source_id), None)
        if source is None:
            known = ", ".join(s.id for s in found)
            raise AptOstreeError(f"apt source '{source_id}' not found", hint=f"there is: {known}")
        if "enabled" in settings:
            file = Path(source.where.rpartition(":")[0])
            sources.set_enabled(file, enabled=settings["enabled"] == "1")


def _etc(where: Target) -> Path:
    """apt's configuration of the system as it is now, which is where changes belong."""
    merge = where.merge
    if merge is None:
        raise target.no_deployments(where.stateroot)
    if merge.booted:
        return Path("/etc/apt")
    return merge.directory / aptconf.ETC

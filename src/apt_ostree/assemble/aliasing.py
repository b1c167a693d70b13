"""Conflicts that dpkg cannot see: `/bin/x` of one package is `/usr/bin/x` of another.

dpkg compares paths as packages write them, so on a merged /usr it would replace the one by the
other without a word.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.debtar import Kind
from apt_ostree.assemble import strata
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.layout import DPKG
from apt_ostree.assemble.placement import tree_path
from apt_ostree.errors import PackageError


class _Owners:
    """Who has a path under exactly this name; the tables are made when something is there."""

    def __init__(self, root: Path, laid: Sequence[Entry], gone: Collection[str]) -> None:
        self.root, self.laid, self.gone = root, laid, gone
        self.table: Mapping[str, str] | None = None
        self.new: dict[str, str] = {}

    def of(self, path: str) -> str | None:
        if path in self.new:
            return self.new[path]
        if not os.path.lexists(self.root / tree_path(path)):
            return None
        if self.table is None:
            installed = dpkgdb.load(self.root / DPKG).path_owners()
            table = {p: key for p, key in installed if key not in self.gone}
            table.update((p, e.package.key) for e in self.laid for p in e.listed)
            self.table = table
        return self.table.get(path)


def check(
    root: Path, new: Iterable[Entry], *, laid: Sequence[Entry], gone: Collection[str]
) -> None:
    """Refuse packages that dpkg would unpack over files of others.

    `new` are those that dpkg is about to unpack for the first time, `laid` those whose files are in
    `root` but not in its database yet; `gone` are keys of packages that are removed or upgraded.
    `Replaces` and diversions make it right.  Raises PackageError naming both packages.
    """
    owners = _Owners(root, laid, gone)
    diverted = {tree_path(d.path) for d in dpkgdb.load(root / DPKG).diversions}
    for entry in new:
        placed = entry.placed
        fields = dpkgdb.parse_status(entry.stanza, entry.package.nevra)[0]
        replaced = {n for clause in strata.names(fields.get("Replaces", "")) for n in clause}
        for path in entry.listed:
            at = tree_path(path)
            if placed.get(at, Kind.DIRECTORY) is Kind.DIRECTORY or at in diverted:
                continue
            for other in dpkgdb.aliases(path):
                owner = owners.of(other) if other != path else None
                name = (owner or "").partition(":")[0]
                if owner is not None and name != entry.package.name and name not in replaced:
                    raise PackageError(
                        f"{entry.package.nevra}: trying to overwrite '{path}', "
                        f"which is also in package {owner} as '{other}'",
                        hint="the packages do not fit together; leave one of them out",
                    )
            owners.new[path] = entry.package.key

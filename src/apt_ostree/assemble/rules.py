"""Diversions and owner overrides that scripts make while files of other packages lie there already.

dpkg follows them when it unpacks a package.  Laid packages are all in place before the first script
runs, so those whose turn comes after a script are looked at again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.dpkgdb import Diversion, Override
from apt_ostree.assemble import accounts
from apt_ostree.assemble.dirtree import DirTree
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.layout import DPKG
from apt_ostree.assemble.placement import tree_path
from apt_ostree.errors import PackageError


@dataclass(frozen=True, slots=True)
class Rules:
    diversions: frozenset[Diversion]
    overrides: frozenset[Override]


def read(root: Path) -> Rules:
    database = dpkgdb.load(root / DPKG)
    return Rules(frozenset(database.diversions), frozenset(database.overrides))


def follow(root: Path, entries: Iterable[Entry], *, before: Rules) -> None:
    """Treat the files of laid `entries` by what was added to the rules since `before`.

    Raises PackageError for an override that names an unknown account, as dpkg does.
    """
    now = read(root)
    diversions = {d.path: d for d in now.diversions - before.diversions}
    overrides = {o.path: o for o in now.overrides - before.overrides}
    if not diversions and not overrides:
        return
    names = accounts.load(root / accounts.ETC)
    uids = {u.name: u.uid for u in names.users.values()}
    gids = {g.name: g.gid for g in names.groups.values()}
    with DirTree(root) as tree:
        for entry in entries:
            listed = frozenset(entry.listed)
            for path in listed & overrides.keys():
                rule = overrides[path]
                owner = _number("user", rule.user, uids), _number("group", rule.group, gids)
                _own(tree, tree_path(path), owner, rule.mode)
            for path in listed & diversions.keys():
                if diversions[path].package != entry.package.name:
                    _divert(tree, tree_path(path), tree_path(diversions[path].to))


def _number(kind: str, name: str, table: Mapping[str, int]) -> int:
    if name.startswith("#") and name[1:].isdecimal():
        return int(name[1:])
    if name not in table:
        raise PackageError(f"unknown {kind} '{name}' in the list of dpkg-statoverride")
    return table[name]


def _own(tree: DirTree, path: str, owner: tuple[int, int], mode: int) -> None:
    info = tree.stat(path)
    if info is None or stat.S_ISLNK(info.st_mode):
        return
    parent, _, name = path.rpartition("/")
    with tree.directory(parent) as fd:
        os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
        os.chmod(name, mode, dir_fd=fd)


def _divert(tree: DirTree, path: str, target: str) -> None:
    info = tree.stat(path)
    if info is not None and not stat.S_ISDIR(info.st_mode) and tree.stat(target) is None:
        tree.make_dirs(os.path.dirname(target))
        tree.rename(path, target)

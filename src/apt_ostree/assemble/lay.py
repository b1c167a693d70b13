"""Lay packages down without dpkg: files by hardlink, the database entries that dpkg would write.

Only packages are laid for which this equals `dpkg --unpack` (`choose`); everything else is
unpacked by dpkg itself.  What dpkg does besides placing files, and is done here: the status stanza,
the info files (they are part of the package commit), trigger interests, and the file triggers of
others that the new files set off.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.debtar import Kind
from apt_ostree.assemble import triggers
from apt_ostree.assemble.dirtree import DirTree
from apt_ostree.assemble.entry import TREE_DIR, Entry, Form, StateRecord
from apt_ostree.assemble.layout import DPKG
from apt_ostree.assemble.placement import tree_path
from apt_ostree.errors import AptOstreeError
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree
from apt_ostree.system import fs


@dataclass(frozen=True, slots=True)
class Choice:
    """`laid` in the order in which dpkg would unpack them; `slow` maps `name:arch` to why dpkg
    must do it; `under` are slow ones whose files are put in place all the same, before dpkg
    unpacks them again; `directories` maps directories that the tree has already to
    (mode, uid, gid)."""

    laid: tuple[Entry, ...]
    slow: Mapping[str, str]
    under: tuple[Entry, ...] = ()
    directories: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


def choose(
    entries: Sequence[Entry],
    *,
    lower: Sequence[Path],
    installed: Iterable[str] = (),
    bootstrap: Iterable[str] = (),
) -> Choice:
    """Judge packages that are about to be unpacked, in that order, on a tree (`lower[0]` topmost).

    `installed` holds the keys of packages that the tree has in some version: an upgrade is always
    dpkg's work.  `bootstrap` holds keys of packages without whose files dpkg cannot even start.
    Cost: one lstat per path and layer.
    """
    database = dpkgdb.load(_existing(lower, DPKG) or Path("/nonexistent"))
    special = _special_paths(database)
    present, needed = set(installed), set(bootstrap)
    instances = Counter(e.package.name for e in entries)
    taken: dict[str, str] = {}
    directories: dict[str, tuple[int, int, int]] = {}
    laid: list[Entry] = []
    under: list[Entry] = []
    slow: dict[str, str] = {}
    for entry in entries:
        key = entry.package.key
        placed = entry.placed
        reason = entry.reason
        if reason and key in needed:
            under.append(entry)
        if not reason and Form.TREE not in entry.forms:
            reason = "its files are not in the cache"
        if not reason and key in present:
            reason = "another version is installed"
        if not reason and instances[entry.package.name] > 1 and entry.conffiles:
            # dpkg compares the next instance's with the `.dpkg-new` of the one it unpacked
            reason = "its configuration files are shared by other architectures"
        if not reason:
            reason = _obstacle(placed, lower, special, taken, directories)
        if reason:
            slow[key] = reason
            if key not in needed:
                continue
        else:
            laid.append(entry)
        taken.update(dict.fromkeys((p for p, k in placed.items() if k is not Kind.DIRECTORY), key))
        taken.update((p, "") for p, k in placed.items() if k is Kind.DIRECTORY and p not in taken)
    return Choice(tuple(laid), slow, tuple(under), directories)


def without_archive(choice: Choice, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Packages that dpkg must unpack although only their files are cached: their .debs are needed
    once more.  Whether files collide shows only when packages and tree are looked at together."""
    return tuple(k for k in choice.slow if Form.ARCHIVE not in entries[k].forms)


def _special_paths(database: dpkgdb.Database) -> frozenset[str]:
    """Tree paths with a diversion or an owner override: dpkg knows what to do with them."""
    paths = [p for d in database.diversions for p in (d.path, d.to)]
    paths += [o.path for o in database.overrides]
    return frozenset(tree_path(p) for p in paths)


def _obstacle(
    placed: Mapping[str, Kind],
    lower: Sequence[Path],
    special: frozenset[str],
    taken: Mapping[str, str],
    directories: dict[str, tuple[int, int, int]],
) -> str:
    for path, kind in placed.items():
        if path in special:
            return f"/{path} is diverted or has another owner"
        other = taken.get(path)
        if kind is Kind.DIRECTORY:
            if other:
                return f"/{path} is a directory here and not in {other}"
            info = _lstat(lower, path)
            if info is None:
                continue
            if not stat.S_ISDIR(info.st_mode):
                return f"/{path} is not a directory in the tree"
            directories[path] = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
        elif other is not None:
            return f"/{path} is also in {other or 'another package as a directory'}"
        elif _lstat(lower, path) is not None:
            return f"/{path} exists"
    return ""


def _lstat(lower: Sequence[Path], path: str) -> os.stat_result | None:
    for layer in lower:
        try:
            return os.lstat(layer / path)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return None


def _existing(lower: Sequence[Path], path: str) -> Path | None:
    return next((layer / path for layer in lower if (layer / path).is_dir()), None)


def checkout(repo: Repo, choice: Choice, destination: Path) -> None:
    """Hardlink the files of all laid packages into one directory, to be a lower layer.

    Directories that the tree has keep its mode and owner, as dpkg leaves existing ones alone;
    otherwise the topmost layer's would be seen.
    """
    destination.mkdir()
    for entry in (*choice.under, *choice.laid):
        repo.checkout(entry.checksum, destination, subpath=f"/{TREE_DIR}", union=True)
    for path, (mode, uid, gid) in choice.directories.items():
        folder = destination / path
        if folder.is_dir() and not folder.is_symlink():
            info = os.lstat(folder)
            if (info.st_uid, info.st_gid) != (uid, gid):
                os.chown(folder, uid, gid)
            if stat.S_IMODE(info.st_mode) != mode:
                os.chmod(folder, mode)
    _separate_inodes(destination / "usr/etc")


def _separate_inodes(folder: Path) -> None:
    """Give every file below `folder` an inode of its own.

    Equal files are one object, so a package's `/etc/default/x` and the template of it below
    `/usr/share` would be one inode; scripts that copy the one to the other (ucf) then fail with
    "are the same file".
    """
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if entry.is_dir(follow_symlinks=False):
            _separate_inodes(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            copy = f"{entry.path}.apt-ostree-copy"
            shutil.copy2(entry.path, copy, follow_symlinks=False)
            info = entry.stat(follow_symlinks=False)
            os.chown(copy, info.st_uid, info.st_gid)
            os.chmod(copy, stat.S_IMODE(info.st_mode))
            os.rename(copy, entry.path)


def merge(tree: Tree, choice: Choice) -> None:
    """Add the same packages to the tree to be committed, by reference."""

    def conflict(path: str, _there: str, _coming: str) -> bool:
        raise AptOstreeError(f"two packages have {path} with different content")

    for entry in (*choice.under, *choice.laid):
        tree.merge_commit(entry.checksum, subpath=TREE_DIR, on_conflict=conflict)


def register(root: Path, choice: Choice) -> None:
    """Write what dpkg's database must know of the laid packages (`root` is the mounted tree)."""
    admindir = root / DPKG
    triggers.ensure_database(admindir)
    if not choice.laid:
        return
    database = dpkgdb.load(admindir)
    stanzas = [s for e in choice.laid for s in dpkgdb.parse_status(e.stanza, e.package.nevra)]
    old = database.stanzas if (admindir / "status").exists() else ()
    dpkgdb.write_status(admindir, dpkgdb.replace_stanzas(old, stanzas))
    triggers.register(admindir, choice.laid)


def _link_target(record: StateRecord) -> str:
    """What the link says; those for /opt lead to a path of the tree, from two levels below it."""
    is_opt = record.path.startswith("var/opt/") and record.target.startswith("usr/lib/opt/")
    return f"../../{record.target}" if is_opt else record.target


def prepare_state(root: Path, entries: Iterable[Entry]) -> None:
    """Make in the sandbox's private `/var` what the laid packages ship there.

    Links that a package's tmpfiles.d made in `/var` are followed inside the tree, as dpkg does in
    its root; what they lead to outside of `/var` is not state.
    """
    with DirTree(root) as tree:
        for entry in entries:
            for record in entry.state:
                if record.path.startswith("var/"):
                    folder = fs.resolve_inside(root, os.path.dirname(record.path))
                    path = str(folder.relative_to(root) / os.path.basename(record.path))
                    if path.startswith("var/") and tree.stat(path) is None:
                        _make_state(tree, record, path)


def _make_state(tree: DirTree, record: StateRecord, path: str) -> None:
    owner = (record.uid, record.gid)
    tree.make_dirs(os.path.dirname(path))
    match record.kind:
        case Kind.DIRECTORY:
            tree.make_dirs(path)
            with tree.directory(path) as fd:
                os.fchown(fd, *owner)
                os.fchmod(fd, record.mode)
        case Kind.LINK:
            tree.symlink(path, _link_target(record))
            with tree.directory(os.path.dirname(path)) as fd:
                os.chown(os.path.basename(path), *owner, dir_fd=fd, follow_symlinks=False)
        case _:
            data = tree.read(f"usr/share/factory/{record.path}")
            if data is not None:
                tree.write(path, data, mode=record.mode, owner=owner)

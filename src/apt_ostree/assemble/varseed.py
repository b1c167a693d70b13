"""The private `/var` that scripts find: what the tree would make there at boot, and no more.

The lines of tmpfiles.d that it follows come from packages, so nothing here trusts a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from apt_ostree.assemble import accounts, tmpfiles, varrules
from apt_ostree.assemble.accounts import Accounts
from apt_ostree.assemble.dirtree import DirTree
from apt_ostree.assemble.tmpfiles import DIRECTORY_MAKERS, MAKERS, Line
from apt_ostree.assemble.varrules import FACTORY, STATE_FILES

ADMINDIR = "usr/lib/sysimage/dpkg"
INTEGRATION = "apt-ostree-0-integration.conf"
BASE_CONF = "apt-ostree-var.conf"
LAYER_CONF = "apt-ostree-var-layer.conf"
_INTEGRATION = (
    ("/var/home", "0755"), ("/var/roothome", "0700"), ("/var/opt", "0755"), ("/var/srv", "0755"),
    ("/var/mnt", "0755"), ("/var/tmp", "1777"), ("/var/lib", "0755"), ("/var/lib/misc", "0755"),
    ("/var/log", "0755"), ("/var/log/apt", "0755"), ("/var/cache", "0755"),
    ("/var/cache/apt", "0755"), ("/var/cache/apt/archives", "0755"),
    ("/var/cache/debconf", "0755"), ("/var/spool", "0755"), ("/var/backups", "0755"),
    ("/var/lib/apt", "0755"), ("/var/lib/apt/lists", "0755"), ("/var/lib/dbus", "0755"),
    ("/var/usrlocal", "0755"),
    *((f"/var/usrlocal/{d}", "0755")
      for d in ("bin", "etc", "games", "include", "lib", "sbin", "share", "share/man", "src")),
    ("/run/media", "0755"),
)  # fmt: skip
_LINKS = (
    ("/var/lib/dpkg", f"../../{ADMINDIR}"),
    ("/var/lib/dbus/machine-id", "/etc/machine-id"),
    ("/var/usrlocal/man", "share/man"),  # as base-files makes it
    ("/var/run", "/run"),
    ("/var/lock", "/run/lock"),
)


def integration() -> tuple[Line, ...]:
    """The lines of every tree: the targets of its top-level links and the package tools' places."""
    lines = [Line(path, "d", mode, "root", "root") for path, mode in _INTEGRATION]
    lines += [Line(path, "L", argument=target) for path, target in _LINKS]
    return tuple(lines)


def write_integration(root: Path) -> None:
    """Write the integration file; it also marks a tree as finished.

    What the tree's own files define is left to them: the file is read first, and its line for
    `/var/tmp` would take the cleaning by age away that systemd's `tmp.conf` wants.
    """
    with DirTree(root) as tree:
        tree.make_dirs("usr/lib/tmpfiles.d")
        others = tmpfiles.in_tree(tree, without=frozenset({INTEGRATION, BASE_CONF, LAYER_CONF}))
        theirs = {line.path for line in others if line.letter in MAKERS}
        lines = [line for line in integration() if line.path not in theirs]
        text = tmpfiles.render(lines, header="State directories of an ostree system.")
        tree.write(f"usr/lib/tmpfiles.d/{INTEGRATION}", text)


def seed(root: Path) -> None:
    """Give the sandbox's private `/var` what the tree makes there at boot.

    The tree's own tmpfiles.d lines are followed for directories, links and copies below `/var`;
    anything else there is made by services, which do not run.  Cost: O(lines).
    """
    with DirTree(root) as tree:
        names = accounts.load(root / accounts.ETC) if tree.is_dir(accounts.ETC) else accounts.EMPTY
        numbers = _Numbers.of(names)
        lines = {line.path: line for line in (*tmpfiles.in_tree(tree), *integration())}
        for path in sorted(lines):
            where = varrules.var_path(path)
            if where is None or where == "var":
                continue
            # A line below a link (`d /var/run/sshd`) is for the link's target, which is not ours.
            with suppress(NotADirectoryError):
                _make(tree, where, lines[path], numbers)
        for var, sysimage in STATE_FILES:
            data = tree.read(sysimage)
            if data is not None:
                tree.make_dirs(os.path.dirname(var))
                tree.write(var, data)


def _make(tree: DirTree, where: str, line: Line, numbers: _Numbers) -> None:
    if varrules.is_state(where) and line.letter != "L":
        return
    if tree.stat(where) is not None:
        return
    tree.make_dirs(os.path.dirname(where))
    if line.letter in DIRECTORY_MAKERS:
        tree.make_dirs(where)
        with tree.directory(where) as fd:
            os.fchown(fd, *numbers.owner(line))
            os.fchmod(fd, 0o755 if line.permissions is None else line.permissions)
    elif line.letter == "L" and line.argument:
        tree.symlink(where, line.argument)
    elif line.letter == "C":
        _copy(tree, line.argument.lstrip("/") or f"{FACTORY}{line.path}", where)


@dataclass(frozen=True, slots=True)
class _Numbers:
    users: Mapping[str, int]
    groups: Mapping[str, int]

    @classmethod
    def of(cls, names: Accounts) -> Self:
        return cls(
            {u.name: u.uid for u in names.users.values()},
            {g.name: g.gid for g in names.groups.values()},
        )

    def owner(self, line: Line) -> tuple[int, int]:
        return _number(line.user, self.users), _number(line.group, self.groups)


def _number(text: str, table: Mapping[str, int]) -> int:
    bare = text.lstrip(":")  # ":NAME" counts for new files only
    return int(bare) if bare.isdecimal() else table.get(bare, 0)


def _copy(tree: DirTree, source: str, target: str) -> None:
    """A factory copy: content, owners and modes; a missing source is nobody's fault.

    The source may be named by a package, so it is looked for in the tree only.
    """
    info = tree.stat(source)
    if info is None:
        return
    if stat.S_ISDIR(info.st_mode):
        tree.make_dirs(target)
        tree.copy_attributes(source, target)
        for name in tree.names(source):
            _copy(tree, f"{source}/{name}", f"{target}/{name}")
    elif stat.S_ISLNK(info.st_mode):
        tree.symlink(target, tree.readlink(source) or "")
    elif stat.S_ISREG(info.st_mode):
        owner, mode = (info.st_uid, info.st_gid), stat.S_IMODE(info.st_mode)
        tree.write(target, tree.read(source) or b"", mode=mode, owner=owner)

"""Equal inputs must give equal trees: remove what remembers the build, order what has no order."""

from __future__ import annotations

import os
import re
import struct
from fnmatch import fnmatchcase
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble.dirtree import DirTree, walk
from apt_ostree.assemble.varrules import STATE_DIRS, SYSIMAGE

ADMINDIR = f"{SYSIMAGE}/dpkg"
SELINUX_CONFIG = "usr/etc/selinux/config"
# Left in /etc by the tools that write there; never part of anybody's configuration.
LEFTOVERS = (
    "usr/etc/.pwd.lock", "usr/etc/passwd-", "usr/etc/group-", "usr/etc/shadow-",
    "usr/etc/gshadow-", "usr/etc/subuid-", "usr/etc/subgid-", "usr/etc/ld.so.cache~",
    "usr/etc/.updated", "usr/etc/mtab.fuselock", "usr/etc/*.dpkg-new", "usr/etc/*.dpkg-tmp",
    "usr/etc/*.dpkg-old", "usr/etc/*.dpkg-dist", "usr/etc/*.ucf-old", "usr/etc/*.ucf-new",
    "usr/etc/*.ucf-dist", "usr/etc/resolv.conf", "usr/etc/hostname",
    "usr/lib/sysimage/dpkg/lock*",
)  # fmt: skip
_PYC = struct.Struct("<4sIII")
_WORD = 0xFFFFFFFF
_ADMIN_JUNK = (
    "available", "available-old", "cmethopt", "diversions-old", "lock", "lock-frontend",
    "status-old", "statoverride-old", "triggers/Lock", "triggers/Unincorp", "methlock",
)  # fmt: skip
_ADMIN_FOLDERS = ("parts", "updates", "methods")


def leftovers(root: Path, upper: Path) -> tuple[str, ...]:
    """Delete what tools leave behind in /etc; only the upper can have new ones."""
    gone = []
    with DirTree(root) as tree:
        along = None if os.path.samestat(os.stat(root), os.stat(upper)) else upper
        found = [f.path for f in walk(tree, "usr/etc", along=along) if not f.is_dir]
        for path in found:
            if any(fnmatchcase(path, pattern) for pattern in LEFTOVERS):
                tree.remove(path)
                gone.append(path)
    return tuple(gone)


def selinux(root: Path) -> bool:
    """Drop a SELinux configuration without a policy; whether there was one.

    policycoreutils makes the file even where no policy is installed.  libostree takes it as a wish
    to label files, and cannot deploy the tree (ostree_sepolicy_new_at: selabel_open fails).
    """
    with DirTree(root) as tree:
        data = tree.read(SELINUX_CONFIG)
        if data is None:
            return False
        kinds = re.findall(rb"(?m)^SELINUXTYPE=(\S+)", data)
        if kinds and tree.is_dir(f"usr/etc/selinux/{kinds[-1].decode()}/contexts"):
            return False
        return tree.remove(SELINUX_CONFIG)


def package_state(root: Path) -> None:
    """Put the package tools' databases into one form.

    dpkg's status is sorted; its caches, locks and old copies go.  What debconf's passwords file
    and backups held is dropped; empty state directories are not worth a place in the tree.
    """
    admindir = root / ADMINDIR
    stanzas = dpkgdb.load(admindir).stanzas
    ordered = tuple(sorted(stanzas, key=dpkgdb.sort_key))
    text = dpkgdb.render_status(ordered).encode("utf-8", "surrogateescape")
    with DirTree(root) as tree:
        if tree.read(f"{ADMINDIR}/status") != text:
            tree.write(f"{ADMINDIR}/status", text)
        for name in _ADMIN_JUNK:
            if tree.stat(f"{ADMINDIR}/{name}") is not None:
                tree.remove(f"{ADMINDIR}/{name}")
        for name in _ADMIN_FOLDERS:
            for inner in tree.names(f"{ADMINDIR}/{name}"):
                tree.remove(f"{ADMINDIR}/{name}/{inner}")
        _sort_lines(tree, f"{ADMINDIR}/triggers/File")
        for state in STATE_DIRS:
            for name in state.drop:
                tree.remove(f"{state.sysimage}/{name}")
            _sort_debconf(tree, state.sysimage)


def _sort_lines(tree: DirTree, path: str) -> None:
    data = tree.read(path)
    if data is None:
        return
    ordered = b"".join(sorted(data.splitlines(keepends=True)))
    if ordered != data:
        tree.write(path, ordered)


def _sort_debconf(tree: DirTree, folder: str) -> None:
    """debconf writes its databases in the order of a Perl hash; records are separated by a blank
    line and each is found by its name, so any order is right (Debconf::DbDriver::File)."""
    for name in ("config.dat", "templates.dat"):
        data = tree.read(f"{folder}/{name}")
        if data is None:
            continue
        records = sorted(r.strip(b"\n") for r in data.split(b"\n\n") if r.strip())
        ordered = b"".join(r + b"\n\n" for r in records)
        if ordered != data:
            tree.write(f"{folder}/{name}", ordered, mode=0o644)


def pyc(root: Path, upper: Path) -> int:
    """Make byte code that is valid now valid in a deployment, too; returns the number of files.

    A .pyc names the time of its source (PEP 552: flags 0, then seconds and size); deployed files
    have the time 0, so that the modules of packages that dpkg unpacked itself would be compiled
    anew, in memory, at each start.  Those with the hash of their source are left alone.
    """
    count = 0
    with DirTree(root) as tree:
        along = None if os.path.samestat(os.stat(root), os.stat(upper)) else upper
        for found in walk(tree, "usr", along=along):
            if not found.is_file or not found.name.endswith(".pyc"):
                continue
            data = tree.read(found.path) or b""
            source = tree.stat(_source_of(found.path))
            if len(data) < _PYC.size or source is None:
                continue
            magic, flags, seconds, size = _PYC.unpack_from(data)
            if flags != 0 or seconds == 0:
                continue
            if (seconds, size) != (int(source.st_mtime) & _WORD, source.st_size & _WORD):
                continue  # stale: Python would not use it either
            new = _PYC.pack(magic, 0, 0, size) + data[_PYC.size :]
            owner = found.info.st_uid, found.info.st_gid
            tree.write(found.path, new, mode=found.info.st_mode & 0o7777, owner=owner)
            count += 1
    return count


def _source_of(path: str) -> str:
    """`a/__pycache__/b.cpython-311.opt-1.pyc` -> `a/b.py` (PEP 3147); else the file beside it."""
    folder, _, name = path.rpartition("/")
    above, _, last = folder.rpartition("/")
    if last == "__pycache__":
        return f"{above}/{name.split('.')[0]}.py"
    return path[:-1]

"""The top level of a tree: what is a directory, what a link, what stays empty.

Packages expect a plain Debian root; ostree wants everything in `/usr`, defaults in `/usr/etc` and
nothing in `/var`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.system import fs

DPKG = "usr/lib/sysimage/dpkg"
BASE_DPKG = "usr/lib/sysimage/apt-ostree-base-db"
# Aliases of merged-/usr; the multilib ones only where a package put something there.
MERGED: Mapping[str, str] = {name: f"usr/{name}" for name in ("bin", "sbin", "lib")}
MULTILIB = ("lib32", "lib64", "libx32", "libo32")
EMPTY = ("boot", "dev", "proc", "run", "sys", "sysroot", "var")
STATE_LINKS: Mapping[str, str] = {
    "home": "var/home",
    "root": "var/roothome",
    "srv": "var/srv",
    "mnt": "var/mnt",
    "media": "run/media",
    "ostree": "sysroot/ostree",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """`opt_usrlocal` is `var`, `root` or `state-overlay`; `tmp_is_dir` as in the treefile."""

    opt_usrlocal: str = "var"
    tmp_is_dir: bool = True

    @property
    def links(self) -> dict[str, str]:
        out = {**MERGED, **STATE_LINKS}
        match self.opt_usrlocal:
            case "var":
                out["opt"] = "var/opt"
                out["usr/local"] = "../var/usrlocal"
            case "state-overlay":
                out["opt"] = "usr/lib/opt"
        if not self.tmp_is_dir:
            out["tmp"] = "sysroot/tmp"
        return out


def create(root: Path, layout: Layout, *, arch: str) -> None:
    """Make the skeleton of an empty tree, before any package puts files into it."""
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/etc", DPKG, *EMPTY):
        (root / name).mkdir(parents=True, exist_ok=True)
    if layout.tmp_is_dir:
        (root / "tmp").mkdir()
        os.chmod(root / "tmp", 0o1777)
    if layout.opt_usrlocal == "root":
        (root / "opt").mkdir()
        (root / "usr/local").mkdir()
    if layout.opt_usrlocal == "state-overlay":
        (root / "usr/lib/opt").mkdir(parents=True)
        (root / "usr/local").mkdir()
    links = layout.links
    if arch in ("amd64", "ppc64el", "s390x", "loong64"):
        links["lib64"] = "usr/lib64"
        (root / "usr/lib64").mkdir(exist_ok=True)
    for name, target in links.items():
        os.symlink(target, root / name)


def finish(root: Path) -> None:
    """After the last script: aliases for multilib directories, and nothing where ostree forbids.

    Packages find `/lib32` real when nothing made it a link before; it moves below `/usr`.
    """
    for name in MULTILIB:
        alias, real = root / name, root / "usr" / name
        if alias.is_dir() and not alias.is_symlink():
            real.mkdir(exist_ok=True)
            for entry in alias.iterdir():
                os.rename(entry, real / entry.name)
            alias.rmdir()
        if real.is_dir() and not alias.is_symlink():
            os.symlink(f"usr/{name}", alias)
    for name in ("boot", "dev", "run", "sys", "proc", "tmp", "sysroot"):
        folder = root / name
        if folder.is_dir() and not folder.is_symlink():
            for entry in folder.iterdir():
                fs.remove_tree(entry)
    _link_snap(root)
    for name in ("vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old", ".dockerenv"):
        fs.remove_tree(root / name)


def _link_snap(root: Path) -> None:
    """Where snapd is, `/snap` leads below /var; it could not make directories in the root."""
    snap = root / "snap"
    if not (root / DPKG / "info/snapd.list").exists() or snap.is_symlink():
        return
    if snap.is_dir():
        snap.rmdir()
    os.symlink("var/lib/snapd/snap", snap)


def check(root: Path) -> None:
    """Refuse a tree that ostree or the machine could not use.  Raises AptOstreeError."""
    if not (root / "usr").is_dir():
        raise AptOstreeError("Missing /usr")
    for name, target in MERGED.items():
        alias = root / name
        if not alias.is_symlink() or os.readlink(alias) not in (target, f"/{target}"):
            raise AptOstreeError(
                f"/{name} is not a link to {target}", hint="only merged-/usr trees can be built"
            )


def create_database(root: Path, arches: Sequence[str]) -> None:
    """An empty dpkg database; the first of `arches` is native (dpkg: `dpkg --add-architecture`)."""
    admindir = root / DPKG
    for name in ("info", "parts", "triggers", "updates"):
        (admindir / name).mkdir(parents=True, exist_ok=True)
    (admindir / "status").touch()
    (admindir / "diversions").touch()
    (admindir / "info/format").write_text("1\n")
    if len(arches) > 1:
        (admindir / "arch").write_text("".join(f"{a}\n" for a in arches))

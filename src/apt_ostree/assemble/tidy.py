"""The last look at a tree before it is committed: everything that scripts left finds its place."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.assemble import normalize, secrets, var, varseed
from apt_ostree.assemble.accounts import Accounts
from apt_ostree.assemble.dirtree import DirTree
from apt_ostree.assemble.layout import BASE_DPKG, DPKG

ALTERNATIVES = f"{DPKG}/alternatives"
# The links are in /etc, so what they may lead to must be merged with them.
ALTERNATIVES_HOME = "usr/etc/alternatives-admindir"


def tree(root: Path, upper: Path, *, accounts: Accounts, is_base: bool) -> var.Harvest:
    """Normalise, drop secrets, and bring `/var` into the tree.

    `upper` is the overlay's upper directory, `root` itself for a plain root.  `is_base` is true
    for a compose, whose lines other builds add to.  Cost: O(upper).
    """
    secrets.remove(root, upper)
    if is_base:
        secrets.write_unit(root)
        varseed.write_integration(root)
    move_alternatives(root)
    normalize.leftovers(root, upper)
    normalize.pyc(root, upper)
    normalize.selinux(root)
    normalize.package_state(root)
    conf = varseed.BASE_CONF if is_base else varseed.LAYER_CONF
    return var.harvest(root, upper, accounts=accounts, conf=conf)


def move_alternatives(root: Path) -> None:
    """Keep update-alternatives' admin files in `/etc`, beside the links they describe.

    Otherwise `--set` on a machine would refer to choices that a later image no longer has.
    """
    with DirTree(root) as tree:
        if not tree.is_dir(ALTERNATIVES):
            return
        tree.make_dirs(ALTERNATIVES_HOME)
        for name in tree.names(ALTERNATIVES):
            tree.rename(f"{ALTERNATIVES}/{name}", f"{ALTERNATIVES_HOME}/{name}")
        tree.remove(ALTERNATIVES)
        tree.symlink(ALTERNATIVES, "/etc/alternatives-admindir")


def record_base(root: Path) -> None:
    """Copy the package database beside itself: what is in the base stays known when packages are
    layered and the base commit is gone.  Links where the filesystem can, so it costs no space."""
    source, target = root / DPKG, root / BASE_DPKG
    target.mkdir(parents=True, exist_ok=True)
    for name in ("status", "arch"):
        if (source / name).is_file():
            (target / name).unlink(missing_ok=True)
            (target / name).write_bytes((source / name).read_bytes())
            os.chmod(target / name, 0o644)

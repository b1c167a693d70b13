"""`/opt` of a tree whose `/opt` is in `/var`: vendors' directories live in `/usr/lib/opt`.

Each is reached through a link `/var/opt/VENDOR`, which becomes a tmpfiles.d line.
"""

from __future__ import annotations

from apt_ostree.assemble.dirtree import DirTree

HOME = "usr/lib/opt"
LINKS = "var/opt"


def settle(tree: DirTree) -> None:
    """Bring what dpkg or scripts made in `/opt` home, and take away what a purge left there."""
    for name in tree.names(LINKS):
        if tree.is_dir(f"{LINKS}/{name}"):
            tree.make_dirs(HOME)
            _merge(tree, f"{LINKS}/{name}", f"{HOME}/{name}")
            tree.symlink(f"{LINKS}/{name}", f"../../{HOME}/{name}")
    if tree.readlink("opt") != LINKS:
        return
    for name in tree.names(HOME):
        # dpkg has removed the link, and does not see the empty directory behind it
        is_left = tree.is_dir(f"{HOME}/{name}") and tree.stat(f"{LINKS}/{name}") is None
        if is_left and not tree.names(f"{HOME}/{name}"):
            tree.remove(f"{HOME}/{name}")


def _merge(tree: DirTree, source: str, target: str) -> None:
    """Move `source` over `target`; directories entry by entry, since several packages may share
    one."""
    if not tree.is_dir(source):
        if tree.is_dir(target):
            tree.remove(target)
        tree.rename(source, target)
        return
    if tree.stat(target) is not None and not tree.is_dir(target):
        tree.remove(target)
    tree.make_dirs(target)
    tree.copy_attributes(source, target)
    for name in tree.names(source):
        _merge(tree, f"{source}/{name}", f"{target}/{name}")
    tree.remove(source)

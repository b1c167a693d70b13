"""What processes that were killed left on a sysroot, beside what pruning deletes."""

from __future__ import annotations

from apt_ostree.assemble import workspace
from apt_ostree.ostree.sysroot import Sysroot
from apt_ostree.system import fs

# Below each stateroot's /var.
_PLACES = ("cache/apt-ostree", "cache/apt-ostree/archives", "lib/apt-ostree",
           "lib/apt-ostree/history")  # fmt: skip


def sweep(sysroot: Sysroot) -> int:
    """Remove builds, downloads and half-written files that nobody works on any more; how many.

    Mounts ended with the mount namespace of the process that made them.
    """
    count = workspace.sweep(sysroot.repo.path) + fs.sweep_scratch()
    for stateroot in sysroot.stateroots:
        var = sysroot.path / "ostree/deploy" / stateroot / "var"
        count += sum(fs.sweep(var / place, ".") for place in _PLACES)
    return count

"""The rule that a tree has exactly one kernel image.

On Debian the ABI is part of a kernel's package name, so a new kernel is an addition to apt, and
the old one would stay.  A tree has room for one: `linux-image-6.1.0-57-amd64` replaces
`linux-image-6.1.0-56-amd64`, and whatever depends on exactly the old image goes with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import apt_pkg

from apt_ostree.apt.engine.view import View

# `linux-image-amd64` and `linux-image-generic` are metas; an image has its version in its name.
_IMAGE = re.compile(r"linux-image-(unsigned-)?\d.*(?<!-dbg)(?<!-dbgsym)$")
_CLASS = re.compile(r"linux-(image|modules|modules-extra|headers)-")
# The smallest image is tens of megabytes, a meta package has a changelog and a copyright file.
_IMAGE_BYTES = 1_000_000


def is_image(version: apt_pkg.Version) -> bool:
    """Whether `version` is a kernel image itself (not a meta package, not debug symbols)."""
    name = version.parent_pkg.name
    return bool(_IMAGE.fullmatch(name)) and version.installed_size >= _IMAGE_BYTES


def superseded(
    view: View,
    depcache: apt_pkg.DepCache,
    changed: Sequence[apt_pkg.Package],
    known: Sequence[apt_pkg.Package],
) -> list[tuple[apt_pkg.Package, str]]:
    """Installed kernel packages that must go for the result's new image, with that image's name.

    `changed` is what the result changes, `known` are those found before.  Removing an image
    breaks the meta package that depends on it; metas of the kernel class therefore go along.
    Empty when no new image comes in.
    """
    new = [p for p in changed if not p.current_ver
           and (c := depcache.get_candidate_ver(p)) and is_image(c)]  # fmt: skip
    if not new:
        return []
    by = sorted(p.name for p in new)[0]
    gone = {p.id for p in known}
    stay = [p for p in view.installed if p.id not in gone and not depcache.marked_delete(p)]
    out = [(p, by) for p in stay if p.current_ver and is_image(p.current_ver)]
    gone |= {p.id for p, _ in out}
    for package in stay:
        version = depcache.get_candidate_ver(package)
        is_meta = package.id not in gone and _CLASS.match(package.name) and version
        if is_meta and version and _needs_any(version, gone):
            out.append((package, by))
    return out


def _needs_any(version: apt_pkg.Version, going: set[int]) -> bool:
    """Whether one of `version`'s hard dependencies can only be met by a package of `going`."""
    for kind in ("Depends", "PreDepends"):
        for group in version.depends_list.get(kind, []):
            targets = {t.parent_pkg.id for d in group for t in d.all_targets()}
            if targets and targets <= going:
                return True
    return False

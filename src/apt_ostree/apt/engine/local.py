"""Local .debs as an apt source: a Packages file made from their control stanzas.

libapt takes it from the lists directory like any other index, so nothing is fetched.  Since the
root's own lists directory stays untouched, the job works on a directory of links to it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from apt_ostree.apt import deb822
from apt_ostree.apt.engine import Context
from apt_ostree.apt.engine.view import LOCAL, LOCAL_PREFIX, LOCAL_URI
from apt_ostree.apt.solve import CachedDeb, LocalDeb
from apt_ostree.apt.sources import Source
from apt_ostree.errors import PackageError
from apt_ostree.system import fs

SOURCE = Source(id=LOCAL, uris=(LOCAL_URI,), suite="./", options=(("Trusted", "yes"),), where=LOCAL)


def prepare(context: Context, debs: Sequence[LocalDeb]) -> Context:
    """A context whose lists hold `debs` too (as the source `SOURCE`).

    The directory of links has a fixed place in the cache directory where there is one, so that
    the parsed indexes of one solve serve the next one with the same files.
    """
    root = context.root
    home = root.cache / "local" if root.cache else context.work / "local"
    lists = home / "lists"
    fs.remove_tree(lists)
    (lists / "partial").mkdir(parents=True)
    for entry in os.scandir(root.lists) if root.lists.is_dir() else ():
        if entry.is_file() and entry.name != "lock":
            os.symlink(os.path.abspath(entry.path), lists / entry.name)
    index = lists / f"{LOCAL_PREFIX}._Packages"
    index.write_text(packages_text(debs))
    # apt keys its cache by size and time of the index files, and two indexes may have one size
    stamp = zlib.crc32(index.read_bytes())
    os.utime(index, (stamp, stamp))
    cache = home if root.cache else None
    return replace(context, root=replace(root, lists=lists, cache=cache))


def packages_text(debs: Iterable[LocalDeb]) -> str:
    """The index of `debs`; PackageError for a control stanza that is none."""
    stanzas = []
    for deb in sorted(debs, key=lambda d: d.sha256):
        stanza = stanza_of(deb)
        for name in ("Filename", "Size", "SHA256", "MD5sum", "SHA1", "SHA512", "Status"):
            stanza.pop(name, None)
        stanza["Filename"] = f"./{deb.sha256}.deb"
        stanza["Size"] = str(deb.size_bytes)
        stanza["SHA256"] = deb.sha256
        stanzas.append(stanza)
    return deb822.render(stanzas)


def stanza_of(deb: LocalDeb) -> deb822.Stanza:
    found = deb822.parse(deb.control, str(deb.path))
    if len(found) != 1 or not all(found[0].get(n) for n in ("Package", "Version", "Architecture")):
        raise PackageError(f"{deb.path}: control has no Package, Version and Architecture")
    return found[0]


def from_cache(cached: Iterable[CachedDeb], but: Iterable[LocalDeb]) -> tuple[LocalDeb, ...]:
    """Cached packages as local ones, except those that are among `but`."""
    given = {d.sha256 for d in but}
    return tuple(
        LocalDeb(Path(), c.sha256, c.size_bytes, c.control)
        for c in cached
        if c.control and c.sha256 not in given
    )


def paths(debs: Iterable[LocalDeb]) -> dict[str, str]:
    return {d.sha256: str(Path(d.path)) for d in debs}

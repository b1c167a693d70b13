"""The apt sources that a treefile brings along: `*.sources` and `*.list` files beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import files
from apt_ostree.treefile.schema import Treefile
from apt_ostree.treefile.values import FileRef

SUFFIXES = (".sources", ".list")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of sources; `text` is its content with the variables replaced."""

    id: str  # the file's name without suffix
    path: Path
    text: str


def find(treefile: Treefile) -> tuple[SourceFile, ...]:
    """The files that define the sources named by `repos` and `lockfile-repos`.

    Empty when the treefile names none: then the host's own sources serve.  `NAME:SUITE` is a suite
    of the file NAME.  The directories of all included treefiles are searched, the main one first.
    TreefileError names what there is when a source is missing.
    """
    wanted: dict[str, str] = {}
    for key, names in (
        ("repos", treefile.repos or ()),
        ("lockfile-repos", treefile.lockfile_repos),
    ):
        for name in names:
            wanted.setdefault(name.partition(":")[0], key)
    known = _present(treefile.directories)
    found = []
    for name, key in wanted.items():
        ref = known.get(name)
        if ref is None:
            raise TreefileError(
                f"no apt source '{name}' beside the treefile", where=treefile.where_of(key),
                hint="there are: " + ", ".join(sorted(known)) if known
                else f"put {name}.sources beside it",
            )  # fmt: skip
        text, _ = files.read_text(ref)
        found.append(SourceFile(name, ref.path, render(text, variables_of(treefile))))
    return tuple(found)


def variables_of(treefile: Treefile) -> Mapping[str, str]:
    """What `$name` stands for in source files: `repovars` and the names of suite and machine."""
    release = "" if treefile.releasever is None else str(treefile.releasever)
    fixed = {"basearch": treefile.basearch, "arch": treefile.basearch}
    if release:
        fixed |= {"releasever": release, "suite": release}
    return {**treefile.repovars, **fixed}


def render(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$name` and `${name}`; a name that is not known stays (apt's own `$(ARCH)` too)."""
    return VARIABLE.sub(
        lambda found: variables.get(found.group(1) or found.group(2), found.group()), text
    )


def _present(directories: tuple[Path, ...]) -> dict[str, FileRef]:
    found: dict[str, FileRef] = {}
    for directory in directories:
        try:
            names = sorted(os.listdir(directory), reverse=True)  # .sources before .list
        except OSError:
            continue
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix in SUFFIXES:
                found.setdefault(stem, FileRef(name, directory, str(directory / name)))
    return found

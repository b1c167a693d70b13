"""Files that include files: from the name of the main treefile to the one value.

The included file is the parent.  Of single values the file's own wins, then the earlier of two
includes; lists are the parent's items and then the file's own; sets are put together.  A file that
several others include is read once, where it is met first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import files, packages, result
from apt_ostree.treefile.forms import RESERVED_VARIABLES
from apt_ostree.treefile.kinds import union
from apt_ostree.treefile.node import Fault
from apt_ostree.treefile.parse import ConditionalInclude, Format, Fragment, parse
from apt_ostree.treefile.schema import TABLE, Treefile
from apt_ostree.treefile.values import FileRef
from apt_ostree.treefile.variables import Variable

MAX_INCLUDE_DEPTH = 50
Scope = Mapping[str, Variable]


@dataclass(frozen=True, slots=True)
class Merged:
    """Several fragments as one; the directories are in order of precedence."""

    values: Mapping[str, Any]
    where: Mapping[str, str]
    directories: tuple[Path, ...]


def load(path: Path, *, basearch: str, variables: Scope | None = None) -> Treefile:
    """The treefile at `path` with everything it includes.

    `basearch` (dpkg's name) is used unless the file has a key of that name; `variables` win over
    those of the files.  TreefileError names file and line of what is wrong, including files that
    are named but cannot be read.
    """
    loader = _Loader(basearch, variables or {})
    # A name such as "sub/x.yaml" is looked up from "sub", as an include would be.
    ref = FileRef(path.name, path.parent, str(path))
    merged = loader.file(ref, loader.scope, ())
    assert merged is not None  # only a second reading of a file gives nothing
    treefile = result.build(merged.values, merged.where, merged.directories, source=str(path))
    result.check_files(treefile)
    return treefile


def load_text(
    text: str,
    *,
    basearch: str,
    source: str = "-",
    directory: Path = Path(),
    form: Format = Format.JSON,
    variables: Scope | None = None,
) -> Treefile:
    """The same for a treefile that is not in a file; `directory` is where its files are."""
    loader = _Loader(basearch, variables or {})
    fragment = parse(text, source=source, directory=directory, form=form)
    merged = loader.top(fragment)
    return result.build(merged.values, merged.where, merged.directories, source=source)


def merge(included: Merged, own: Merged) -> Merged:
    """Put a parent under a file, each key by its rule."""
    values = {**included.values, **own.values}
    for name in included.values.keys() & own.values.keys():
        values[name] = TABLE[name].kind.merge(included.values[name], own.values[name])
    directories = dict.fromkeys((*own.directories, *included.directories))
    return Merged(values, {**included.where, **own.where}, tuple(directories))


class _Loader:
    def __init__(self, basearch: str, variables: Scope) -> None:
        for name in RESERVED_VARIABLES:
            if name in variables:
                raise TreefileError(f"cannot define reserved variable '{name}'", where="variables")
        self.basearch = packages.architecture(basearch) or basearch
        self.variables = variables
        self.seen: set[tuple[int, int]] = set()

    @property
    def scope(self) -> Scope:
        return {**self.variables, "basearch": self.basearch}

    def file(self, ref: FileRef, scope: Scope, stack: tuple[tuple[int, int], ...]) -> Merged | None:
        """What a file and its includes say; None when it was read before."""
        if len(stack) > MAX_INCLUDE_DEPTH:
            raise TreefileError(
                f"Reached maximum include depth {MAX_INCLUDE_DEPTH}", where=ref.where
            )
        text, identity = files.read_text(ref)
        form = Format.of(ref.name)
        if identity in stack:
            message = (
                f"Recursive include: {ref.name}" if form is Format.KICKSTART
                else f"Include loop detected; {ref.path} was already included"
            )  # fmt: skip
            raise TreefileError(message, where=ref.where)
        if identity in self.seen:
            return None
        self.seen.add(identity)
        fragment = parse(text, source=str(ref.path), directory=ref.path.parent, form=form)
        if not stack:
            return self.top(fragment, (identity,))
        return self.expand(fragment, scope, (*stack, identity))

    def top(self, fragment: Fragment, stack: tuple[tuple[int, int], ...] = ()) -> Merged:
        """The main file: it decides the architecture, and the caller's variables go on top."""
        self.basearch = fragment.values.get("basearch", self.basearch)
        merged = self.expand(fragment, self.scope, stack)
        values = {**merged.values, "basearch": self.basearch}
        if self.variables:
            values["variables"] = {**values.get("variables", {}), **self.variables}
        return Merged(values, merged.where, merged.directories)

    def expand(
        self, fragment: Fragment, outer: Scope, stack: tuple[tuple[int, int], ...]
    ) -> Merged:
        own = self._own(fragment)
        scope = {**_variables_of(own), **outer}
        plain = (*fragment.include, *fragment.arch_include.get(self.basearch, ()))
        parents = [self.file(ref, scope, stack) for ref in plain]
        # Defaults that included files give to variables can be asked for here.
        known = dict(scope)
        for parent in parents:
            if parent is not None:
                known = {**_variables_of(parent), **known}
        merged = own
        conditional: list[Merged | None] = []
        for entry in fragment.conditional_include:
            if not _holds(entry, known):
                continue
            if entry.inline is not None:
                merged = merge(self.expand(entry.inline, scope, stack), merged)
            conditional.extend(self.file(ref, scope, stack) for ref in entry.files)
        for parent in (*parents, *conditional):
            merged = merged if parent is None else merge(parent, merged)
        return merged

    def _own(self, fragment: Fragment) -> Merged:
        arch = fragment.values.get("basearch", self.basearch)
        if arch != self.basearch:
            raise TreefileError(
                f"Invalid basearch {arch} on {self.basearch}", where=fragment.where["basearch"],
                hint="only the main treefile can choose the architecture",
            )  # fmt: skip
        values = dict(fragment.values)
        extra = fragment.arch_packages.get(self.basearch, ())
        if extra:
            values["packages"] = union(values.get("packages", ()), extra)
        return Merged(values, fragment.where, (fragment.directory,))


def _variables_of(merged: Merged) -> Scope:
    found: dict[str, Variable] = dict(merged.values.get("variables", {}))
    if "releasever" in merged.values:
        found["releasever"] = merged.values["releasever"]
    return found


def _holds(entry: ConditionalInclude, variables: Scope) -> bool:
    """Every condition is looked at, so that a mistake in the second shows when the first fails."""
    try:
        results = [condition.holds(variables) for condition in entry.conditions]
    except Fault as fault:
        raise TreefileError(fault.message, where=entry.where, hint=fault.hint) from fault
    return all(results)

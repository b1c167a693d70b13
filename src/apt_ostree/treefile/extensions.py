"""The file of `compose extensions`: packages that are offered beside a tree, not in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import files, forms, jsontext, kinds, yamltext
from apt_ostree.treefile.node import Node, Reader
from apt_ostree.treefile.parse import Format
from apt_ostree.treefile.values import FileRef

OS_EXTENSION = "os-extension"
KIND = kinds.choice(OS_EXTENSION, "development")
NAMES = kinds.list_of(kinds.word)
ARCHITECTURES = kinds.list_of(forms.basearch, merge=kinds.union)


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; no `architectures` means every one."""

    name: str
    packages: tuple[str, ...]
    repos: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    match_base_evr: str | None = None
    kind: str = OS_EXTENSION
    where: str = ""

    def requests(self, base: Mapping[str, str]) -> tuple[str, ...]:
        """What to ask the solver for, on a base with these packages (name -> version).

        With `match-base-evr` each package is pinned to the version of that package of the base.
        TreefileError when the base lacks it, or has what an os-extension would add.
        """
        if self.kind == OS_EXTENSION:
            for name in self.packages:
                if name in base:
                    raise TreefileError(
                        f"package {name} already present in base", where=self.where,
                        hint=f"leave it out of '{self.name}'",
                    )  # fmt: skip
        if self.match_base_evr is None:
            return self.packages
        version = base.get(self.match_base_evr)
        if version is None:
            raise TreefileError(
                f"couldn't find base package {self.match_base_evr}", where=self.where
            )
        return tuple(f"{name}={version}" for name in self.packages)


@dataclass(frozen=True, slots=True)
class Extensions:
    """All extensions of a file, by name; `repos` are the apt sources of all of them together."""

    extensions: tuple[Extension, ...] = ()
    repos: tuple[str, ...] = ()

    def for_arch(self, basearch: str) -> tuple[Extension, ...]:
        return tuple(
            extension
            for extension in self.extensions
            if not extension.architectures or basearch in extension.architectures
        )


def load(path: Path) -> Extensions:
    """Read a file of extensions (YAML, or JSON by its name); TreefileError with every mistake."""
    text, _ = files.read_text(FileRef(path.name, path.parent, str(path)))
    return parse(text, source=str(path))


def parse(text: str, *, source: str) -> Extensions:
    reader = Reader(source, Path(source).parent)
    found = Extensions()
    with reader.collecting():
        is_yaml = Format.of(source) is Format.YAML
        root = yamltext.parse(text) if is_yaml else jsontext.parse(text)
        top = kinds.record(root, optional=("repos", "extensions"))
        repos = NAMES.decode(top["repos"], reader) if "repos" in top else ()
        entries = []
        for name, node in kinds.members(top["extensions"]).items() if "extensions" in top else ():
            with reader.collecting():
                entries.append(_extension(name, node, reader))
        own = (repo for entry in entries for repo in entry.repos)
        found = Extensions(
            tuple(sorted(entries, key=lambda entry: entry.name)),
            tuple(dict.fromkeys((*repos, *own))),
        )
    reader.finish()
    return found


def _extension(name: str, node: Node, reader: Reader) -> Extension:
    given = kinds.record(
        node,
        required=("packages",),
        optional=("repos", "architectures", "match-base-evr", "kind"),
    )
    match = given.get("match-base-evr")
    archs = given.get("architectures")
    return Extension(
        name,
        kinds.request_set(given["packages"], reader),
        repos=NAMES.decode(given["repos"], reader) if "repos" in given else (),
        architectures=() if archs is None else ARCHITECTURES.decode(archs, reader),
        match_base_evr=None if match is None else kinds.word(match, reader),
        kind=KIND.decode(given["kind"], reader) if "kind" in given else OS_EXTENSION,
        where=reader.where(node.key_line),
    )

"""Text of one treefile to its keys: pure, nothing is opened here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from apt_ostree.treefile import forms, jsontext, kickstart, kinds, packages, yamltext
from apt_ostree.treefile.node import Fault, Node, Reader
from apt_ostree.treefile.schema import DIRECTIVES, LEGACY, TABLE
from apt_ostree.treefile.values import FileRef
from apt_ostree.treefile.variables import Condition

PACKAGES = "packages-"


class Format(StrEnum):
    YAML = "yaml"
    JSON = "json"
    KICKSTART = "ks"

    @classmethod
    def of(cls, name: str) -> Format:
        """By the extension: .yaml and .yml, .ks, and JSON for everything else."""
        match Path(name).suffix:
            case ".yaml" | ".yml":
                return cls.YAML
            case ".ks":
                return cls.KICKSTART
        return cls.JSON


@dataclass(frozen=True, slots=True)
class Fragment:
    """One file, or one inline map: its own keys, and what it wants included.

    `values` holds decoded values by key, `where` the line of each (`FILE:LINE`), `arch_packages`
    the `packages-ARCH` keys by dpkg architecture.
    """

    source: str
    directory: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    arch_packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    include: tuple[FileRef, ...] = ()
    arch_include: Mapping[str, tuple[FileRef, ...]] = field(default_factory=dict)
    conditional_include: tuple[ConditionalInclude, ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionalInclude:
    """All `conditions` must hold; then `files` or the map `inline` is included."""

    conditions: tuple[Condition, ...]
    files: tuple[FileRef, ...] = ()
    inline: Fragment | None = None
    where: str = ""


def parse(text: str, *, source: str, directory: Path, form: Format) -> Fragment:
    """The keys of one file; TreefileError naming every mistake with its line."""
    reader = Reader(source, directory)
    with reader.collecting():
        if form is Format.KICKSTART:
            fragment = _from_kickstart(text, reader)
        else:
            root = jsontext.parse(text) if form is Format.JSON else yamltext.parse(text)
            fragment = _fragment(root, reader, is_strict=form is Format.YAML)
    reader.finish()
    return fragment


def _fragment(root: Node, reader: Reader, *, is_strict: bool) -> Fragment:
    if not isinstance(root.value, dict):
        raise Fault(root.line, "Treefile root is not an object",
                    hint="expected 'key: value' lines; see apt-ostree-treefile(5)")  # fmt: skip
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    by_arch: dict[str, tuple[str, ...]] = {}
    for written, node in root.value.items():
        with reader.collecting():
            name = LEGACY.get(written, written)
            if name != written and name in root.value:
                raise Fault(node.key_line, f"Cannot use new and legacy forms of {name}",
                            hint=f"keep '{name}'")  # fmt: skip
            if node.value is None and (name in TABLE or _arch_of(written)):
                continue  # "units:" with nothing after it is as good as absent
            if name == "conditional-include":
                values[name] = _conditionals(node, reader, is_strict=is_strict)
            elif name in TABLE:
                values[name] = TABLE[name].kind.decode(node, reader)
                where[name] = reader.where(node.key_line)
                if name == "arch-include":
                    values[name] = _by_arch(values[name], node, reader)
            elif arch := _arch_of(written):
                found = kinds.request_set(node, reader)
                by_arch[arch] = kinds.union(by_arch.get(arch, ()), found)
            elif is_strict:
                raise _unknown(written, node)
    if "bootstrap-packages" in values:
        values["packages"] = kinds.union(values.get("packages", ()), values["bootstrap-packages"])
        where.setdefault("packages", where["bootstrap-packages"])
    return Fragment(
        reader.source,
        reader.directory,
        values={name: value for name, value in values.items() if name not in DIRECTIVES},
        where=where,
        arch_packages=by_arch,
        include=values.get("include", ()),
        arch_include=values.get("arch-include", {}),
        conditional_include=values.get("conditional-include", ()),
    )


def _arch_of(key: str) -> str | None:
    return packages.architecture(key.removeprefix(PACKAGES)) if key.startswith(PACKAGES) else None


def _by_arch(
    written: Mapping[str, tuple[FileRef, ...]], node: Node, reader: Reader
) -> dict[str, tuple[FileRef, ...]]:
    found: dict[str, tuple[FileRef, ...]] = {}
    for name, files in written.items():
        with reader.collecting():
            line = kinds.members(node)[name].key_line
            arch = forms.basearch(Node(name, line, line), reader)
            found[arch] = found.get(arch, ()) + files
    return found


def _unknown(name: str, node: Node) -> Fault:
    known = [*TABLE, *LEGACY, *(PACKAGES + arch for arch in packages.ARCHITECTURES)]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "see apt-ostree-treefile(5)"
    return Fault(node.key_line, f"Unknown fields: {name}", hint=hint)


def _conditionals(node: Node, reader: Reader, *, is_strict: bool) -> tuple[ConditionalInclude, ...]:
    found = []
    for item in kinds.items(node):
        with reader.collecting():
            entry = kinds.record(item, required=("if", "include"))
            found.append(_conditional(item, entry, reader, is_strict=is_strict))
    return tuple(found)


def _conditional(
    item: Node, entry: dict[str, Node], reader: Reader, *, is_strict: bool
) -> ConditionalInclude:
    condition, include = entry["if"], entry["include"]
    written = condition.value if isinstance(condition.value, tuple) else (condition,)
    conditions = tuple(Condition.parse(kinds.text(one, reader), line=one.line) for one in written)
    where = reader.where(item.line)
    if isinstance(include.value, dict):
        inline = _fragment(include, reader, is_strict=is_strict)
        return ConditionalInclude(conditions, inline=inline, where=where)
    files = DIRECTIVES["include"].kind.decode(include, reader)
    return ConditionalInclude(conditions, files=files, where=where)


def _from_kickstart(text: str, reader: Reader) -> Fragment:
    read = kickstart.parse(text)
    lines = {"packages": read.packages, "exclude-packages": read.excludes}
    values: dict[str, Any] = {}
    for name, found in lines.items():
        node = Node(tuple(Node(word, line, line) for line, word in found), 1, 1)
        if found:
            values[name] = TABLE[name].kind.decode(node, reader)
    if read.is_without_recommends:
        values["recommends"] = False
    return Fragment(
        reader.source,
        reader.directory,
        values=values,
        where={name: reader.where(lines[name][0][0]) for name in lines if lines[name]},
        include=tuple(
            FileRef(name, reader.directory, reader.where(line)) for line, name in read.includes
        ),
    )

"""The status stanza of a freshly unpacked package, written exactly as dpkg writes it.

Field order and which fields are normalised: dpkg lib/dpkg/parse.c (`fieldinfos`), dump.c
(`varbufrecord`), fields.c.  Fields that dpkg does not know keep their order at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from apt_ostree.apt.deb import Deb
from apt_ostree.errors import PackageError

_DEPENDENCIES = (
    "replaces", "provides", "depends", "pre-depends", "recommends", "suggests", "breaks",
    "conflicts", "enhances",
)  # fmt: skip
_BEFORE = (
    "priority", "section", "installed-size", "origin", "maintainer", "bugs", "architecture",
    "multi-arch", "source", "version",
)  # fmt: skip
# Written under another name or not at all.
_ALIASES = {"class": "priority", "recommended": "recommends", "optional": "suggests"}
_DROPPED = frozenset({
    "package", "essential", "protected", "status", "config-version", "conffiles", "filename",
    "size", "md5sum", "msdos-filename", "description", "triggers-pending", "triggers-awaited",
    "revision", "package-revision", "package_revision",
})  # fmt: skip
_LOWERED = frozenset({"priority", "multi-arch"})
_RELATION = re.compile(
    r"(?P<name>[^\s(:\[<]+)(?P<arch>:[a-z0-9-]+)?\s*"
    r"(?:\(\s*(?P<op><<|<=|>>|>=|=|<|>)?\s*(?P<version>[^\s)]+)\s*\))?"
)
_OLD_OPERATORS = {"<": "<=", ">": ">=", "": "="}  # deprecated spellings, parse: f_dependency


def stanza_unpacked(deb: Deb, *, conffile_md5: Mapping[str, str]) -> str:
    """The stanza after `dpkg --unpack` on a system that never had the package; ends in a newline.

    `conffile_md5` maps absolute conffile paths to the md5 of their content: dpkg itself writes the
    word `newconffile` there and replaces it at configure time, when it moves `FILE.dpkg-new` into
    place; whoever places the files directly must write the real value.
    """
    fields = {_ALIASES.get(key, key): value for key, value in deb.fields.items()}
    lines = [f"Package: {deb.package.name}"]
    lines += [f"{name.capitalize()}: yes" for name in ("essential", "protected")
              if fields.get(name, "").strip().lower() == "yes"]  # fmt: skip
    lines.append("Status: install ok unpacked")
    fields["version"] = _version(deb.package.version)
    for name in _BEFORE:
        lines += _line(name, fields.get(name, ""))
    for name in _DEPENDENCIES:
        if fields.get(name, "").strip():
            lines.append(f"{_shown(name)}: {_relations(fields[name], deb.path.name)}")
    if deb.conffiles:
        lines.append("Conffiles:")
        for file in deb.conffiles:
            flag = " remove-on-upgrade" if file.remove_on_upgrade else ""
            md5 = conffile_md5.get(file.path, "newconffile")
            lines.append(f" {file.path} {md5}{flag}")
    lines += _line("description", fields.get("description", ""))
    known = {*_BEFORE, *_DEPENDENCIES, *_DROPPED}
    spelled = _spellings(deb.control)
    for name, value in fields.items():
        if name not in known and value.strip():
            lines.append(f"{spelled[name]}: {_value(value)}")
    return "\n".join(lines) + "\n"


def _line(name: str, value: str) -> list[str]:
    value = _value(value)
    if name in _LOWERED:
        value = value.lower()
    return [f"{_shown(name)}: {value}"] if value and (name, value) != ("multi-arch", "no") else []


def _value(text: str) -> str:
    return text.strip()


def _shown(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))


def _spellings(control: str) -> dict[str, str]:
    heads = (line.partition(":")[0] for line in control.splitlines() if line[:1] not in (" ", "\t"))
    return {head.lower(): head for head in heads}


def _relations(text: str, name: str) -> str:
    groups = [group.strip() for group in text.replace("\n", " ").split(",")]
    return ", ".join(
        " | ".join(_relation(option.strip(), name) for option in group.split("|"))
        for group in groups
        if group
    )


def _relation(text: str, name: str) -> str:
    match = _RELATION.fullmatch(text)
    if match is None:
        raise PackageError(f"'{name}' has a malformed dependency: '{text}'")
    head = match["name"] + (match["arch"] or "")
    if match["version"] is None:
        return head
    operator = match["op"] or ""
    return f"{head} ({_OLD_OPERATORS.get(operator, operator)} {_version(match['version'])})"


def _version(text: str) -> str:
    """Without an epoch of zero, unless a colon needs it (version.c, vdew_nonambig)."""
    rest = text.removeprefix("0:")
    return text if ":" in rest else rest

"""Keys with a form of their own: how each is read and checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from apt_ostree.treefile import kinds, packages
from apt_ostree.treefile.kinds import Kind, text, word
from apt_ostree.treefile.node import Fault, Node, Reader
from apt_ostree.treefile.values import (
    AccountCheck,
    AddFile,
    CustomOrigin,
    FileRef,
    Initramfs,
    OverrideReplace,
    RemoveFromPackage,
    RepoPackages,
)

RESERVED_VARIABLES = ("basearch", "releasever")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
# Where a package may put files that stay with the deployment; /usr/local belongs to the machine.
ADD_FILES_TOP = ("usr", "etc", "bin", "sbin", "lib", "lib64")
# debconf-set-selections(1); the types are those of debconf-devel(7).
DEBCONF = re.compile(
    r"[a-z0-9][a-z0-9+.-]*\s+\S+\s+"
    r"(boolean|error|multiselect|note|password|select|seen|string|text|title)(\s|\Z)", re.ASCII
)  # fmt: skip
MAX_ID = 0xFFFF_FFFE  # (uid_t) -1 means "none" to the kernel


def releasever(node: Node, reader: Reader) -> str | int:
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node.value, float):
        raise Fault(node.line, "expected a string or a whole number", hint="put it in quotes")
    return word(node, reader)


def variables(node: Node, reader: Reader) -> dict[str, bool | int | str]:
    found: dict[str, bool | int | str] = {}
    for name, item in kinds.members(node).items():
        with reader.collecting():
            if name in RESERVED_VARIABLES:
                raise Fault(item.key_line, f"cannot define reserved variable '{name}'",
                            hint=f"use the key '{name}'")  # fmt: skip
            if not VARIABLE_NAME.match(name):
                raise Fault(item.key_line, f"'{name}' is not a variable name",
                            hint="letters, digits and '_', no digit first")  # fmt: skip
            if not isinstance(item.value, bool | int | str):
                raise Fault(item.line, f"variable '{name}' is {item.type_name}",
                            hint="expected a boolean, a whole number or a string")  # fmt: skip
            found[name] = item.value
    return found


def repovars(node: Node, reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in kinds.members(node).items():
        with reader.collecting():
            if name == "releasever":
                raise Fault(item.key_line, 'Treefile repo var "releasever" invalid; '
                                           'use "releasever" field instead')  # fmt: skip
            if name == "basearch":
                raise Fault(item.key_line, 'Treefile repo var "basearch" invalid; '
                                           'it is automatically filled in')  # fmt: skip
            if not VARIABLE_NAME.match(name):
                raise Fault(item.key_line, f"'{name}' is not a variable name")
            found[name] = text(item, reader)
    return found


def basearch(node: Node, reader: Reader) -> str:
    name = word(node, reader)
    known = packages.architecture(name)
    if known is None:
        raise Fault(node.line, f"unknown architecture '{name}'",
                    hint="expected one of " + ", ".join(packages.ARCHITECTURES))  # fmt: skip
    return known


def selinux_label_version(node: Node, reader: Reader) -> int:
    value = kinds.integer(node, reader)
    if value not in (0, 1):
        raise Fault(node.line, f"Invalid selinux-label-version: {value}")
    return value


def version_suffix(node: Node, reader: Reader) -> str:
    value = text(node, reader)
    if len(value) != 1 or not value.isascii() or not value.isprintable():
        raise Fault(node.line, "Invalid automatic-version-suffix, must be exactly one ASCII "
                               f"character: {value}")  # fmt: skip
    return value


def unit(node: Node, reader: Reader) -> str:
    name = word(node, reader)
    if "/" in name or "." not in name.strip("."):
        raise Fault(node.line, f"'{name}' is not a unit name",
                    hint="write it with its suffix, as in ssh.service")  # fmt: skip
    return name


def tree_path(node: Node, reader: Reader) -> str:
    """A path in the tree, relative to its root."""
    path = text(node, reader)
    if path.startswith("/"):
        raise Fault(node.line, f"'{path}' must be relative to the tree",
                    hint=f"write '{path.lstrip('/')}'")  # fmt: skip
    if not path or "\0" in path or ".." in PurePosixPath(path).parts or path.strip("./") == "":
        raise Fault(node.line, f"'{path}' is not a path below the tree")
    return path.rstrip("/")


def file_ref(node: Node, reader: Reader) -> FileRef:
    name = text(node, reader)
    if not name or "\0" in name:
        raise Fault(node.line, "expected the name of a file")
    return FileRef(name, reader.directory, reader.where(node.line))


def add_file(node: Node, reader: Reader) -> AddFile:
    pair = kinds.items(node)
    if len(pair) != 2:
        raise Fault(node.line, "expected a pair [SOURCE, DESTINATION]")
    written = text(pair[1], reader)
    dest = written.lstrip("/")
    parts = PurePosixPath(dest).parts
    if (len(parts) < 2 or parts[0] not in ADD_FILES_TOP or parts[:2] == ("usr", "local")
            or ".." in parts or "\0" in dest or dest.endswith("/")):  # fmt: skip
        raise Fault(pair[1].line, f"Invalid add-files destination: {written}",
                    hint="a file below " + ", ".join(ADD_FILES_TOP)
                         + ", but not below usr/local")  # fmt: skip
    return AddFile(file_ref(pair[0], reader), dest)


def script(node: Node, reader: Reader) -> str:
    body = text(node, reader)
    if not body.startswith("#!") or "\0" in body:
        raise Fault(node.line, "a postprocess script must start with '#!'",
                    hint="for example #!/bin/sh")  # fmt: skip
    return body


def remove_from_package(node: Node, reader: Reader) -> RemoveFromPackage:
    parts = [text(item, reader) for item in kinds.items(node)]
    if len(parts) < 2:
        raise Fault(node.line, "expected [PACKAGE, REGEX, …]")
    for pattern in parts[1:]:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as err:
            raise Fault(node.line, f"'{pattern}' is not a regular expression: {err}") from err
    return RemoveFromPackage(parts[0], tuple(parts[1:]))


def debconf(node: Node, reader: Reader) -> str:
    line = text(node, reader)
    if not DEBCONF.match(line) or "\n" in line:
        raise Fault(node.line, f"'{line}' is not a debconf selection",
                    hint="expected PACKAGE QUESTION TYPE VALUE")  # fmt: skip
    return line


def repo_packages(node: Node, reader: Reader) -> RepoPackages:
    found = kinds.record(node, required=("repo", "packages"))
    return RepoPackages(word(found["repo"], reader), kinds.request_set(found["packages"], reader))


def override_replace(node: Node, reader: Reader) -> OverrideReplace:
    found = kinds.record(node, required=("from", "packages"))
    origin = kinds.record(found["from"], required=("repo",))
    return OverrideReplace(
        word(origin["repo"], reader), kinds.request_set(found["packages"], reader)
    )


def grouped(decode_item: Callable[[Node, Reader], Any]) -> Kind:
    """A list of sources with packages, in which a package belongs to one source only."""
    plain = kinds.list_of(decode_item)

    def decode(node: Node, reader: Reader) -> tuple[Any, ...]:
        return packages.last_group_wins(plain.decode(node, reader))

    return Kind("list of maps", decode, kinds.groups)


def account_check(*, is_group: bool) -> Kind:
    def ids(node: Node, reader: Reader) -> tuple[int, int]:
        parts = node.value if isinstance(node.value, tuple) and not is_group else (node,)
        numbers = [kinds.integer(part, reader) for part in parts]
        if not 1 <= len(numbers) <= 2 or max(numbers) > MAX_ID:
            raise Fault(node.line, "expected an id" + ("" if is_group else " or [UID, GID]"))
        return numbers[0], numbers[-1]

    def decode(node: Node, reader: Reader) -> AccountCheck:
        found = kinds.members(node)
        if "type" not in found:
            raise Fault(node.line, "missing key 'type'",
                        hint="one of none, previous, file, data")  # fmt: skip
        kind = kinds.choice("none", "previous", "file", "data").decode(found["type"], reader)
        match kind:
            case "file":
                kinds.record(node, required=("type", "filename"))
                return AccountCheck(kind, file=file_ref(found["filename"], reader))
            case "data":
                kinds.record(node, required=("type", "entries"))
                entries = kinds.map_of(ids).decode(found["entries"], reader)
                return AccountCheck(kind, entries=entries)
        kinds.record(node, required=("type",))
        return AccountCheck(kind)

    return Kind("map", decode)


def initramfs(node: Node, reader: Reader) -> Initramfs:
    found = kinds.record(node, required=("regenerate",), optional=("etc", "args"))
    return Initramfs(
        regenerate=kinds.boolean(found["regenerate"], reader),
        etc=kinds.WORD_SET.decode(found["etc"], reader) if "etc" in found else (),
        args=kinds.STRINGS.decode(found["args"], reader) if "args" in found else (),
    )


def custom_origin(node: Node, reader: Reader) -> CustomOrigin:
    found = kinds.record(node, required=("url",), optional=("description",))
    description = found.get("description")
    return CustomOrigin(
        text(found["url"], reader), None if description is None else text(description, reader)
    )

"""The kinds of value a key can have: how each is read from a node and how two of them merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apt_ostree.treefile import packages
from apt_ostree.treefile.node import Fault, Node, Reader

Decode = Callable[[Node, Reader], Any]
Merge = Callable[[Any, Any], Any]  # (what was included, the file's own) -> both together


# --- merging ---


def own_wins(included: Any, own: Any) -> Any:  # noqa: ARG001 - the shape of every merge rule
    return own


def append(included: tuple[Any, ...], own: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists: what was included comes first."""
    return included + own


def union(included: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*included, *own}))


def own_keys_win(included: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    return {**included, **own}


def groups(included: tuple[Any, ...], own: tuple[Any, ...]) -> tuple[Any, ...]:
    return packages.last_group_wins(included + own)


MERGE_TEXT = {
    own_wins: "own value wins",
    append: "included items, then own",
    union: "all together",
    own_keys_win: "own keys win",
    groups: "own assignment of a package wins",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value; `name` is how the manual page calls it."""

    name: str
    decode: Decode
    merge: Merge = own_wins


# --- reading the parts ---


def text(node: Node, reader: Reader) -> str:  # noqa: ARG001 - the shape of every decoder
    if isinstance(node.value, str):
        return node.value
    hint = "put it in quotes" if isinstance(node.value, bool | int | float) else None
    raise Fault(node.line or node.key_line, f"expected a string, not {node.type_name}", hint=hint)


def word(node: Node, reader: Reader) -> str:
    """A string that is not empty and has no blanks or control characters."""
    value = text(node, reader)
    if not value or any(c.isspace() or not c.isprintable() for c in value):
        raise Fault(node.line, f"{value!r} is not a single word")
    return value


def boolean(node: Node, reader: Reader) -> bool:  # noqa: ARG001
    if isinstance(node.value, bool):
        return node.value
    is_word = isinstance(node.value, str) and node.value.lower() in ("yes", "no", "on", "off")
    raise Fault(node.line, f"expected a boolean, not {node.type_name}",
                hint="write true or false" if is_word else None)  # fmt: skip


def integer(node: Node, reader: Reader) -> int:  # noqa: ARG001
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0:
        return node.value
    raise Fault(node.line, f"expected a number from 0 up, not {node.type_name}")


def items(node: Node) -> tuple[Node, ...]:
    if isinstance(node.value, tuple):
        return node.value
    raise Fault(node.key_line or node.line, f"expected a list, not {node.type_name}")


def members(node: Node) -> dict[str, Node]:
    if isinstance(node.value, dict):
        return node.value
    raise Fault(node.key_line or node.line, f"expected a map, not {node.type_name}")


def record(node: Node, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
           ) -> dict[str, Node]:  # fmt: skip
    """A map with exactly these keys."""
    found = members(node)
    for key, item in found.items():
        if key not in required + optional:
            raise Fault(item.key_line, f"unknown key '{key}'",
                        hint="expected " + ", ".join(required + optional))  # fmt: skip
    for key in required:
        if key not in found:
            raise Fault(node.line, f"missing key '{key}'")
    return found


# --- kinds made of parts ---


def choice(*names: str, **aliases: str) -> Kind:
    def decode(node: Node, reader: Reader) -> str:
        # YAML reads 2024 as a number; no choice is a number that is not also a word.
        is_number = isinstance(node.value, int) and not isinstance(node.value, bool)
        value = str(node.value) if is_number else text(node, reader)
        value = aliases.get(value.replace("-", "_"), value)
        if value not in names:
            raise Fault(node.line, f"'{value}' is not one of {', '.join(names)}")
        return value

    return Kind("|".join(names), decode)


def list_of(decode_item: Decode, *, merge: Merge = append, name: str = "list") -> Kind:
    def decode(node: Node, reader: Reader) -> tuple[Any, ...]:
        found = []
        for item in items(node):
            with reader.collecting():
                found.append(decode_item(item, reader))
        return tuple(sorted(set(found))) if merge is union else tuple(found)

    return Kind(name, decode, merge)


def map_of(decode_item: Decode, *, merge: Merge = own_keys_win, name: str = "map") -> Kind:
    def decode(node: Node, reader: Reader) -> dict[str, Any]:
        found = {}
        for key, item in members(node).items():
            with reader.collecting():
                found[key] = decode_item(item, reader)
        return found

    return Kind(name, decode, merge)


def request_set(node: Node, reader: Reader) -> tuple[str, ...]:
    """Package requests, sorted, each once; one item may hold several names."""
    found: set[str] = set()
    for item in items(node):
        with reader.collecting():
            found.update(
                packages.check(name, item.line)
                for name in packages.split(text(item, reader), item.line)
            )
    return tuple(sorted(found))


def any_value(node: Node, reader: Reader) -> Any:  # noqa: ARG001
    return node.plain()


STRING = Kind("string", text)
BOOLEAN = Kind("boolean", boolean)
STRINGS = list_of(text)
WORDS = list_of(word)
WORD_SET = list_of(word, merge=union, name="set")
STRING_MAP = map_of(text, name="map of strings")
DATA = map_of(any_value)
REQUESTS = Kind("set of packages", request_set, union)

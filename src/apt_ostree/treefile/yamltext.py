"""YAML text to nodes.

Plain scalars follow YAML 1.2's core schema: only `true` and `false` are booleans and `1:30` is a
string, as in every reader of such files but PyYAML's own (yaml.org/spec/1.2.2, 10.3.2).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from apt_ostree.treefile.node import MAX_DEPTH, MAX_NODES, Fault, Node, Scalar

if TYPE_CHECKING:
    import yaml

INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z", re.ASCII)
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]{1,3})?\Z", re.ASCII)
TAG = "tag:yaml.org,2002:"


def parse(text: str) -> Node:
    """The document in `text`; Fault when it is not one well-formed YAML document."""
    import yaml  # 25 ms that only readers of YAML pay

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 0
        raise Fault(line, f"not valid YAML: {err.problem or err.context}") from err
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise Fault(line, f"not valid YAML: {err.reason}") from err
    except RecursionError as err:
        raise Fault(0, "nested too deeply") from err
    except (yaml.YAMLError, ValueError, TypeError) as err:
        # PyYAML lets some of these through, for example for "%YAML 9999999…" directives.
        raise Fault(0, f"not valid YAML: {err}") from err
    if root is None:
        return Node(None, 1)
    return _Converter().convert(root, 0)


class _Converter:
    """Turns PyYAML's nodes into ours, counting what aliases multiply."""

    def __init__(self) -> None:
        self.count = 0

    def convert(self, raw: yaml.Node, depth: int) -> Node:
        line = raw.start_mark.line + 1
        self.count += 1
        if depth > MAX_DEPTH:
            raise Fault(line, "nested too deeply")
        if self.count > MAX_NODES:
            raise Fault(line, "too many values")
        kind: str = raw.id  # type: ignore[attr-defined]  # "scalar", "sequence", "mapping"
        if kind == "scalar":
            return Node(_scalar(raw, line), line, line)
        if raw.tag not in (TAG + "seq", TAG + "map"):
            raise Fault(line, f"unknown tag '{raw.tag}'")
        if kind == "sequence":
            return Node(tuple(self.convert(item, depth + 1) for item in raw.value), line, line)
        members: dict[str, Node] = {}
        for key, value in raw.value:
            key_line = key.start_mark.line + 1
            if key.id != "scalar":
                raise Fault(key_line, "a key must be a plain word")
            if key.value in members:
                raise Fault(key_line, f"key '{key.value}' is there twice")
            members[key.value] = replace(self.convert(value, depth + 1), key_line=key_line)
        return Node(members, line, line)


def _scalar(raw: Any, line: int) -> Scalar:
    text: str = raw.value
    if raw.style is not None:  # quoted, or a block
        return text
    if raw.tag not in (TAG + name for name in
                       ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
                       ):  # fmt: skip
        raise Fault(line, f"unknown tag '{raw.tag}'")
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if raw.tag == TAG + "str":
        return text
    if INTEGER.match(text):
        return int(text)
    if FLOAT.match(text) and math.isfinite(number := float(text)):
        return number
    return text

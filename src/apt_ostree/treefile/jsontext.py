"""JSON text to nodes (RFC 8259); the standard reader keeps no line numbers."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from dataclasses import replace
from typing import NoReturn

from apt_ostree.treefile.node import MAX_DEPTH, Fault, Node, Scalar

BLANK = re.compile(r"[ \t\r\n]*")
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse(text: str) -> Node:
    """The value in `text`; Fault when it is not one well-formed JSON value."""
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line_starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def document(self) -> Node:
        self._skip()
        node = self._value(0)
        if self.at < len(self.text):
            self._fail("text after the end of the value")
        return node

    def _line(self) -> int:
        return bisect_right(self.line_starts, self.at)

    def _fail(self, message: str) -> NoReturn:
        raise Fault(self._line(), f"not valid JSON: {message}")

    def _skip(self) -> None:
        blank = BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at

    def _take(self, mark: str) -> bool:
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        self._skip()
        return True

    def _value(self, depth: int) -> Node:
        line = self._line()
        if depth > MAX_DEPTH:
            self._fail("nested too deeply")
        if self._take("{"):
            return Node(self._members(depth), line, line)
        if self._take("["):
            return Node(self._items(depth), line, line)
        return Node(self._scalar(), line, line)

    def _members(self, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        if self._take("}"):
            return members
        while True:
            line = self._line()
            key = self._string()
            if key in members:
                self._fail(f"key '{key}' is there twice")
            if not self._take(":"):
                self._fail("expected ':' after a key")
            members[key] = replace(self._value(depth + 1), key_line=line)
            if self._take("}"):
                return members
            if not self._take(","):
                self._fail("expected ',' or '}'")

    def _items(self, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        if self._take("]"):
            return ()
        while True:
            items.append(self._value(depth + 1))
            if self._take("]"):
                return tuple(items)
            if not self._take(","):
                self._fail("expected ',' or ']'")

    def _string(self) -> str:
        found = STRING.match(self.text, self.at)
        if found is None:
            self._fail("expected a string in double quotes")
        try:
            value: str = json.loads(found.group())
            value.encode()  # lone surrogates are no text
        except ValueError:
            self._fail(f"bad escape in {found.group()[:40]}")
        self.at = found.end()
        self._skip()
        return value

    def _scalar(self) -> Scalar:
        if self.text.startswith('"', self.at):
            return self._string()
        for word, value in WORDS.items():
            if self._take(word):
                return value
        found = NUMBER.match(self.text, self.at)
        if found is None:
            self._fail("expected a value")
        digits = found.group()
        if len(digits) > 30:
            self._fail("number with too many digits")
        self.at = found.end()
        self._skip()
        number = float(digits) if found.group(1) or found.group(2) else int(digits)
        if not math.isfinite(number):
            self._fail("number out of range")
        return number

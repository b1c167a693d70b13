"""JSONPath for `status --jsonpath`: json-glib's dialect, and filters.

Own code because the packaged libraries know no filters (`$.deployments[?(@.booted)]` is what
scripts use) and take a negative index for its opposite.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from apt_ostree.errors import AptOstreeError

Step = Callable[[Any], Iterator[Any]]

_NAME = re.compile(r"[^.\[\]'\"()*?@\s,:=<>!&|]+")
_NUMBER = re.compile(r"-?\d+")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_COMPARISON = re.compile(r"==|!=|<=|>=|<|>")
_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?|true|false|null")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def matches(expression: str, value: Any) -> list[Any]:
    """Every part of `value` that `expression` names, in document order.

    Raises AptOstreeError for an expression that does not compile.
    """
    reader = _Reader(expression)
    reader.expect("$")
    steps = reader.steps()
    if reader.rest:
        reader.fail()
    return _walk(steps, value)


def _walk(steps: list[Step], value: Any) -> list[Any]:
    found = [value]
    for step in steps:
        found = [child for item in found for child in step(item)]
    return found


@dataclass
class _Reader:
    """A cursor over the expression."""

    text: str
    at: int = 0

    @property
    def rest(self) -> str:
        return self.text[self.at :]

    def fail(self) -> None:
        shown = self.rest[:1] or "end of expression"
        raise AptOstreeError(
            f"While compiling jsonpath: unexpected '{shown}' at offset {self.at} of '{self.text}'",
            hint="for example: apt-ostree status --jsonpath '$.deployments[0].checksum'",
        )

    def take(self, literal: str) -> bool:
        if not self.rest.startswith(literal):
            return False
        self.at += len(literal)
        return True

    def expect(self, literal: str) -> None:
        if not self.take(literal):
            self.fail()

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def blanks(self) -> None:
        while self.take(" "):
            pass

    def steps(self) -> list[Step]:
        """The steps up to what can be none (the end, or `)` and operators in a filter)."""
        out: list[Step] = []
        while True:
            if self.take(".."):
                out.append(_descendants)
                if not self.rest.startswith("["):
                    out.append(self.member())
            elif self.take("."):
                out.append(self.member())
            elif self.take("["):
                out.append(self.bracket())
            else:
                return out

    def member(self) -> Step:
        if self.take("*"):
            return _children
        name = self.match(_NAME)
        if name is None:
            self.fail()
            raise AssertionError
        return _key(name.group())

    def bracket(self) -> Step:
        if self.take("*"):
            self.expect("]")
            return _children
        if self.take("?("):
            step = self.filter()
            self.expect(")")
            self.expect("]")
            return step
        parts = [self.selector()]
        while self.take(","):
            self.blanks()
            parts.append(self.selector())
        self.expect("]")
        return lambda value: (found for part in parts for found in part(value))

    def selector(self) -> Step:
        if quoted := self.match(_QUOTED):
            return _key(quoted.group(1) if quoted.group(1) is not None else quoted.group(2))
        bounds: list[int | None] = []
        while True:
            number = self.match(_NUMBER)
            bounds.append(int(number.group()) if number else None)
            if len(bounds) == 3 or not self.take(":"):
                break
        if len(bounds) > 1:
            if bounds[2:] == [0]:
                self.fail()
            return _slice(slice(*bounds))
        if bounds[0] is None:
            self.fail()
            raise AssertionError
        index = bounds[0]
        return _slice(slice(index, index + 1 or None))

    def filter(self) -> Step:
        self.blanks()
        is_negated = self.take("!")
        self.expect("@")
        path = self.steps()
        self.blanks()
        if sign := self.match(_COMPARISON):
            self.blanks()
            literal = self.match(_LITERAL)
            if literal is None:
                self.fail()
                raise AssertionError
            wanted = _parse_literal(literal.group())
            self.blanks()
            return _where(lambda item: _compares(_walk(path, item), sign.group(), wanted))
        return _where(lambda item: any(_walk(path, item)) is not is_negated)


def _parse_literal(text: str) -> Any:
    return text[1:-1] if text[0] in "'\"" else json.loads(text)


def _compares(found: list[Any], sign: str, wanted: Any) -> bool:
    try:
        return any(_OPERATORS[sign](value, wanted) for value in found)
    except TypeError:  # a number against a string: neither less nor more
        return False


def _key(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _slice(which: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[which]

    return step


def _where(accepts: Callable[[Any], bool]) -> Step:
    return lambda value: (item for item in _children(value) if accepts(item))


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    for child in _children(value):
        yield from _descendants(child)

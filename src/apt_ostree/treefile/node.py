"""What a file says, with line numbers: the tree of values between text and meaning.

`yamltext` and `jsontext` make it, the kinds of `kinds` read it.  Faults found on the way are
collected, so that one run shows every mistake of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from apt_ostree.errors import TreefileError

# Far above any real file; keeps hostile input (alias bombs, "[[[[…") cheap.
MAX_DEPTH = 50
MAX_NODES = 200_000

Scalar: TypeAlias = "bool | int | float | str | None"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line it starts on (counted from 1).

    `key_line` is the line of the key in front of it, the same as `line` for a list item.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    line: int
    key_line: int = 0

    @property
    def type_name(self) -> str:
        """The kind of value, as a sentence names it."""
        match self.value:
            case None:
                return "nothing"
            case bool():
                return "a boolean"
            case int() | float():
                return "a number"
            case str():
                return "a string"
            case tuple():
                return "a list"
        return "a map"

    def plain(self) -> Any:
        """The value as JSON would hold it."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


class Fault(Exception):
    """One mistake in a file; `line` 0 means the file as a whole."""

    def __init__(self, line: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.hint = hint


@dataclass(slots=True)
class Reader:
    """Where a file comes from, and the faults found in it so far.

    `source` is how messages name the file; `directory` is what its relative paths start from.
    """

    source: str
    directory: Path
    faults: list[Fault] = field(default_factory=list)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note a fault of the block and go on after it."""
        try:
            yield
        except Fault as fault:
            self.faults.append(fault)

    def where(self, line: int) -> str:
        return f"{self.source}:{line}" if line else self.source

    def finish(self) -> None:
        """Raise TreefileError when there were faults: the first as message, the others below."""
        if not self.faults:
            return
        first, *others = sorted(self.faults, key=lambda fault: fault.line)
        error = TreefileError(first.message, where=self.where(first.line), hint=first.hint)
        error.details = tuple(
            f"{self.where(fault.line)}: {fault.message}"
            + (f" ({fault.hint})" if fault.hint else "")
            for fault in others
        )
        raise error

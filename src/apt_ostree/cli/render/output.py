"""The two streams of a command: results on stdout, talk on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TextIO

BOLD, RED, RED_BOLD, RESET = "\x1b[1m", "\x1b[31m", "\x1b[31m\x1b[1m", "\x1b[0m"
DEFAULT_COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Style:
    """What a stream can show: colours only on a terminal, trees and marks by the locale."""

    is_terminal: bool = False
    has_colour: bool = False
    is_unicode: bool = True
    columns: int = DEFAULT_COLUMNS

    def bold(self, text: str) -> str:
        return f"{BOLD}{text}{RESET}" if self.has_colour else text

    def red(self, text: str) -> str:
        return f"{RED}{text}{RESET}" if self.has_colour else text

    def red_bold(self, text: str) -> str:
        return f"{RED_BOLD}{text}{RESET}" if self.has_colour else text

    @property
    def marker(self) -> str:
        return "● " if self.is_unicode else "* "

    @property
    def branch(self) -> str:
        return "├─ " if self.is_unicode else "|- "

    @property
    def last_branch(self) -> str:
        return "└─ " if self.is_unicode else "`- "


@dataclass(slots=True)
class Output:
    """Where a command prints.  `quiet` silences talk, never results and errors."""

    out: TextIO
    err: TextIO
    style: Style = field(default_factory=Style)
    err_style: Style = field(default_factory=Style)
    is_quiet: bool = False
    write_error: OSError | None = None  # the result could not be written

    @classmethod
    def standard(cls, env: Mapping[str, str]) -> Self:
        out, err = (_open(s) for s in (sys.stdout, sys.stderr))
        for stream in (out, err):
            if reconfigure := getattr(stream, "reconfigure", None):
                # File names need not be UTF-8; they are to come out as they are.
                reconfigure(errors="surrogateescape")
        return cls(out, err, stream_style(out, env), stream_style(err, env))

    def line(self, text: str = "") -> None:
        """One line of the result."""
        self._put(f"{text}\n")

    def text(self, text: str) -> None:
        """Result text that brings its own line ends."""
        self._put(text)

    def note(self, text: str) -> None:
        """One line of talk: notices, warnings, tables that are not the result."""
        print(text, file=self.err)

    def help_on_error(self, text: str) -> None:
        print(text, file=self.err)

    def error(self, message: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        """The one way a command fails: `error: MSG`, what belongs to it, what to do next."""
        self.flush()
        print(f"{self.err_style.red_bold('error: ')}{message}", file=self.err)
        for line in details:
            print(line, file=self.err)
        if hint:
            print(hint, file=self.err)

    def json(self, value: Any) -> None:
        from apt_ostree.cli.render.json import pretty

        self._put(f"{pretty(value)}\n")

    def flush(self) -> None:
        try:
            self.out.flush()
        except OSError as err:
            self.write_error = err
            raise

    def _put(self, text: str) -> None:
        try:
            self.out.write(text)
        except OSError as err:
            self.write_error = err
            raise


def _open(stream: TextIO | None) -> TextIO:
    """Started with a closed descriptor (`>&-`), Python has no stream at all."""
    return stream or open(os.devnull, "w")


def stream_style(stream: TextIO, env: Mapping[str, str]) -> Style:
    is_terminal = stream.isatty()
    columns = DEFAULT_COLUMNS
    if is_terminal:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns or DEFAULT_COLUMNS
        except OSError:
            columns = DEFAULT_COLUMNS
    return Style(
        is_terminal=is_terminal,
        has_colour=is_terminal and not env.get("NO_COLOR") and env.get("TERM") != "dumb",
        is_unicode=is_utf8(env),
        columns=columns,
    )


def is_utf8(env: Mapping[str, str]) -> bool:
    """By the variables of locale(7): Python's own answer is UTF-8 even in the C locale."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := env.get(name):
            return value.lower().replace("-", "").partition("@")[0].endswith("utf8")
    return False

"""The option table of a command, and a parser over it that behaves like GLib's GOption.

rpm-ostree parses with GOption, and scripts rely on what it accepts and on its exact errors, so
`argparse` (abbreviations, exit code 2, other texts) is not an option here.  Source of the rules:
glib/goption.c, `g_option_context_parse`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apt_ostree.errors import AptOstreeError


@dataclass(frozen=True, slots=True)
class Opt:
    """One option.  No `metavar` means a flag; `dest` groups spellings of one setting."""

    long: str
    short: str = ""
    metavar: str = ""
    help: str = ""
    dest: str = ""
    is_repeatable: bool = False
    is_integer: bool = False
    is_hidden: bool = False
    group: str = "Application Options"

    @property
    def key(self) -> str:
        return self.dest or self.long

    @property
    def spelling(self) -> str:
        """`-r, --repo=PATH`, as it stands in help texts and man pages."""
        short = f"-{self.short}, " if self.short else ""
        value = f"={self.metavar}" if self.metavar else ""
        return f"{short}--{self.long}{value}"


@dataclass(frozen=True, slots=True)
class Args:
    """What the parser found.  Asking for an option that was not declared is a bug (KeyError)."""

    known: frozenset[str]
    given: dict[str, tuple[str, ...]]
    rest: tuple[str, ...] = ()

    def flag(self, key: str) -> bool:
        return bool(self._values(key))

    def text(self, key: str) -> str | None:
        """The last value given, as GOption keeps it."""
        values = self._values(key)
        return values[-1] if values else None

    def many(self, key: str) -> tuple[str, ...]:
        return self._values(key)

    def number(self, key: str) -> int | None:
        value = self.text(key)
        return None if value is None else int(value, 0)

    def has(self, key: str) -> bool:
        """Whether the command declares the option at all."""
        return key in self.known

    def _values(self, key: str) -> tuple[str, ...]:
        if key not in self.known:
            raise KeyError(key)
        return self.given.get(key, ())


class OptionError(AptOstreeError):
    """An option is unknown, malformed or lacks its value."""


class HelpRequested(Exception):
    """`-h` or `--help` was met; GOption acts on it at once, before later mistakes."""


HELP = Opt("help", "h", help="Show help options", group="Help Options")


def parse(options: Sequence[Opt], argv: Sequence[str]) -> Args:
    """Split `argv` (without program and command names) into options and the rest.

    Raises OptionError with GOption's text, and HelpRequested.
    """
    parser = _Parser(options)
    parser.run(argv)
    return Args(
        frozenset(o.key for o in options),
        {key: tuple(values) for key, values in parser.given.items()},
        tuple(parser.rest),
    )


class _Parser:
    def __init__(self, options: Sequence[Opt]) -> None:
        self.by_long = {o.long: o for o in reversed(options)}
        # Declared first wins: `override replace -r` is --from there, not --reboot.
        self.by_short = {o.short: o for o in reversed(options) if o.short}
        self.given: dict[str, list[str]] = {}
        self.rest: list[str] = []

    def run(self, argv: Sequence[str]) -> None:
        words = iter(argv)
        for word in words:
            if word == "--":
                self.rest.extend(words)
            elif word.startswith("--"):
                self._long(word, words)
            elif word.startswith("-") and word != "-":
                self._short(word, words)
            else:
                self.rest.append(word)

    def _long(self, word: str, words: Iterator[str]) -> None:
        name, equals, value = word[2:].partition("=")
        if word in ("--help", "--help-all"):
            raise HelpRequested
        option = self.by_long.get(name)
        if option is None or (equals and not option.metavar):
            raise OptionError(f"Unknown option {word}")
        if option.metavar and not equals:
            value = _next(words, f"--{name}")
        self._store(option, value, f"--{name}")

    def _short(self, word: str, words: Iterator[str]) -> None:
        for at, letter in enumerate(word[1:], start=1):
            option = self.by_short.get(letter)
            if option is None:
                if letter in "h?":
                    raise HelpRequested
                raise OptionError(f"Unknown option {word}")
            if option.metavar:
                value = word[at + 1 :] or _next(words, f"-{letter}")
                self._store(option, value, f"-{letter}")
                return
            self._store(option, "", f"-{letter}")

    def _store(self, option: Opt, value: str, spelling: str) -> None:
        if option.is_integer:
            _check_integer(value, spelling)
        self.given.setdefault(option.key, []).append(value if option.metavar else option.long)


def _next(words: Iterator[str], spelling: str) -> str:
    value = next(words, None)
    if value is None:
        raise OptionError(f"Missing argument for {spelling}")
    return value


def _check_integer(value: str, spelling: str) -> None:
    try:
        number = int(value, 0)
    except ValueError:
        raise OptionError(f"Cannot parse integer value “{value}” for {spelling}") from None
    if not -(2**31) <= number < 2**31:
        raise OptionError(f"Integer value “{value}” for {spelling} out of range")


def split_command(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take the command name out of `argv`: the first word that is no option, before any `--`."""
    for at, word in enumerate(argv):
        if word == "--":
            break
        if not word.startswith("-"):
            return word, [*argv[:at], *argv[at + 1 :]]
    return None, list(argv)

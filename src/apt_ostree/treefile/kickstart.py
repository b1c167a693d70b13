"""The little of Kickstart that says which packages to install.

%packages [--exclude-weakdeps]
name
-name-to-exclude
%end
%include other.ks
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from apt_ostree.treefile.node import Fault


@dataclass(slots=True)
class Kickstart:
    """Words with the lines they stand on."""

    packages: list[tuple[int, str]] = field(default_factory=list)
    excludes: list[tuple[int, str]] = field(default_factory=list)
    includes: list[tuple[int, str]] = field(default_factory=list)
    is_without_recommends: bool = False


def parse(text: str) -> Kickstart:
    """The sections of `text`; Fault for anything that is not about packages."""
    read = Kickstart()
    lines = _lines(text)
    for number, line in lines:
        try:
            verb, *arguments = shlex.split(line)
        except ValueError as err:
            raise Fault(number, f"Invalid syntax: {line}") from err
        match verb:
            case "%packages":
                _section(read, arguments, lines, number)
            case "%include":
                if not arguments:
                    raise Fault(number, "Missing path for %include")
                if len(arguments) > 1:
                    raise Fault(number, "Too many arguments for %include")
                read.includes.append((number, arguments[0]))
            case _:
                raise Fault(number, f"Unhandled verb: {verb}",
                            hint="only %packages and %include are read")  # fmt: skip
    return read


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _section(
    read: Kickstart, arguments: list[str], lines: Iterator[tuple[int, str]], start: int
) -> None:
    for argument in arguments:
        if argument != "--exclude-weakdeps":
            raise Fault(start, f"unknown option '{argument}' of %packages")
        read.is_without_recommends = True
    for number, line in lines:
        if line == "%end":
            return
        if line.startswith("-"):
            read.excludes.append((number, line[1:]))
        else:
            read.packages.append((number, line))
    raise Fault(start, "Missing %end for %packages")

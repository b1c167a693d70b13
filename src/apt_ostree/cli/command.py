"""What a command declares about itself, and its help text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from apt_ostree.cli.options import HELP, Args, Opt

if TYPE_CHECKING:
    from apt_ostree.cli.session import Session

PROGRAM = "apt-ostree"
COMMAND_WIDTH = 23  # shell completions grep this layout: two blanks, the name, the description

GLOBAL = (
    Opt("version", help="Print version information and exit"),
    Opt("quiet", "q", help="Avoid printing most informational messages"),
)
SYSROOT = (
    Opt("sysroot", metavar="SYSROOT", help="Use system root SYSROOT (default: /)"),
    Opt("peer", help="Force a peer-to-peer connection instead of using the system message bus"),
)


class Target(Enum):
    """What a command works on, hence what is checked before it runs."""

    LOCAL = "local"  # a repository, a directory, a treefile
    SYSROOT = "sysroot"  # --sysroot=PATH or the booted host


class Family(Enum):
    """rpm-ostree has two parsers; scripts see the exit status of a usage error differ."""

    GOPTION = 1
    CLAP = 2

    @property
    def usage_status(self) -> int:
        return self.value


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it accepts, what it needs and what it does.  The registry names it."""

    run: Callable[[Args, Session], int]
    usage: str = ""  # the positional arguments: `PACKAGE [PACKAGE...]`
    options: tuple[Opt, ...] = ()
    target: Target = Target.SYSROOT
    needs_root: bool = False
    is_query: Callable[[Args], bool] = lambda _: False  # looking is free, also as a user
    family: Family = Family.GOPTION
    required: tuple[str, ...] = ()  # CLAP family: the names of the positional arguments

    @property
    def all_options(self) -> tuple[Opt, ...]:
        """Own options first, since the first declaration of a spelling wins."""
        shared = SYSROOT if self.target is Target.SYSROOT else ()
        own = {o.long for o in self.options}
        return (*self.options, *(o for o in (*shared, *GLOBAL) if o.long not in own))


def usage_line(name: str, command: Command) -> str:
    return f"{PROGRAM} {name} [OPTION...] {command.usage}".rstrip()


def command_help(name: str, summary: str, command: Command) -> str:
    """The text of `apt-ostree COMMAND --help`, in GOption's layout."""
    usage = f"Usage:\n  {usage_line(name, command)}"
    return "\n\n".join([usage, summary, option_groups((HELP, *command.all_options))]) + "\n"


def group_help(name: str, rows: Sequence[tuple[str, str]]) -> str:
    """The text of `apt-ostree [GROUP] --help`; `rows` are (command, summary)."""
    title = f'Builtin "{name}" Commands:' if name else "Builtin Commands:"
    lines = [f"  {row:<{COMMAND_WIDTH}}{summary}".rstrip() for row, summary in sorted(rows)]
    usage = f"{PROGRAM} {name}".strip()
    parts = [
        f"Usage:\n  {usage} [OPTION...] COMMAND",
        "\n".join([title, *lines]),
        option_groups((HELP, *GLOBAL)),
    ]
    return "\n\n".join(parts) + "\n"


def option_groups(options: Sequence[Opt]) -> str:
    visible = [o for o in options if not o.is_hidden]
    width = max(COMMAND_WIDTH, *(len(o.spelling) + 1 for o in visible))
    groups: dict[str, list[str]] = {}
    for option in visible:
        line = f"  {option.spelling:<{width}}{option.help}".rstrip()
        groups.setdefault(option.group, []).append(line)
    order = sorted(groups, key=lambda g: (g != HELP.group, g == "Application Options"))
    return "\n\n".join("\n".join([f"{group}:", *groups[group]]) for group in order)

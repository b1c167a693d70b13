"""What a running command gets besides its arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.cli import link
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args
from apt_ostree.cli.render.output import Output
from apt_ostree.cli.render.text import quote
from apt_ostree.errors import AptOstreeError

BOOTED_MARK = Path("/run/ostree-booted")


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the program: where it prints, its environment, how it was called."""

    out: Output
    env: Mapping[str, str]
    argv: tuple[str, ...]  # without the program's name
    is_root: bool = True
    booted_mark: Path = BOOTED_MARK

    @property
    def command_line(self) -> str:
        """The title of the transaction, stored in history."""
        return " ".join(quote(word) for word in self.argv)

    def sysroot(self, args: Args) -> Path:
        """The sysroot to work on, absolute."""
        return Path(os.path.abspath(args.text("sysroot") or "/"))

    def check(self, command: Command, args: Args) -> None:
        """Refuse early what cannot work here: no root, no OSTree system."""
        # On the running system the daemon has the rights, and asks polkit who may use them.
        is_daemons = command.target is Target.SYSROOT and link.is_wanted(self.sysroot(args))
        if (
            command.needs_root
            and not self.is_root
            and not is_daemons
            and not command.is_query(args)
            and "APTOSTREE_SUPPRESS_REQUIRES_ROOT_CHECK" not in self.env
        ):
            raise AptOstreeError(
                "This command requires root privileges", hint=f"sudo apt-ostree {self.command_line}"
            )
        if command.target is not Target.SYSROOT or not args.has("sysroot"):
            return
        if given := args.text("sysroot"):
            if not os.path.isdir(given):
                raise AptOstreeError(
                    f"'{given}' is not a directory", hint="apt-ostree init makes a new sysroot"
                )
        elif not self.booted_mark.exists():
            where = ""
            if container := self.env.get("container"):
                where = f"; found container={container} environment variable"
            raise AptOstreeError(
                f"This system was not booted via libostree{where}.",
                details=(
                    "Currently, most apt-ostree commands only work on ostree-based host systems.",
                ),
            )

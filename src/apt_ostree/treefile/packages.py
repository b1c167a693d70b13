"""Package requests as a treefile writes them.

Forms: `name`, `name:arch`, `name=version`, `name/suite`, `task^` and shell patterns on names.  What
they match is the solver's business; here only the form is checked, so that a typing error is found
at its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from apt_ostree.treefile.node import Fault
from apt_ostree.treefile.values import OverrideReplace, RepoPackages

# Names: Debian policy 5.6.1, with the capitals and underscores that dpkg tolerates; versions:
# deb-version(7); suites: whatever can stand in a Release file as Suite or Codename.
REQUEST = re.compile(
    r"""(?: [a-z0-9][a-z0-9+._-]*\^                          # task
          | (?P<name>(?![+._-])(?:[a-z0-9+._*?-]|\[!?[a-z0-9+._-]+\])+)
            (?: :(?P<arch>[a-z0-9-]+))?
            (?: =(?P<version>[a-z0-9.+~:-]+) | /(?P<suite>[a-z0-9._/-]+) )? )\Z""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
FORMS = "expected NAME, NAME:ARCH, NAME=VERSION, NAME/SUITE, TASK^ or a pattern"

# dpkg's names (dpkg-architecture -L, the Linux ones that Debian or Ubuntu build) and the names
# that the GNU world gives the same machines.
ARCHITECTURES = ("amd64", "arm64", "armel", "armhf", "i386", "loong64", "mips64el", "ppc64el",
                 "riscv64", "s390x")  # fmt: skip
GNU_NAMES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "armhfp": "armhf",
    "i686": "i386",
    "loongarch64": "loong64",
    "ppc64le": "ppc64el",
}

Grouped = TypeVar("Grouped", RepoPackages, OverrideReplace)


def split(text: str, line: int) -> list[str]:
    """The names in one string: apart at blanks, except between single quotes."""
    parts = text.split("'")
    if len(parts) % 2 == 0:
        raise Fault(line, f"Missing terminating quote: {text}")
    names: list[str] = []
    for index, part in enumerate(parts):
        names.extend([part] if index % 2 else part.split())
    return names


def check(request: str, line: int) -> str:
    """`request` itself when it has one of the forms; Fault otherwise."""
    if not REQUEST.match(request):
        raise Fault(line, f"'{request}' is not a package request", hint=FORMS)
    return request


def architecture(name: str) -> str | None:
    """dpkg's name for a machine, None when it is none that Debian or Ubuntu know."""
    known = GNU_NAMES.get(name, name)
    return known if known in ARCHITECTURES else None


def last_group_wins(groups: Sequence[Grouped]) -> tuple[Grouped, ...]:
    """Leave each package only in the last group that names it; empty groups go."""
    taken: set[str] = set()
    kept: list[Grouped] = []
    for group in reversed(groups):
        packages = tuple(sorted(set(group.packages) - taken))
        taken.update(packages)
        if packages:
            kept.append(type(group)(group.repo, packages))
    return tuple(reversed(kept))

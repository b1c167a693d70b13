"""What a shell may offer for the word under the cursor.

The scripts in `data/completions` only ask, so that they never know less than the program: commands
come from the registry, options from the commands themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from apt_ostree.cli import candidates, registry
from apt_ostree.cli.candidates import Place
from apt_ostree.cli.command import GLOBAL, Command
from apt_ostree.cli.options import HELP, Opt

Find = Callable[[Place, str], Iterable[str]]

# Words with other characters need quoting, which each shell does in its own way.
_SAFE = re.compile(r"[\w.,:/=+@%~^-]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offer:
    """`words` are (word, description); `paths`, when not empty, says which paths the shell adds:
    `directories`, `files`, or `files .deb` for files with one of these endings."""

    words: tuple[tuple[str, str], ...] = ()
    paths: str = ""

    def __str__(self) -> str:
        """A line that says which paths, then a line for each word, its description after a tab."""
        lines = [self.paths or "words"]
        lines += [f"{word}\t{text}" if text else word for word, text in self.words]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Kind:
    """Which values an argument has."""

    find: Find | None = None
    paths: str = ""


def _any(find: Callable[[Place], Iterable[str]]) -> Find:
    return lambda place, _prefix: find(place)


def _word(*words: str) -> Kind:
    return Kind(lambda _place, _prefix: words)


NOTHING = Kind()
FILES = Kind(paths="files")
DIRECTORIES = Kind(paths="directories")
DEBS = Kind(paths="files .deb")
TREEFILES = Kind(paths="files .yaml .yml .json .ks")
PACKAGES = Kind(candidates.packages, "files .deb")
NAMES = Kind(candidates.packages)
INSTALLED = Kind(candidates.installed)
REQUESTED = Kind(_any(candidates.requested))
REVISIONS = Kind(_any(candidates.revisions))
CHECKSUMS = Kind(_any(candidates.checksums))
REFS = Kind(_any(candidates.refs))
STATEROOTS = Kind(_any(candidates.stateroots))
KARGS = Kind(_any(candidates.kernel_arguments))

# By command: its arguments in order; the last one may be repeated.
ARGUMENTS: Mapping[str, tuple[Kind, ...]] = {
    "checkout": (REVISIONS, DIRECTORIES, NOTHING),
    "deploy": (CHECKSUMS, NOTHING),
    "finalize-deployment": (CHECKSUMS, NOTHING),
    "info": (NAMES,),
    "init": (DIRECTORIES, NOTHING),
    "install": (PACKAGES,),
    "list": (INSTALLED,),
    "rebase": (REFS, NOTHING),
    "search": (NAMES,),
    "uninstall": (REQUESTED,),
    "why": (Kind(candidates.installed, "files"), NOTHING),
    "compose commit": (TREEFILES, DIRECTORIES, NOTHING),
    "compose extensions": (TREEFILES, TREEFILES, NOTHING),
    "compose install": (TREEFILES, DIRECTORIES, NOTHING),
    "compose postprocess": (DIRECTORIES, TREEFILES, NOTHING),
    "compose rootfs": (TREEFILES, DIRECTORIES, NOTHING),
    "compose tree": (TREEFILES, NOTHING),
    "db diff": (REVISIONS, REVISIONS, NOTHING),
    "db list": (REVISIONS,),
    "db version": (REVISIONS,),
    "override remove": (INSTALLED,),
    "override replace": (Kind(candidates.installed, "files .deb"),),
    "override reset": (Kind(_any(candidates.overridden)),),
}  # fmt: skip

# By option, where its name says more than what its value is called in help texts.
_OPTIONS: Mapping[str, Kind] = {
    "branch": REFS,
    "delete": KARGS,
    "delete-if-present": KARGS,
    "deploy-index": Kind(_any(candidates.indices)),
    "deployment": Kind(_any(candidates.ids)),
    "ex-cliwrap": _word("true", "false"),
    "format": _word("block", "diff", "json"),
    "install": NAMES,
    "remote": Kind(_any(candidates.remotes)),
    "remove": INSTALLED,
    "uninstall": REQUESTED,
    "untrack": Kind(_any(candidates.tracked)),
}
_METAVARS: Mapping[str, Kind] = {
    **dict.fromkeys(("FILE",), FILES),
    **dict.fromkeys(("CACHEDIR", "DIR", "PATH", "REPO", "SYSROOT", "WORKDIR"), DIRECTORIES),
    **dict.fromkeys(("COMMIT", "REV"), REVISIONS),
    **dict.fromkeys(("NAME", "OSNAME", "STATEROOT"), STATEROOTS),
    "DEB": DEBS,
    "KEY=VALUE=NEWVALUE": KARGS,
}


def kind_of(option: Opt) -> Kind:
    return _OPTIONS.get(option.long) or _METAVARS.get(option.metavar, NOTHING)


def complete(words: Sequence[str]) -> Offer:
    """What may stand in place of the last of `words`, which begin after the program's name."""
    *before, current = words or ("",)
    path, rest = _command(before)
    if path not in registry.ENTRIES:
        if path and registry.group(path) is None:
            return Offer()
        if current.startswith("-"):
            return _options((HELP, *GLOBAL), current, ())
        return _names(path, current)
    entry = registry.ENTRIES[path]
    line = _Line(entry.load())
    for word in rest:
        line.take(word)
    place = line.place()
    name, equals, value = current.partition("=")
    if line.awaits is not None:
        return _values(kind_of(line.awaits), place, current)
    if line.has_ended or not current.startswith("-"):
        kinds = ARGUMENTS.get(entry.alias_of or entry.name, (NOTHING,))
        return _values(kinds[min(line.count, len(kinds) - 1)], place, current)
    if equals:
        option = line.by_word.get(name)
        return Offer() if option is None else _values(kind_of(option), place, value, f"{name}=")
    return _options((*line.command.all_options, HELP), current, line.given)


def _command(words: Sequence[str]) -> tuple[str, list[str]]:
    """(command with its group, the words that are not part of that name)."""
    rest = list(words)
    path = ""
    while True:
        at = next((i for i, w in enumerate(rest) if not w.startswith("-")), None)
        if at is None or "--" in rest[:at]:
            return path, []
        path = f"{path} {rest.pop(at)}".strip()
        group = registry.group(path)
        if group is None:
            return path, rest
        path = group.same_as or group.name


class _Line:
    """The words of a command line so far, as the parser of options will see them."""

    def __init__(self, command: Command) -> None:
        self.command = command
        options = (HELP, *reversed(command.all_options))
        self.by_word = {f"--{o.long}": o for o in options}
        self._by_letter = {o.short: o for o in options if o.short}
        self.given: dict[str, str] = {}
        self.awaits: Opt | None = None
        self.has_ended = False  # `--` was there
        self.count = 0  # arguments

    def take(self, word: str) -> None:
        if self.awaits is not None:
            self.given[self.awaits.key] = word
            self.awaits = None
        elif self.has_ended or not word.startswith("-") or word == "-":
            self.count += 1
        elif word == "--":
            self.has_ended = True
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            self._option(self.by_word.get(name), value, has_value=bool(equals))
        else:
            self._letters(word[1:])

    def _letters(self, letters: str) -> None:
        for at, letter in enumerate(letters, start=1):
            option = self._by_letter.get(letter)
            if option is None:
                return
            if option.metavar:
                self._option(option, letters[at:], has_value=at < len(letters))
                return
            self._option(option, "", has_value=False)

    def _option(self, option: Opt | None, value: str, *, has_value: bool) -> None:
        if option is None:
            return
        if option.metavar and not has_value:
            self.awaits = option
        else:
            self.given[option.key] = value

    def place(self) -> Place:
        repo = self.given.get("repo")
        return Place(
            sysroot=Path(self.given.get("sysroot") or "/"),
            repo=Path(repo) if repo else None,
            stateroot=self.given.get("stateroot", ""),
        )


def _names(group: str, prefix: str) -> Offer:
    return Offer(tuple(r for r in registry.visible_rows(group) if r[0].startswith(prefix)))


def _options(options: Sequence[Opt], prefix: str, given: Iterable[str]) -> Offer:
    """Long options; those that were given and count once are left out."""
    seen = set(given)
    offered = {
        f"--{o.long}{'=' if o.metavar else ''}": o.help
        for o in options
        if not o.is_hidden and (o.is_repeatable or o.key not in seen)
    }
    return Offer(tuple(i for i in offered.items() if i[0].startswith(prefix)))


def _values(kind: Kind, place: Place, prefix: str, before: str = "") -> Offer:
    """Where an argument is a word or a path, its beginning tells which."""
    find = kind.find
    if find is None or (kind.paths and prefix.startswith(("/", ".", "~"))):
        return Offer(paths=kind.paths)
    found = candidates.readable(partial(find, place, prefix))
    words = sorted({w for w in found if w.startswith(prefix) and _SAFE.match(w)})
    return Offer(tuple((before + word, "") for word in words))

"""tmpfiles.d(5): lines read, written, and which paths a tree's files already define."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apt_ostree.assemble.dirtree import DirTree

# Later directories are only looked at for names that earlier ones have not (tmpfiles.d(5)).
DIRECTORIES = ("usr/etc/tmpfiles.d", "usr/lib/tmpfiles.d")
# Types that make the path itself, so that a second such line for it would be ignored
# (takes_ownership() in systemd's tmpfiles.c).
MAKERS = frozenset("fFdDvqQpLcbC")
DIRECTORY_MAKERS = frozenset("dDvqQ")
# Specifiers with the same value on every machine, for the system instance.
_SPECIFIERS = {
    "%": "%", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "t": "/run", "T": "/tmp",
    "V": "/var/tmp", "h": "/root",
}  # fmt: skip
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|u([0-9A-Fa-f]{4})|(.))")
_WORD = re.compile(r"""\s*((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s"'\\])+)""")
_PART = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\\.|[^"'\\])+""")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line; `path` and `argument` are plain text, `-` or empty where nothing is given.

    Names that are not UTF-8 are written with surrogateescape.
    """

    path: str
    kind: str
    mode: str = "-"
    user: str = "-"
    group: str = "-"
    age: str = "-"
    argument: str = ""

    @property
    def letter(self) -> str:
        return self.kind[:1]

    def __str__(self) -> str:
        fields = [self.kind, quoted(self.path), self.mode, self.user, self.group, self.age]
        if self.argument:
            fields.append(_escaped_argument(self.argument))
        return " ".join(fields)

    @property
    def permissions(self) -> int | None:
        """The mode as a number, None when the line gives none."""
        digits = self.mode.lstrip(":~")
        return int(digits, 8) if re.fullmatch("[0-7]{3,4}", digits) else None


def quoted(path: str) -> str:
    """A path field: `%` doubled, everything that could end or change the field escaped."""
    text = "".join(_escaped(c) for c in path.replace("\\", "\\\\").replace("%", "%%"))
    return f'"{text}"' if re.search(r"[\s'#;]", text) else text


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char == '"':
        return '\\"'
    if char == " " or char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def _escaped_argument(text: str) -> str:
    """The seventh field reaches to the end of the line, without quotes or escapes.

    Only specifiers are expanded in the target of a link (tmpfiles.c, parse_line()).  Raises
    ValueError for what the field cannot hold.
    """
    if "\n" in text or text != text.strip() or text == "-":
        raise ValueError(text)
    return text.replace("%", "%%")


def parse(text: str) -> tuple[Line, ...]:
    """The lines of a file; those that cannot be read, or depend on the machine, are left out."""
    return tuple(_parse(text))


def _parse(text: str) -> Iterator[Line]:
    for raw in text.split("\n"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        words: list[str] = []
        rest = line
        while len(words) < 6 and (match := _WORD.match(rest)):
            words.append(_unquoted(match[1]))
            rest = rest[match.end() :]
        if len(words) < 2 or (rest.strip() and len(words) < 6):
            continue
        path = expanded(words[1])
        argument = expanded(rest.strip())
        if path is None or argument is None or not path.startswith("/"):
            continue
        if ".." in path.split("/"):
            continue  # systemd refuses it too, and it must not lead out of the tree
        path = "/" + "/".join(part for part in path.split("/") if part)
        fields = [word or "-" for word in words[2:]] + ["-"] * (6 - len(words))
        mode, user, group, age = fields
        yield Line(path, words[0], mode, user, group, age, "" if argument == "-" else argument)


def _unquoted(word: str) -> str:
    parts = []
    for part in _PART.findall(word):
        inner = part[1:-1] if part[0] in "\"'" else part
        parts.append(_ESCAPE.sub(_character, inner))
    # Escaped bytes come as single characters; several may make up one of UTF-8.
    data = b"".join(
        bytes([ord(c) - 0xF700])
        if "\uf700" <= c <= "\uf7ff"
        else c.encode("utf-8", "surrogateescape")
        for c in "".join(parts)
    )
    return data.decode("utf-8", "surrogateescape")


def _character(match: re.Match[str]) -> str:
    hexadecimal, octal, short, letter = match.groups()
    if hexadecimal is not None:
        return chr(0xF700 + int(hexadecimal, 16))
    if octal is not None:
        return chr(0xF700 + int(octal, 8))
    if short is not None:
        return chr(int(short, 16))
    return _ESCAPES.get(letter, letter)


def expanded(text: str) -> str | None:
    """`text` with its specifiers replaced; None when one depends on the machine."""
    parts = re.split(r"%(.?)", text)
    for index in range(1, len(parts), 2):
        if parts[index] not in _SPECIFIERS:
            return None
        parts[index] = _SPECIFIERS[parts[index]]
    return "".join(parts)


def render(lines: Iterable[Line], *, header: str) -> bytes:
    """A file's content, sorted by path; `header` is made comment lines."""
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    body = "".join(f"{line}\n" for line in sorted(lines))
    return (comment + body).encode("utf-8", "surrogateescape")


def in_tree(tree: DirTree, *, without: frozenset[str] = frozenset()) -> tuple[Line, ...]:
    """All lines of a tree, in the order in which systemd-tmpfiles reads them.

    A file in `usr/etc/tmpfiles.d` hides the one of the same name in `usr/lib/tmpfiles.d`; names
    in `without` are passed over.
    """
    chosen: dict[str, str] = {}
    for directory in DIRECTORIES:
        for name in tree.names(directory):
            if name.endswith(".conf") and name not in without:
                chosen.setdefault(name, directory)
    lines: list[Line] = []
    for name in sorted(chosen):
        data = tree.read(f"{chosen[name]}/{name}") or b""
        lines += _parse(data.decode("utf-8", "surrogateescape"))
    return tuple(lines)

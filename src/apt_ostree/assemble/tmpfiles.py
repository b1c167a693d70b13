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
_ESCAPES = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"s": 32}
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|u([0-9A-Fa-f]{4})|(.))")
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
    """A path field: `%` doubled, and quotes around whatever could end or change the field.

    Bytes stand for themselves: systemd 252 removes quotes and backslashes but knows no C escapes
    here, later versions do (measured; tmpfiles.d(5) promises them).  Raises ValueError for a line
    break, which therefore cannot be written.
    """
    if re.search(r"[\n\r\0]", path):
        raise ValueError(path)
    text = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"""[\s'"\\#;]""", text) else text


def _escaped_argument(text: str) -> str:
    """The seventh field reaches to the end of the line: C escapes, no quotes.

    Raises ValueError for a target that would mean "no argument".
    """
    if text == "-":
        raise ValueError(text)
    out = text.replace("\\", "\\\\").replace("%", "%%")
    out = out.replace("\n", "\\n").replace("\r", "\\r")
    return re.sub(r"^\s|\s$", lambda m: "".join(f"\\x{b:02x}" for b in m[0].encode()), out)


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
        argument = expanded(_unescaped(rest.strip()))
        if path is None or argument is None or not path.startswith("/"):
            continue
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            continue  # no path of a tree; systemd means another one, too
        path = "/" + "/".join(parts)
        fields = [word or "-" for word in words[2:]] + ["-"] * (6 - len(words))
        mode, user, group, age = fields
        yield Line(path, words[0], mode, user, group, age, "" if argument == "-" else argument)


def _unquoted(word: str) -> str:
    return "".join(
        _unescaped(part[1:-1] if part[0] in "\"'" else part) for part in _PART.findall(word)
    )


def _unescaped(text: str) -> str:
    data = _ESCAPE.sub(_bytes, text.encode("utf-8", "surrogateescape"))
    return data.decode("utf-8", "surrogateescape")


def _bytes(match: re.Match[bytes]) -> bytes:
    hexadecimal, octal, short, letter = match.groups()
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if octal is not None:
        return bytes([int(octal, 8)])
    if short is not None:
        return chr(int(short, 16)).encode("utf-8", "surrogatepass")
    return bytes([_ESCAPES[letter]]) if letter in _ESCAPES else bytes(letter)


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

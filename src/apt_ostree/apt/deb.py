"""A .deb file: its control area in memory, its content as a stream.

`Deb.open` reads the control archive only; `Deb.members` streams the data archive.  Neither writes
anything, and every malformed file ends in a PackageError that names it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from apt_ostree.apt import debtar
from apt_ostree.apt.debtar import Kind, Member
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package

# dpkg: MAXCONTROLFILENAME; the sizes are ours, far above any real package.
MAX_NAME = 100
MAX_CONTROL_BYTES = 1 << 20
MAX_INFO_BYTES = 64 << 20
SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_VERSION = re.compile(r"(?:[0-9]+:)?[A-Za-z0-9.+~-]+(?::[A-Za-z0-9.+~:-]+)?")
_ARCH = re.compile(r"[a-z0-9][a-z0-9-]*")
_FIELD = re.compile(r"([!-,.-9;-~][!-9;-~]*):[ \t]*(.*)")  # deb822(5): no colon, no leading dash


@dataclass(frozen=True, slots=True)
class Conffile:
    """One line of `conffiles`; `path` is absolute as dpkg writes it."""

    path: str
    remove_on_upgrade: bool = False


@dataclass(frozen=True, slots=True)
class InfoFile:
    """A member of the control area that dpkg keeps, with the mode it keeps it in."""

    name: str
    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Deb:
    """`fields` are the control file's, by lower-case name; `control` is its text."""

    path: Path
    control: str
    fields: Mapping[str, str]
    package: Package
    info: tuple[InfoFile, ...]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the control archive.  Raises PackageError for anything that is not a package."""
        control: bytes | None = None
        info: dict[str, InfoFile] = {}
        total = 0
        with debtar.control_members(path) as members:
            for member, content in members:
                if member.kind is Kind.DIRECTORY and not member.path:
                    continue
                if content is None or "/" in member.path:
                    raise PackageError(
                        f"'{path.name}' has a control area with more than files: /{member.path}"
                    )
                total += member.size_bytes
                if total > MAX_INFO_BYTES or len(member.path) > MAX_NAME:
                    raise PackageError(f"'{path.name}' has an oversized control area")
                if member.path == "control":
                    control = content.read(MAX_CONTROL_BYTES + 1)
                elif _is_kept(member.path):
                    file = InfoFile(member.path, content.read(), _info_mode(member))
                    info[member.path] = file
        if control is None or len(control) > MAX_CONTROL_BYTES or b"\0" in control:
            raise PackageError(f"'{path.name}' has no usable control file")
        text = control.decode("utf-8", "replace")
        fields = parse_fields(text, name=path.name)
        return cls(path, text, fields, _package(fields, path.name), tuple(info.values()))

    def members(self) -> AbstractContextManager[Iterator[tuple[Member, IO[bytes] | None]]]:
        """The content, member by member; see `debtar.data_members`."""
        return debtar.data_members(self.path)

    def get(self, field: str) -> str:
        """A control field's value, empty when absent."""
        return self.fields.get(field.lower(), "")

    def info_text(self, name: str) -> str:
        """A control member (`postinst`, `triggers`) as text, empty when absent."""
        found = next((f.content for f in self.info if f.name == name), b"")
        return found.replace(b"\0", b"").decode("utf-8", "replace")

    @property
    def scripts(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.info if f.name in SCRIPTS)

    @property
    def is_multiarch_same(self) -> bool:
        return self.get("Multi-Arch").strip().lower() == "same"

    @property
    def info_prefix(self) -> str:
        """What dpkg puts before `.list` in its info directory (`pkg_infodb_get_file`)."""
        return self.package.key if self.is_multiarch_same else self.package.name

    @property
    def conffiles(self) -> tuple[Conffile, ...]:
        """In the order of the member; deb-conffiles(5)."""
        found = []
        for line in self.info_text("conffiles").split("\n"):
            words = line.strip()
            if not words:
                continue
            flag, space, rest = words.partition(" ")
            if words.startswith("/"):
                found.append(Conffile(words))
            elif flag == "remove-on-upgrade" and space and rest.strip().startswith("/"):
                found.append(Conffile(rest.strip(), remove_on_upgrade=True))
            else:
                raise PackageError(
                    f"'{self.path.name}' names a configuration file that is not absolute: {words}"
                )
        return tuple(found)


def sha256_of(path: Path) -> str:
    """Of a whole file, lower-case hex; PackageError when it cannot be read."""
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as err:
        raise PackageError(f"cannot read package '{path}': {err.strerror}") from err


def _is_kept(name: str) -> bool:
    """Control members that dpkg takes into its database.

    It passes over names with a dot and a member called `list` (unpack.c, pkg_infodb_update).
    """
    return "." not in name and name != "list"


def _info_mode(member: Member) -> int:
    """dpkg-deb extracts as root with the archive's modes; a script that lost its x bit is given
    it back when dpkg first runs it (script.c, maintscript_set_exec_context)."""
    mode = member.mode & 0o777
    return mode | 0o111 if member.path in SCRIPTS[:4] else mode


def parse_fields(text: str, *, name: str) -> dict[str, str]:
    """One deb822 paragraph as lower-case name -> value (continuation lines kept, `\\n`-joined).

    `name` is the file named in errors.
    """
    fields: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.strip("\n").split("\n"), 1):
        if line[:1] in (" ", "\t") and last:
            fields[last] += "\n" + line
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            raise PackageError(f"'{name}' has a malformed control file, line {number}")
        last = match.group(1).lower()
        if last in fields:
            raise PackageError(f"'{name}' gives the control field '{match.group(1)}' twice")
        fields[last] = match.group(2)
    return fields


def _package(fields: Mapping[str, str], name: str) -> Package:
    values = {}
    for field, pattern in (("Package", _NAME), ("Version", _VERSION), ("Architecture", _ARCH)):
        value = fields.get(field.lower(), "").strip()
        if not pattern.fullmatch(value):
            what = f"no valid field '{field}': '{value}'" if value else f"no field '{field}'"
            raise PackageError(f"'{name}' has {what}")
        values[field] = value
    return Package(values["Package"], values["Architecture"], values["Version"])


def is_deb(path: Path) -> bool:
    """Whether a file starts like a .deb (ar archive whose first member is `debian-binary`)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.read(fd, 21) == b"!<arch>\ndebian-binary"
    except OSError:
        return False
    finally:
        os.close(fd)

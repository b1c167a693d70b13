"""The origin of a deployment: what was asked for.

Stored as a key file next to each deployment (`CHECKSUM.SERIAL.origin`).  The origin is the state
of record: base and requests; which packages that came to is always derivable.  Keys and groups
that this version does not know are kept as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from apt_ostree.errors import OriginError

CHECKSUM = re.compile(r"[0-9a-f]{64}\Z")
_TRANSIENT = "libostree-transient"


@dataclass(frozen=True, slots=True)
class LocalPackage:
    """A .deb given as a file: the SHA-256 of the file, and what it was called."""

    sha256: str
    nevra: str

    def __str__(self) -> str:
        return f"{self.sha256}:{self.nevra}"

    @classmethod
    def parse(cls, text: str) -> Self:
        sha256, colon, nevra = text.partition(":")
        if not colon or not nevra or not CHECKSUM.match(sha256):
            raise OriginError(f"Invalid sha256-nevra: {text}")
        return cls(sha256, nevra)


@dataclass(frozen=True, slots=True)
class RemoteReplacement:
    """Base packages that follow an apt source (`repo=ID`) or suite (`suite=NAME`)."""

    source: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join((self.source, *self.packages))

    @classmethod
    def parse(cls, text: str) -> Self:
        source, *packages = text.split(",")
        kind, equals, name = source.partition("=")
        if not equals or not name or not packages or not all(packages):
            raise OriginError(f"Invalid repo replacement: {text}")
        if kind not in ("repo", "suite"):
            raise OriginError(f"Unknown repo replacement source: {text}")
        return cls(source, tuple(packages))


@dataclass(frozen=True, slots=True)
class Origin:
    """`refspec` is `[REMOTE:]BRANCH`, a checksum, or None for a container image.

    Package lists have set semantics and are kept sorted.
    """

    refspec: str | None = None
    container_image: str | None = None
    override_commit: str | None = None
    custom_url: str | None = None
    custom_description: str | None = None
    unconfigured_state: str | None = None
    requested: tuple[str, ...] = ()
    local: tuple[LocalPackage, ...] = ()
    local_fileoverride: tuple[LocalPackage, ...] = ()
    override_remove: tuple[str, ...] = ()
    override_local: tuple[LocalPackage, ...] = ()
    override_remote: tuple[RemoteReplacement, ...] = ()
    regenerate_initramfs: bool = False
    initramfs_args: tuple[str, ...] = ()
    initramfs_etc: tuple[str, ...] = ()
    cliwrap: bool = False
    architectures: tuple[str, ...] = ()
    debconf: tuple[str, ...] = ()
    rest: tuple[tuple[str, str, str], ...] = field(default=())  # (group, key, value) not ours

    @property
    def may_assemble(self) -> bool:
        """Whether the deployment may differ from the base commit."""
        return bool(
            self.requested or self.local or self.local_fileoverride or self.override_remove
            or self.override_local or self.override_remote or self.regenerate_initramfs
            or self.initramfs_etc or self.cliwrap or self.architectures
        )  # fmt: skip

    @property
    def has_packages(self) -> bool:
        """Whether packages may differ from the base's, so that there is something to solve."""
        return bool(
            self.requested or self.local or self.local_fileoverride or self.override_remove
            or self.override_local or self.override_remote
        )  # fmt: skip

    @property
    def is_checksum(self) -> bool:
        return self.refspec is not None and CHECKSUM.match(self.refspec) is not None

    @property
    def remote(self) -> str | None:
        if self.refspec is None or self.is_checksum:
            return None
        head, colon, _ = self.refspec.partition(":")
        return head if colon else None

    @property
    def branch(self) -> str | None:
        if self.refspec is None or self.is_checksum:
            return None
        return self.refspec.partition(":")[2] or self.refspec

    @property
    def all_local(self) -> tuple[LocalPackage, ...]:
        """Every local package that the package cache must keep for this origin."""
        return (*self.local, *self.local_fileoverride, *self.override_local)

    def without_layering(self) -> Self:
        return replace(self, requested=(), local=(), local_fileoverride=())

    def without_overrides(self) -> Self:
        return replace(self, override_remove=(), override_local=(), override_remote=())

    def without_initramfs(self) -> Self:
        return replace(self, regenerate_initramfs=False, initramfs_args=(), initramfs_etc=())

    # -- text

    def __str__(self) -> str:
        groups: dict[str, dict[str, str]] = {"origin": {}}
        origin = groups["origin"]
        if self.container_image is not None:
            origin["container-image-reference"] = self.container_image
        elif self.refspec is not None:
            origin["baserefspec" if self.may_assemble else "refspec"] = self.refspec
        for key, text in (
            ("override-commit", self.override_commit),
            ("custom-url", self.custom_url),
            ("custom-description", self.custom_description),
            ("unconfigured-state", self.unconfigured_state),
        ):
            if text is not None:
                origin[key] = _escape(text)
        for group, key, items in (
            ("packages", "requested", self.requested),
            ("packages", "requested-local", self.local),
            ("packages", "requested-local-fileoverride", self.local_fileoverride),
            ("overrides", "remove", self.override_remove),
            ("overrides", "replace-local", self.override_local),
            ("overrides", "replace", self.override_remote),
            ("aptostree", "initramfs-args", self.initramfs_args),
            ("aptostree", "initramfs-etc", self.initramfs_etc),
            ("aptostree", "architectures", self.architectures),
            ("aptostree", "debconf", self.debconf),
        ):
            if items:
                ordered = items if key in ("initramfs-args", "debconf") else sorted(map(str, items))
                groups.setdefault(group, {})[key] = "".join(
                    _escape(str(i)).replace(";", "\\;") + ";" for i in ordered
                )
        for key, flag in (
            ("regenerate-initramfs", self.regenerate_initramfs),
            ("ex-cliwrap", self.cliwrap),
        ):
            if flag:
                groups.setdefault("aptostree", {})[key] = "true"
        for group, key, value in self.rest:
            groups.setdefault(group, {}).setdefault(key, value)
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in keys.items())
            for name, keys in groups.items()
        )


def parse(text: str, *, source: str = "origin") -> Origin:
    """Read an origin file.  Raises OriginError naming `source` and the line."""
    raw = _read(text, source)
    origin = raw.pop("origin", {})
    image = origin.pop("container-image-reference", None)
    refspec = origin.pop("refspec", None)
    base = origin.pop("baserefspec", None)
    refspec = refspec if refspec is not None else base
    if image is not None and refspec is not None:
        raise OriginError("Found both refspec/baserefspec and container-image-reference")
    if not image and not refspec:
        raise OriginError(
            "Failed to find refspec/baserefspec/container-image-reference in origin",
            hint=f"the origin is {source}",
        )
    packages, overrides = raw.pop("packages", {}), raw.pop("overrides", {})
    own = raw.pop("aptostree", {})

    def locals_of(group: dict[str, str], key: str) -> tuple[LocalPackage, ...]:
        return tuple(LocalPackage.parse(i) for i in _items(group.pop(key, "")))

    def text_of(key: str) -> str | None:
        value = origin.pop(key, None)
        return None if value is None else _unescape(value)

    parsed = Origin(
        refspec=refspec,
        container_image=image,
        override_commit=text_of("override-commit"),
        custom_url=text_of("custom-url"),
        custom_description=text_of("custom-description"),
        unconfigured_state=text_of("unconfigured-state"),
        requested=_items(packages.pop("requested", "")),
        local=locals_of(packages, "requested-local"),
        local_fileoverride=locals_of(packages, "requested-local-fileoverride"),
        override_remove=_items(overrides.pop("remove", "")),
        override_local=locals_of(overrides, "replace-local"),
        override_remote=tuple(
            RemoteReplacement.parse(i) for i in _items(overrides.pop("replace", ""))
        ),
        regenerate_initramfs=_flag(own.pop("regenerate-initramfs", "false"), source),
        cliwrap=_flag(own.pop("ex-cliwrap", "false"), source),
        initramfs_args=_items(own.pop("initramfs-args", "")),
        initramfs_etc=_items(own.pop("initramfs-etc", "")),
        architectures=_items(own.pop("architectures", "")),
        debconf=_items(own.pop("debconf", "")),
    )
    raw.update({"origin": origin, "packages": packages, "overrides": overrides, "aptostree": own})
    rest = tuple(
        (group, key, value)
        for group, keys in raw.items()
        if group != _TRANSIENT
        for key, value in keys.items()
    )
    return replace(parsed, rest=rest)


def _read(text: str, source: str) -> dict[str, dict[str, str]]:
    """A key file (GLib's format) as group -> key -> raw value."""
    groups: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    lines = (line.strip(" \t\r") for line in text.split("\n"))
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if not line.endswith("]") or len(line) < 3:
                raise OriginError(f"{source}:{number}: malformed group '{line}'")
            current = groups.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip() or current is None:
            raise OriginError(f"{source}:{number}: expected KEY=VALUE in a group, found '{line}'")
        current[key.strip()] = value.strip(" \t")
    return groups


def _flag(text: str, source: str) -> bool:
    if text not in ("true", "false"):
        raise OriginError(f"{source}: expected true or false, found '{text}'")
    return text == "true"


_ESCAPES: Mapping[str, str] = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN: Mapping[str, str] = {"\\": "\\", "n": "\n", "t": "\t", "r": "\r", "s": " ", ";": ";"}


def _escape(text: str) -> str:
    out = "".join(_ESCAPES.get(c, c) for c in text)
    return "\\s" + out[1:] if out.startswith(" ") else out


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _PLAIN.get(m[1], m[0]), text)


def _items(raw: str) -> tuple[str, ...]:
    """The items of a list value; duplicates are dropped, order is kept."""
    found = [_unescape(i) for i in re.findall(r"((?:[^;\\]|\\.)+)(?:;|\Z)", raw)]
    return tuple(dict.fromkeys(found))

"""The entries of a lockfile, read from its nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from apt_ostree.model.package import Package
from apt_ostree.treefile import kinds
from apt_ostree.treefile.node import Fault, Node, Reader

NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*(?::(?P<arch>[a-z][a-z0-9-]*))?\Z", re.I | re.ASCII)
# deb-version(7), then a dot and dpkg's name of the architecture, which starts with a letter.
EVR = re.compile(r"(?:[0-9]+:)?[0-9a-z][0-9a-z.+~:-]*\Z", re.I | re.ASCII)
ARCH = re.compile(r"[a-z][a-z0-9-]*\Z", re.ASCII)
DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One lock.  `arch` None: whichever architecture; `sha256`: lower-case hex of the .deb."""

    name: str
    version: str
    arch: str | None = field(default=None, kw_only=True)
    sha256: str | None = field(default=None, kw_only=True)
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @classmethod
    def of(cls, package: Package, sha256: str | None) -> Self:
        return cls(package.name, package.version, arch=package.arch, sha256=sha256)

    @property
    def key(self) -> str:
        return self.name if self.arch is None else f"{self.name}:{self.arch}"

    def displaces(self, earlier: LockedPackage) -> bool:
        """Whether both cannot hold: one package, and architectures that do not exist side by side.

        Architecture `all` and a real one are two builds of the same package.
        """
        if self.name != earlier.name:
            return False
        archs = {self.arch, earlier.arch}
        return len(archs) == 1 or None in archs or "all" in archs

    def as_json(self) -> dict[str, Any]:
        out: dict[str, Any] = (
            {"evr": self.version} if self.arch is None else {"evra": f"{self.version}.{self.arch}"}
        )
        if self.sha256 is not None:
            out["digest"] = f"sha256:{self.sha256}"
        if self.metadata:
            out["metadata"] = dict(self.metadata)
        return out


@dataclass(slots=True)
class Content:
    """What a lockfile says, in the order in which it says it."""

    packages: list[LockedPackage] = field(default_factory=list)
    generated: datetime | None = None
    repos: dict[str, datetime] = field(default_factory=dict)


def read(root: Node) -> Content:
    """The entries of a lockfile; Fault at the first mistake."""
    reader = Reader("", Path())
    if not isinstance(root.value, dict):
        raise Fault(root.line, "a lockfile is a map with the key 'packages'")
    top = kinds.record(root, optional=("packages", "metadata"))
    if "packages" not in top:
        raise Fault(root.line, "Key 'packages' not found")
    content = Content()
    for key, node in kinds.members(top["packages"]).items():
        content.packages.append(_locked(key, node, reader))
    if "metadata" in top:
        found = kinds.record(top["metadata"], optional=("generated", "rpmmd_repos"))
        if "generated" in found:
            content.generated = _time(found["generated"], reader)
        repos = found.get("rpmmd_repos")
        for name, node in kinds.members(repos).items() if repos else ():
            content.repos[name] = _time(
                kinds.record(node, required=("generated",))["generated"], reader
            )
    return content


def _locked(key: str, node: Node, reader: Reader) -> LockedPackage:
    named = NAME.match(key)
    if named is None:
        raise Fault(node.key_line, f"'{key}' is not the name of a package")
    found = kinds.members(node)
    kinds.record(node, optional=("evra", "evr", "digest", "metadata"))
    if ("evra" in found) == ("evr" in found):
        raise Fault(node.line, f"package {key} needs one of 'evra' and 'evr'")
    name, _, arch = key.partition(":")
    if "evra" in found:
        evra = kinds.text(found["evra"], reader)
        version, _, evra_arch = evra.rpartition(".")
        is_good = EVR.match(version) and ARCH.match(evra_arch) and arch in ("", evra_arch)
        if not is_good:
            raise Fault(node.line, f"package {key} has malformed evra: {evra}",
                        hint="expected VERSION.ARCHITECTURE")  # fmt: skip
        arch = evra_arch
    else:
        version = kinds.text(found["evr"], reader)
        if not EVR.match(version):
            raise Fault(node.line, f"package {key} has malformed evr: {version}")
    metadata = kinds.DATA.decode(found["metadata"], reader) if "metadata" in found else {}
    return LockedPackage(name, version, arch=arch or None, metadata=metadata,
                         sha256=_digest(key, found.get("digest"), reader))  # fmt: skip


def _digest(key: str, node: Node | None, reader: Reader) -> str | None:
    if node is None or node.value is None:
        return None
    written = kinds.text(node, reader)
    matched = DIGEST.match(written)
    if matched is None:
        raise Fault(node.line, f"package {key} has malformed digest: {written}",
                    hint="expected sha256: and 64 hexadecimal digits")  # fmt: skip
    return matched.group(1)


def _time(node: Node, reader: Reader) -> datetime:
    written = kinds.text(node, reader)
    try:
        when = datetime.fromisoformat(written)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as err:
        raise Fault(node.line, f"'{written}' is not a time",
                    hint="expected RFC 3339, such as 2026-01-31T12:00:00Z") from err  # fmt: skip

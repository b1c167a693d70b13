"""Packages by name, architecture and version, and how they are written.

A version is split the way RPM tools print it, so that interfaces shared with rpm-ostree keep their
shape: `1:2.3-4+b1` is epoch `1`, version `2.3`, release `4+b1` (deb-version(7)); a native package
has the release ``""``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package version.  `arch` is dpkg's (`amd64`, `all`)."""

    name: str
    arch: str
    version: str

    @property
    def epoch(self) -> str:
        head, colon, _ = self.version.partition(":")
        return head if colon else "0"

    @property
    def upstream(self) -> str:
        rest = self.version.partition(":")[2] or self.version
        return rest.rpartition("-")[0] or rest

    @property
    def release(self) -> str:
        rest = self.version.partition(":")[2] or self.version
        head, dash, tail = rest.rpartition("-")
        return tail if dash and head else ""

    @property
    def evr(self) -> str:
        """The version as it is printed: without a zero epoch."""
        return self.version.removeprefix("0:")

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"

    @property
    def key(self) -> str:
        """`name:arch`, the identity of a package across versions (dpkg's own notation)."""
        return f"{self.name}:{self.arch}"

    def as_tuple(self) -> tuple[str, str, str, str, str, str]:
        """The contract's six fields: nevra, name, epoch, version, release, arch."""
        return self.nevra, self.name, self.epoch, self.upstream, self.release, self.arch

    @classmethod
    def from_dict(cls, raw: dict[str, str]) -> Self:
        return cls(name=raw["name"], arch=raw["arch"], version=raw["version"])

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "arch": self.arch, "version": self.version}

"""The parts of a treefile that are more than a word or a list of words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file that a treefile names.

    `name` is as written; `directory` is that of the treefile which named it and `where` the line
    (`FILE:LINE`).  Two references are equal when the names are.
    """

    name: str
    directory: Path = field(default=Path(), compare=False)
    where: str = field(default="", compare=False)

    @property
    def path(self) -> Path:
        return self.directory / self.name

    def as_json(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class AddFile:
    """`add-files`: copy `file` to `dest`, a path in the tree without leading slash."""

    file: FileRef
    dest: str

    def as_json(self) -> list[str]:
        return [self.file.name, self.dest]


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """`check-passwd`, `check-groups`: what the accounts of the new tree are held against.

    `type` is `none`, `previous`, `file` (then `file` is set) or `data`; `entries` maps a user to
    (uid, gid) and a group to (gid, gid).
    """

    type: str = "previous"
    file: FileRef | None = None
    entries: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": self.type}
        if self.file is not None:
            out["filename"] = self.file.name
        if self.type == "data":
            out["entries"] = {
                name: first if first == second else [first, second]
                for name, (first, second) in sorted(self.entries.items())
            }
        return out


@dataclass(frozen=True, slots=True)
class RepoPackages:
    """`repo-packages`: take `packages` from the source `repo` and from nowhere else."""

    repo: str
    packages: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"repo": self.repo, "packages": list(self.packages)}


@dataclass(frozen=True, slots=True)
class OverrideReplace:
    """`ex-override-replace`: replace base packages by those of the source `repo`."""

    repo: str
    packages: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"from": {"repo": self.repo}, "packages": list(self.packages)}


@dataclass(frozen=True, slots=True)
class RemoveFromPackage:
    """`remove-from-packages`: drop the files of `package` that match one of `patterns`."""

    package: str
    patterns: tuple[str, ...]

    def as_json(self) -> list[str]:
        return [self.package, *self.patterns]


@dataclass(frozen=True, slots=True)
class Initramfs:
    """`initramfs` of a client: regenerate it on this machine, with `args`, tracking `etc`."""

    regenerate: bool = False
    etc: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"regenerate": self.regenerate}
        if self.etc:
            out["etc"] = list(self.etc)
        if self.args:
            out["args"] = list(self.args)
        return out


@dataclass(frozen=True, slots=True)
class CustomOrigin:
    """`custom`: where the base came from when ostree itself cannot tell."""

    url: str
    description: str | None = None

    def as_json(self) -> dict[str, str]:
        return {"url": self.url} | (
            {} if self.description is None else {"description": self.description}
        )


def encode(value: Any) -> Any:
    """Any value of a treefile as JSON holds it."""
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in sorted(value.items())}
    return value

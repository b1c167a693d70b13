"""A plan: what one transaction will do, decided before anything is written.

`host.plan` and `compose.tree` make it, `--dry-run`, JSON, history and the build show and execute
this one value.  Two equal plans build the same tree; `Plan.digest` is that identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from apt_ostree.model.package import Package

# Part of every plan's identity: raise it when the same plan would build another tree.
ENGINE_VERSION = 1


class Action(StrEnum):
    INSTALL = "install"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    REMOVE = "remove"


class ReasonKind(StrEnum):
    REQUEST = "request"  # `of` is the request as it was typed
    ESSENTIAL = "essential"  # a compose starts from the Essential set
    PRE_DEPENDS = "pre-depends"  # `of` is the package that needs it
    DEPENDS = "depends"
    RECOMMENDS = "recommends"
    OVERRIDE = "override"  # `of` is the override as it was typed
    KERNEL = "kernel"  # removed because another kernel image takes its place


@dataclass(frozen=True, slots=True)
class Reason:
    kind: ReasonKind
    of: str = ""

    def __str__(self) -> str:
        match self.kind:
            case ReasonKind.REQUEST:
                return f"requested as '{self.of}'"
            case ReasonKind.ESSENTIAL:
                return "essential"
            case ReasonKind.OVERRIDE:
                return f"override '{self.of}'"
            case ReasonKind.KERNEL:
                return f"replaced by {self.of}"
            case ReasonKind.PRE_DEPENDS | ReasonKind.DEPENDS:
                return f"dependency of {self.of}"
            case ReasonKind.RECOMMENDS:
                return f"recommended by {self.of}"


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the bytes of a package come from.

    `sha256` is lower-case hex of the whole .deb; `uri` is what apt fetches (empty: only in the
    package cache); `path` is set for a local file; `source_id` names the apt source (file stem,
    `:suite` when a file holds several), `@local` for local files.
    """

    sha256: str
    size_bytes: int
    source_id: str
    uri: str = ""
    path: str = ""
    suite: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one package.  `archive` is None for removals only."""

    action: Action
    package: Package
    reason: Reason
    old_version: str | None = None
    archive: Archive | None = None
    installed_bytes: int = 0
    source: str = ""  # source package name


class Verb(StrEnum):
    UNPACK = "unpack"
    CONFIGURE = "configure"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Op:
    """One move of the package manager, in an order that respects Pre-Depends.

    Source: apt's `pkgPackageManager::OrderInstall`; `key` is `name:arch`.
    """

    verb: Verb
    key: str


class InactiveKind(StrEnum):
    REQUEST = "request"
    REMOVAL = "removal"  # an override
    REPLACEMENT = "replacement"  # an override


@dataclass(frozen=True, slots=True)
class Inactive:
    """What was asked for and has no effect on this base: kept, not applied.

    A request that the base satisfies already with `provided_by`, or an override of a package that
    is not in the base (`request` is then its name, or the NEVRA of a file, and nothing provides
    it).
    """

    request: str
    provided_by: str = ""
    kind: InactiveKind = InactiveKind.REQUEST


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """An apt source as it was used: `generated` is the Release file's Date (UNIX seconds)."""

    id: str
    generated: int
    packages: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...] = ()
    order: tuple[Op, ...] = ()
    inactive: tuple[Inactive, ...] = ()
    sources: tuple[SourceInfo, ...] = ()
    base: str | None = None  # checksum of the base commit, None for a compose
    inputs: tuple[tuple[str, str], ...] = field(default=())  # name, digest of every other input

    @property
    def download_bytes(self) -> int:
        return sum(s.archive.size_bytes for s in self.steps if s.archive and s.archive.uri)

    @property
    def installed_bytes(self) -> int:
        """Growth of the tree by the packages' own Installed-Size; removals count negative."""
        return sum(
            -s.installed_bytes if s.action is Action.REMOVE else s.installed_bytes
            for s in self.steps
        )

    @property
    def digest(self) -> str:
        """SHA-512 over everything that decides the tree.

        Deliberately leaves out where bytes come from (URI, source) and why (reasons): the same
        packages on the same base give the same tree.
        """
        identity = {
            "engine": ENGINE_VERSION,
            "base": self.base,
            "inputs": sorted(self.inputs),
            "steps": sorted(
                (
                    str(s.action),
                    s.package.key,
                    s.package.version,
                    s.archive.sha256 if s.archive else "",
                )
                for s in self.steps
            ),
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha512(text.encode()).hexdigest()

    def of_action(self, *actions: Action) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if s.action in actions)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON values; the schema of `--dry-run --json`."""
        return {
            "version": 1,
            "base": self.base,
            "digest": self.digest,
            "download-bytes": self.download_bytes,
            "installed-bytes": self.installed_bytes,
            "inputs": dict(self.inputs),
            "steps": [_step_to_dict(s) for s in self.steps],
            "order": [[str(o.verb), o.key] for o in self.order],
            "inactive": [
                {"request": i.request, "provided-by": i.provided_by, "kind": str(i.kind)}
                for i in self.inactive
            ],
            "sources": [
                {"id": s.id, "generated": s.generated, "packages": s.packages} for s in self.sources
            ],
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            base=raw["base"],
            inputs=tuple(sorted(raw["inputs"].items())),
            steps=tuple(_step_from_dict(s) for s in raw["steps"]),
            order=tuple(Op(Verb(verb), key) for verb, key in raw["order"]),
            inactive=tuple(
                Inactive(i["request"], i["provided-by"], InactiveKind(i["kind"]))
                for i in raw["inactive"]
            ),
            sources=tuple(
                SourceInfo(s["id"], s["generated"], s["packages"]) for s in raw["sources"]
            ),
        )


def _step_to_dict(step: Step) -> dict[str, Any]:
    out: dict[str, Any] = {
        "action": str(step.action),
        **step.package.as_dict(),
        "reason": {"kind": str(step.reason.kind), "of": step.reason.of},
        "installed-bytes": step.installed_bytes,
        "source": step.source,
    }
    if step.old_version is not None:
        out["old-version"] = step.old_version
    if step.archive is not None:
        archive = step.archive
        out["archive"] = {
            "sha256": archive.sha256,
            "size-bytes": archive.size_bytes,
            "source-id": archive.source_id,
            "uri": archive.uri,
            "path": archive.path,
            "suite": archive.suite,
        }
    return out


def _step_from_dict(raw: Mapping[str, Any]) -> Step:
    archive = raw.get("archive")
    return Step(
        action=Action(raw["action"]),
        package=Package(raw["name"], raw["arch"], raw["version"]),
        reason=Reason(ReasonKind(raw["reason"]["kind"]), raw["reason"]["of"]),
        old_version=raw.get("old-version"),
        archive=None
        if archive is None
        else Archive(
            sha256=archive["sha256"],
            size_bytes=archive["size-bytes"],
            source_id=archive["source-id"],
            uri=archive["uri"],
            path=archive["path"],
            suite=archive["suite"],
        ),
        installed_bytes=raw["installed-bytes"],
        source=raw["source"],
    )


def summary(steps: Sequence[Step]) -> str:
    """`2 installs, 1 upgrade`: the count of each action, zero ones left out."""
    counts = [(a, sum(1 for s in steps if s.action is a)) for a in Action]
    return ", ".join(f"{n} {a}{'s' if n > 1 else ''}" for a, n in counts if n)

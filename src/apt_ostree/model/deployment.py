"""One deployment as users and programs see it.

`from_dict` reads the dictionary that JSON and D-Bus carry; the names of its keys are the contract
with scripts, the attributes here are for our own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from apt_ostree.model.package import Package


def package_from_tuple(raw: Any) -> Package:
    """The six fields (nevra, name, epoch, version, release, arch) as one value."""
    _, name, epoch, version, release, arch = raw
    text = f"{version}-{release}" if release else str(version)
    return Package(name, arch, f"{epoch}:{text}" if str(epoch) not in ("", "0") else text)


@dataclass(frozen=True, slots=True)
class Replacement:
    """A base package that another version takes the place of."""

    new: Package
    old: Package

    @classmethod
    def from_pair(cls, raw: Any) -> Self:
        return cls(package_from_tuple(raw[0]), package_from_tuple(raw[1]))


@dataclass(frozen=True, slots=True)
class Pending:
    """A newer base that the ref already points to."""

    checksum: str
    version: str | None
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Timestamps are UNIX seconds.  `base_*` are None when nothing is layered."""

    id: str
    osname: str
    serial: int
    checksum: str
    is_booted: bool
    is_staged: bool
    is_pinned: bool
    unlocked: str
    timestamp: int
    version: str | None = None
    origin: str | None = None
    container_image: str | None = None
    container_digest: str | None = None
    custom_origin: tuple[str, str] | None = None  # url, description
    base_checksum: str | None = None
    base_version: str | None = None
    base_timestamp: int | None = None
    base_meta: Mapping[str, Any] | None = None
    layered_meta: Mapping[str, Any] | None = None
    is_finalization_locked: bool = False
    live_in_progress: str | None = None
    live_replaced: str | None = None
    is_gpg_enabled: bool | None = None  # None: nothing to verify against
    signatures: tuple[Any, ...] | None = None
    remote_error: str | None = None
    origin_error: str | None = None
    end_of_life: str | None = None
    pending: Pending | None = None
    packages: tuple[str, ...] = ()
    requested_packages: tuple[str, ...] = ()
    requested_local: tuple[str, ...] = ()
    requested_local_forced: tuple[str, ...] = ()
    inactive_local: tuple[str, ...] = ()
    base_removals: tuple[Package, ...] = ()
    requested_base_removals: tuple[str, ...] = ()
    local_replacements: tuple[Replacement, ...] = ()
    requested_local_replacements: tuple[str, ...] = ()
    remote_replacements: tuple[tuple[str, tuple[Replacement, ...]], ...] = ()
    requested_remote_replacements: tuple[tuple[str, tuple[str, ...]], ...] = ()
    regenerate_initramfs: bool = False
    initramfs_args: tuple[str, ...] = ()
    initramfs_etc: tuple[str, ...] = ()
    is_cliwrap: bool = False

    @property
    def is_layered(self) -> bool:
        return self.base_checksum is not None

    @property
    def meta(self) -> Mapping[str, Any]:
        """The metadata that names this tree: of the layered commit, else of the base."""
        return (self.layered_meta if self.is_layered else self.base_meta) or {}

    @property
    def is_live(self) -> bool:
        return bool(self.live_in_progress or self.live_replaced)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Keys that are absent mean what the dictionary's description says of them."""
        pending = None
        if checksum := raw.get("pending-base-checksum"):
            pending = Pending(
                checksum, raw.get("pending-base-version"), raw.get("pending-base-timestamp")
            )
        custom = raw.get("custom-origin")
        signatures = raw.get("signatures")
        return cls(
            id=raw["id"],
            osname=raw["osname"],
            serial=raw["serial"],
            checksum=raw["checksum"],
            is_booted=raw["booted"],
            is_staged=raw["staged"],
            is_pinned=raw["pinned"],
            unlocked=raw["unlocked"],
            timestamp=raw["timestamp"],
            version=raw.get("version"),
            origin=raw.get("origin"),
            container_image=raw.get("container-image-reference"),
            container_digest=raw.get("container-image-reference-digest"),
            custom_origin=None if custom is None else (custom[0], custom[1]),
            base_checksum=raw.get("base-checksum"),
            base_version=raw.get("base-version"),
            base_timestamp=raw.get("base-timestamp"),
            base_meta=raw.get("base-commit-meta"),
            layered_meta=raw.get("layered-commit-meta"),
            is_finalization_locked=raw.get("finalization-locked", False),
            live_in_progress=raw.get("live-inprogress"),
            live_replaced=raw.get("live-replaced"),
            is_gpg_enabled=raw.get("gpg-enabled"),
            signatures=None if signatures is None else tuple(signatures),
            remote_error=raw.get("remote-error"),
            origin_error=raw.get("origin-error"),
            end_of_life=raw.get("endoflife"),
            pending=pending,
            regenerate_initramfs=raw.get("regenerate-initramfs", False),
            is_cliwrap=raw.get("cliwrap", False),
            **_requests(raw),
        )


def _requests(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of this deployment, and how much of it is active."""
    remote: Mapping[str, Any] = raw.get("base-remote-replacements", {})
    return {
        "packages": tuple(raw.get("packages", ())),
        "requested_packages": tuple(raw.get("requested-packages", ())),
        "requested_local": tuple(raw.get("requested-local-packages", ())),
        "requested_local_forced": tuple(raw.get("requested-local-fileoverride-packages", ())),
        "inactive_local": tuple(raw.get("inactive-local-packages", ())),
        "base_removals": tuple(package_from_tuple(p) for p in raw.get("base-removals", ())),
        "requested_base_removals": tuple(raw.get("requested-base-removals", ())),
        "local_replacements": tuple(
            Replacement.from_pair(p) for p in raw.get("base-local-replacements", ())
        ),
        "requested_local_replacements": tuple(raw.get("requested-base-local-replacements", ())),
        "remote_replacements": tuple(
            (source, tuple(Replacement.from_pair(p) for p in pairs))
            for source, pairs in sorted(remote.items())
        ),
        "requested_remote_replacements": tuple(
            (source, tuple(names))
            for source, names in raw.get("requested-base-remote-replacements", ())
        ),
        "initramfs_args": tuple(raw.get("initramfs-args", ())),
        "initramfs_etc": tuple(raw.get("initramfs-etc", ())),
    }

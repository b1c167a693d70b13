"""What a verb asks for: an edit of the origin, and how to carry it out.

Every command (and later every D-Bus method) is one `Change`; `host.change.run` is the one function
that carries a change out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from apt_ostree.model.plan import Plan


@dataclass(frozen=True, slots=True)
class KargsEdit:
    """Kernel argument edits, applied in the order delete, replace, append, append-if-missing,
    delete-if-present (the contract of `kargs`)."""

    delete: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    append: tuple[str, ...] = ()
    append_if_missing: tuple[str, ...] = ()
    delete_if_present: tuple[str, ...] = ()
    final: tuple[str, ...] | None = None  # the editor's result; replaces everything

    def __bool__(self) -> bool:
        return self.final is not None or any(
            (self.delete, self.replace, self.append, self.append_if_missing, self.delete_if_present)
        )


@dataclass(frozen=True, slots=True)
class Change:
    """Edits of the origin; the default value changes nothing."""

    # layered packages
    install: tuple[str, ...] = ()
    install_local: tuple[Path, ...] = ()
    install_fileoverride_local: tuple[Path, ...] = ()
    uninstall: tuple[str, ...] = ()
    no_layering: bool = False  # drop every layered package first
    # overrides of base packages
    override_remove: tuple[str, ...] = ()
    override_replace_local: tuple[Path, ...] = ()
    override_replace_from: tuple[tuple[str, tuple[str, ...]], ...] = ()  # ("repo=X", names)
    override_reset: tuple[str, ...] = ()
    no_overrides: bool = False
    # the base
    pull_base: bool = False  # look for a newer base (upgrade)
    refspec: str | None = None  # rebase
    skip_purge: bool = False
    revision: str | None = None  # deploy: checksum, `version=V`, `revision=C`
    skip_branch_check: bool = False
    custom_origin: tuple[str, str] | None = None  # url, description
    # boot
    no_initramfs: bool = False
    initramfs_regenerate: bool | None = None
    initramfs_args: tuple[str, ...] = ()
    initramfs_etc_track: tuple[str, ...] = ()
    initramfs_etc_untrack: tuple[str, ...] = ()
    initramfs_etc_untrack_all: bool = False
    initramfs_etc_force_sync: bool = False
    kargs: KargsEdit = field(default_factory=KargsEdit)
    kargs_base_index: int | None = None
    # Debian additions
    debconf: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()

    @property
    def adds_difference(self) -> bool:
        """Whether it makes the packages differ more from the base than they did."""
        return bool(
            self.install or self.install_local or self.install_fileoverride_local
            or self.override_remove or self.override_replace_local or self.override_replace_from
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """How a change is carried out (the options of interface.md that are not edits)."""

    dry_run: bool = False
    only_check: bool = False  # fetch what tells of updates, but no content, and deploy nothing
    cache_only: bool = False
    download_only: bool = False
    allow_inactive: bool = False
    idempotent: bool = False
    allow_downgrade: bool = False
    lock_finalization: bool = False
    command_line: str = ""  # stored in history; the transaction's title
    enable_sources: tuple[str, ...] = ()
    disable_sources: tuple[str, ...] = ()
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change did.

    `deployment` is the id (`OSNAME-CHECKSUM.SERIAL`) of the new default deployment, None when
    nothing changed or nothing was to be deployed.  `timings` are seconds by phase.
    """

    changed: bool
    plan: Plan | None = None
    deployment: str | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values: what `--json` prints and a worker reports."""
        return {
            "changed": self.changed,
            "deployment": self.deployment,
            "plan": None if self.plan is None else self.plan.as_dict(),
            "timings": dict(self.timings),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        plan = raw["plan"]
        return cls(
            changed=raw["changed"],
            plan=None if plan is None else Plan.from_dict(plan),
            deployment=raw["deployment"],
            timings=raw["timings"],
            notes=raw["notes"],
        )

"""A change as a method call: what a client sends for it.

The inverse of `decode`.  Files travel as descriptors, never as paths that root would open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.model.change import Change, Options
from apt_ostree.wire.glib import GLib
from apt_ostree.wire.keys import (
    INITIATOR,
    MODIFIER_FILES,
    MODIFIER_LISTS,
    OPTION_FLAGS,
    OPTION_LISTS,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A method of the OS interface; `files` are what the handles in `arguments` count."""

    method: str
    arguments: GLib.Variant
    files: tuple[Path, ...] = ()


def encode(
    change: Change,
    options: Options,
    *,
    reboot: bool = False,
    live: bool = False,
    driver: str | None = None,
) -> Call:
    """The call for a change; `driver` is the name of a program that takes updates over with it."""
    settings = _options(change, options, reboot=reboot)
    if driver is not None:
        settings["register-driver"] = GLib.Variant("s", driver)
    if change.initramfs_regenerate is not None:
        body = (change.initramfs_regenerate, list(change.initramfs_args), settings)
        return Call("SetInitramfsState", GLib.Variant("(basa{sv})", body))
    if change.initramfs_etc_track or change.initramfs_etc_untrack or _is_etc(change):
        return Call(
            "InitramfsEtc",
            GLib.Variant(
                "(asasbba{sv})",
                (
                    list(change.initramfs_etc_track),
                    list(change.initramfs_etc_untrack),
                    change.initramfs_etc_untrack_all,
                    change.initramfs_etc_force_sync,
                    settings,
                ),
            ),
        )
    if change.kargs:
        return _kernel_args(change, settings)
    files: list[Path] = []
    modifiers = _modifiers(change, files)
    if live:
        settings["apply-live"] = GLib.Variant("b", True)
    return Call(
        "UpdateDeployment", GLib.Variant("(a{sv}a{sv})", (modifiers, settings)), tuple(files)
    )


def _is_etc(change: Change) -> bool:
    return change.initramfs_etc_untrack_all or change.initramfs_etc_force_sync


def _options(change: Change, options: Options, *, reboot: bool) -> dict[str, GLib.Variant]:
    flags = {key: getattr(options, attribute) for key, attribute in OPTION_FLAGS}
    flags |= {
        "reboot": reboot,
        "no-pull-base": not _moves_base(change),
        "no-layering": change.no_layering,
        "no-overrides": change.no_overrides,
        "no-initramfs": change.no_initramfs,
        "skip-purge": change.skip_purge,
        "skip-branch-check": change.skip_branch_check,
    }
    out = {key: GLib.Variant("b", True) for key, value in flags.items() if value}
    # Its default depends on the method, so it is always said.
    out["allow-downgrade"] = GLib.Variant("b", options.allow_downgrade)
    if options.command_line:
        out[INITIATOR] = GLib.Variant("s", options.command_line)
    if options.release is not None:
        out["release"] = GLib.Variant("s", options.release)
    if change.custom_origin is not None:
        out["custom-origin"] = GLib.Variant("(ss)", change.custom_origin)
    for key, attribute in OPTION_LISTS:
        if values := getattr(options, attribute):
            out[key] = GLib.Variant("as", list(values))
    return out


def _moves_base(change: Change) -> bool:
    return change.pull_base or change.refspec is not None or change.revision is not None


def _modifiers(change: Change, files: list[Path]) -> dict[str, GLib.Variant]:
    out: dict[str, GLib.Variant] = {}
    for key, attribute in MODIFIER_LISTS.items():
        if values := getattr(change, attribute):
            out[key] = GLib.Variant("as", list(values))
    for key, attribute in MODIFIER_FILES.items():
        if paths := getattr(change, attribute):
            out[key] = GLib.Variant("ah", range(len(files), len(files) + len(paths)))
            files += paths
    if change.refspec is not None:
        refspec = change.refspec
        if refspec.startswith("/"):
            repo, _, refspec = refspec.partition(":")
            out["ex-local-repo-remote"] = GLib.Variant("h", len(files))
            files.append(Path(repo))
        out["set-refspec"] = GLib.Variant("s", refspec)
    if change.revision is not None:
        out["set-revision"] = GLib.Variant("s", change.revision)
    if change.override_replace_from:
        fragment = {
            "ex-override-replace": [
                {"from": source, "packages": list(names)}
                for source, names in change.override_replace_from
            ]
        }
        out["treefile"] = GLib.Variant("s", json.dumps(fragment))
    return out


def _kernel_args(change: Change, settings: dict[str, GLib.Variant]) -> Call:
    edit = change.kargs
    if edit.final is not None:
        settings["final-kernel-args"] = GLib.Variant("s", " ".join(edit.final))
    for key, values in (
        ("append-if-missing", edit.append_if_missing),
        ("delete-if-present", edit.delete_if_present),
    ):
        if values:
            settings[key] = GLib.Variant("as", list(values))
    if change.kargs_base_index is not None:
        settings["deploy-index"] = GLib.Variant("s", str(change.kargs_base_index))
    body = ("", list(edit.append), list(edit.replace), list(edit.delete), settings)
    return Call("KernelArgs", GLib.Variant("(sasasasa{sv})", body))

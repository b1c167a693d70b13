"""A method call as the change that it asks for: what the daemon makes of it.

A caller can put anything into an `a{sv}`, so every value is looked at before it is believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from apt_ostree.errors import AptOstreeError
from apt_ostree.model import kargs, texts
from apt_ostree.model.change import Change, KargsEdit, Options
from apt_ostree.wire.keys import (
    INITIATOR,
    MODIFIER_FILES,
    MODIFIER_LISTS,
    OPTION_FLAGS,
    OPTION_LISTS,
)
from apt_ostree.wire.values import Values, flag, strings, text, typed

_DRIVER = "register-driver"


@dataclass(frozen=True, slots=True)
class Request:
    """What a call asks for.  `files` are handles (places in the list of descriptors), by the
    attribute of Change that they belong to; `repo` is the handle of a local repository."""

    change: Change
    options: Options
    reboot: bool = False
    apply_live: bool = False
    register_driver: str | None = None
    handles: Mapping[str, tuple[int, ...]] | None = None
    repo: int | None = None


def decode(method: str, arguments: Sequence[Any], *, fd_count: int = 0) -> Request:
    """The request of a call with unpacked `arguments`.

    Raises AptOstreeError for options that exclude each other, for what apt has not (modules), and
    for handles that no descriptor came with.
    """
    request = _DECODERS[method](arguments)
    used = [h for hs in (request.handles or {}).values() for h in hs]
    used += [] if request.repo is None else [request.repo]
    if sorted(used) != list(range(fd_count)):
        raise AptOstreeError(f"Expected {len(used)} fds but received {fd_count}")
    _check(request)
    return request


def _request(change: Change, settings: Values, *, downgrade: bool) -> Request:
    given: dict[str, Any] = {a: flag(settings, key) for key, a in OPTION_FLAGS}
    given |= {a: strings(settings, key) for key, a in OPTION_LISTS}
    options = Options(
        **given,
        allow_downgrade=flag(settings, "allow-downgrade", default=downgrade),
        command_line=text(settings, INITIATOR) or "",
        release=text(settings, "release"),
    )
    if flag(settings, "allow-inactive-requests"):
        options = replace(options, allow_inactive=True)
    return Request(
        change,
        options,
        reboot=flag(settings, "reboot"),
        apply_live=flag(settings, "apply-live"),
        register_driver=text(settings, _DRIVER),
    )


def _upgrade(arguments: Sequence[Any]) -> Request:
    (settings,) = arguments
    return _request(Change(pull_base=True), settings, downgrade=False)


def _deploy(arguments: Sequence[Any]) -> Request:
    revision, settings = arguments
    change = Change(
        pull_base=True,
        revision=revision or None,
        skip_branch_check=flag(settings, "skip-branch-check"),
    )
    return _request(change, settings, downgrade=True)


def _rebase(arguments: Sequence[Any]) -> Request:
    settings, refspec, packages = arguments
    if not refspec:
        raise AptOstreeError("Refspec is empty")
    change = Change(
        pull_base=True, refspec=refspec, revision=text(settings, "revision"),
        install=tuple(packages), skip_purge=flag(settings, "skip-purge"),
        custom_origin=_custom_origin(settings),
    )  # fmt: skip
    return _request(change, settings, downgrade=True)


def _pkg_change(arguments: Sequence[Any]) -> Request:
    settings, added, removed = arguments
    change = Change(
        install=tuple(added), uninstall=tuple(removed),
        no_layering=flag(settings, "no-layering"),
        pull_base=not flag(settings, "no-pull-base", default=True),
    )  # fmt: skip
    return _request(change, settings, downgrade=False)


def _set_initramfs(arguments: Sequence[Any]) -> Request:
    regenerate, args, settings = arguments
    change = Change(initramfs_regenerate=regenerate, initramfs_args=tuple(args))
    return _request(change, settings, downgrade=False)


def _initramfs_etc(arguments: Sequence[Any]) -> Request:
    track, untrack, untrack_all, force_sync, settings = arguments
    change = Change(
        initramfs_etc_track=tuple(track), initramfs_etc_untrack=tuple(untrack),
        initramfs_etc_untrack_all=untrack_all, initramfs_etc_force_sync=force_sync,
    )  # fmt: skip
    return _request(change, settings, downgrade=False)


def _kargs(arguments: Sequence[Any]) -> Request:
    _, added, replaced, removed, settings = arguments
    final = text(settings, "final-kernel-args")
    index = text(settings, "deploy-index")
    if index is not None and not index.isdecimal():
        raise AptOstreeError(f"Invalid deployment index {index}, must be a number and >= 0")
    edit = KargsEdit(
        delete=tuple(removed), replace=tuple(replaced), append=tuple(added),
        append_if_missing=strings(settings, "append-if-missing"),
        delete_if_present=strings(settings, "delete-if-present"),
        final=None if final is None else tuple(kargs.split(final)),
    )  # fmt: skip
    change = Change(kargs=edit, kargs_base_index=None if index is None else int(index))
    return _request(change, settings, downgrade=False)


def _update(arguments: Sequence[Any]) -> Request:
    modifiers, settings = arguments
    for key in _MODULES:
        if modifiers.get(key):
            raise AptOstreeError("apt has no modules", hint="name packages instead")
    if modifiers.get("install-fileoverride-packages"):
        raise AptOstreeError(texts.FILEOVERRIDE_BY_NAME)
    if modifiers.get("override-replace-packages"):
        raise AptOstreeError(texts.REPLACEMENT_BY_NAME)
    refspec, revision = text(modifiers, "set-refspec"), text(modifiers, "set-revision")
    is_pinned = flag(settings, "no-pull-base")
    lists: dict[str, Any] = {a: strings(modifiers, key) for key, a in MODIFIER_LISTS.items()}
    change = Change(
        **lists,
        override_replace_from=_replacements(text(modifiers, "treefile")),
        no_layering=flag(settings, "no-layering"),
        no_overrides=flag(settings, "no-overrides"),
        no_initramfs=flag(settings, "no-initramfs"),
        pull_base=not is_pinned,
        refspec=refspec,
        revision=revision,
        skip_purge=flag(settings, "skip-purge"),
        skip_branch_check=flag(settings, "skip-branch-check"),
        custom_origin=_custom_origin(settings) or _custom_origin(modifiers),
    )
    moves = refspec is not None or revision is not None
    if is_pinned and moves:
        raise AptOstreeError("Can't specify no-pull-base if setting a new refspec or revision")
    local = dict(modifiers)
    if (other := local.pop("install-local-fileoverride-packages", None)) is not None:
        local.setdefault("install-fileoverride-local-packages", other)
    handles = {attribute: _handles(local, key) for key, attribute in MODIFIER_FILES.items()}
    return replace(
        _request(change, settings, downgrade=moves),
        handles={name: found for name, found in handles.items() if found},
        repo=_handle(modifiers, "ex-local-repo-remote"),
    )


_MODULES = ("enable-modules", "disable-modules", "install-modules", "uninstall-modules")
_DECODERS = {
    "Upgrade": _upgrade, "Deploy": _deploy, "Rebase": _rebase, "PkgChange": _pkg_change,
    "SetInitramfsState": _set_initramfs, "InitramfsEtc": _initramfs_etc, "KernelArgs": _kargs,
    "UpdateDeployment": _update,
}  # fmt: skip
METHODS = tuple(_DECODERS)


def _check(request: Request) -> None:
    change, options = request.change, request.options
    if options.cache_only and options.download_only:
        raise AptOstreeError("Can't specify cache-only and download-only")
    if options.dry_run and options.download_only:
        raise AptOstreeError("Can't specify dry-run and download-only")
    if change.no_overrides and _has_override_modifiers(request):
        raise AptOstreeError("Can't specify no-overrides if setting override modifiers")
    if change.skip_purge and change.refspec is None:
        raise AptOstreeError("Can't specify skip-purge if not setting a new refspec")
    if request.apply_live and request.reboot:
        raise AptOstreeError("Cannot specify `apply-live` and `reboot`")
    if request.repo is not None and not change.refspec:
        raise AptOstreeError("Missing ref for transient local rebases")
    if request.repo is not None and change.revision is not None:
        raise AptOstreeError(texts.REVISION_OF_LOCAL_REPO)


def _has_override_modifiers(request: Request) -> bool:
    change = request.change
    return bool(
        change.override_remove
        or change.override_reset
        or change.override_replace_from
        or (request.handles or {}).get("override_replace_local")
    )


def _replacements(treefile: str | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The part of a treefile that a request may carry: packages to take from another source."""
    if treefile is None:
        return ()
    try:
        found = json.loads(treefile)
        rows = found.get("ex-override-replace", ())
        return tuple((str(r["from"]), tuple(str(p) for p in r["packages"])) for r in rows)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        raise AptOstreeError("the 'treefile' modifier is not a derivation treefile") from err


def _custom_origin(values: Values) -> tuple[str, str] | None:
    found = typed(values, "custom-origin", tuple, ("", ""))
    if [type(v) for v in found] != [str, str]:
        raise AptOstreeError("Invalid custom-origin")
    url, description = found
    if not url:
        return None
    if not description:
        raise AptOstreeError("Invalid custom-origin")
    return str(url), str(description)


def _handles(values: Values, key: str) -> tuple[int, ...]:
    found = typed(values, key, list, [])
    if not all(type(v) is int for v in found):
        raise AptOstreeError(f"option '{key}' must be a list of handles")
    return tuple(found)


def _handle(values: Values, key: str) -> int | None:
    found: int | None = typed(values, key, int, None)
    return None if found is None else int(found)

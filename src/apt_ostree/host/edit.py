"""Apply a change to an origin: what every verb does before anything is planned.  Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change, Options
from apt_ostree.model.origin import LocalPackage, Origin, RemoteReplacement

T = TypeVar("T")


def edit(
    origin: Origin,
    change: Change,
    *,
    options: Options,
    local: Mapping[Path, LocalPackage],
    arch: str,
) -> Origin:
    """The origin after a change; equal to `origin` when the change asks for nothing new.

    `local` names the files of the change.  Errors are those of rpm-ostree's UpdateDeployment.
    """
    _refuse_contradictions(change)
    now = origin
    if change.no_layering:
        now = now.without_layering()
    if change.no_overrides:
        now = now.without_overrides()
    if change.no_initramfs:
        now = now.without_initramfs()
    now = _base(now, change)
    now = _uninstall(now, change.uninstall, options=options, arch=arch)
    now = _install(now, change, options=options, local=local, arch=arch)
    now = _overrides(now, change, local)
    now = _initramfs(now, change)
    if change.custom_origin is not None:
        url, description = change.custom_origin
        now = replace(now, custom_url=url, custom_description=description)
    return replace(
        now,
        architectures=_union(now.architectures, change.architectures),
        debconf=_union(now.debconf, change.debconf),
    )


def _refuse_contradictions(change: Change) -> None:
    overrides = (
        change.override_remove, change.override_replace_local, change.override_replace_from,
        change.override_reset,
    )  # fmt: skip
    if change.no_overrides and any(overrides):
        raise AptOstreeError("Can't specify no-overrides if setting override modifiers")
    if change.skip_purge and change.refspec is None:
        raise AptOstreeError("Can't specify skip-purge if not setting a new refspec")


def _union(old: Sequence[T], new: Sequence[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def normal_name(request: str, arch: str) -> str:
    """`foo:amd64` and `foo` are one request on amd64."""
    return request.removesuffix(f":{arch}")


def _base(origin: Origin, change: Change) -> Origin:
    if change.refspec is not None:
        refspec = resolve_refspec(change.refspec, origin)
        if refspec == origin.refspec and change.revision is None:
            raise AptOstreeError(
                f"Old and new refs are equal: {refspec}", hint="apt-ostree upgrade"
            )
        origin = replace(
            origin, refspec=refspec, override_commit=None, custom_url=None, custom_description=None
        )
    elif change.pull_base or change.revision is not None:
        origin = replace(origin, override_commit=None)
    return origin


def resolve_refspec(text: str, origin: Origin) -> str:
    """`REMOTE:`, `:BRANCH`, `BRANCH` and `REMOTE:BRANCH` against the current base.

    A missing part is taken from the current refspec; `:BRANCH` means no remote.
    """
    text = text.removeprefix("ostree://")
    if not text:
        raise AptOstreeError("Refspec is empty", hint="apt-ostree rebase [REMOTE:]BRANCH")
    head, colon, branch = text.partition(":")
    if not colon:
        is_checksum = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
        if is_checksum or origin.remote is None:
            return text
        return f"{origin.remote}:{text}"
    if not head:
        return branch
    if not branch:
        if origin.branch is None:
            raise AptOstreeError("Refspec is empty", hint=f"apt-ostree rebase {head}:BRANCH")
        return f"{head}:{origin.branch}"
    return text


def _is_named(package: LocalPackage, name: str) -> bool:
    return package.nevra == name or (
        package.nevra.startswith(f"{name}-")
        and (package.nevra[len(name) + 1 : len(name) + 2].isdigit())
    )


def _uninstall(origin: Origin, names: Sequence[str], *, options: Options, arch: str) -> Origin:
    for request in names:
        name = normal_name(request, arch)
        matching = [r for r in origin.requested if r == name or _bare(r) == name]
        local = [p for p in origin.local if _is_named(p, name)]
        forced = [p for p in origin.local_fileoverride if _is_named(p, name)]
        if not (matching or local or forced):
            if options.idempotent:
                continue
            raise AptOstreeError(
                f"Package/capability '{request}' is not currently requested",
                hint="apt-ostree list --layered",
            )
        origin = replace(
            origin,
            requested=tuple(r for r in origin.requested if r not in matching),
            local=tuple(p for p in origin.local if p not in local),
            local_fileoverride=tuple(p for p in origin.local_fileoverride if p not in forced),
        )
    return origin


def _bare(request: str) -> str:
    """`name=1.2` and `name/suite` without what follows the name; paths stay whole."""
    return request if request.startswith("/") else request.partition("=")[0].partition("/")[0]


def _install(
    origin: Origin,
    change: Change,
    *,
    options: Options,
    local: Mapping[Path, LocalPackage],
    arch: str,
) -> Origin:
    requested = list(origin.requested)
    for request in change.install:
        name = normal_name(request, arch)
        if name in requested:
            if options.idempotent:
                continue
            raise AptOstreeError(
                f"Package/capability '{request}' is already requested",
                hint="--idempotent accepts this",
            )
        requested = [r for r in requested if _bare(r) != _bare(name)] + [name]
    return replace(
        origin,
        requested=tuple(sorted(requested)),
        local=_with_local(origin.local, change.install_local, local, options=options),
        local_fileoverride=_with_local(
            origin.local_fileoverride, change.install_fileoverride_local, local, options=options
        ),
    )


def _with_local(
    present: tuple[LocalPackage, ...],
    paths: Sequence[Path],
    local: Mapping[Path, LocalPackage],
    *,
    options: Options,
) -> tuple[LocalPackage, ...]:
    for path in paths:
        package = local[path]
        if package in present and not options.idempotent:
            raise AptOstreeError(
                f"Package '{package.nevra}' is already layered", hint="--idempotent accepts this"
            )
        present = (*(p for p in present if _name(p) != _name(package)), package)
    return tuple(sorted(present, key=str))


def _name(package: LocalPackage) -> str:
    """Name of a local package: what comes before the first `-DIGIT` of its NEVRA."""
    parts = package.nevra.split("-")
    for at in range(1, len(parts)):
        if parts[at][:1].isdigit():
            return "-".join(parts[:at])
    return package.nevra


def _overrides(origin: Origin, change: Change, local: Mapping[Path, LocalPackage]) -> Origin:
    for name in change.override_reset:
        origin = _reset(origin, name)
    removed = list(origin.override_remove)
    for name in change.override_remove:
        if name in removed:
            raise AptOstreeError(
                f"Override already exists for package '{name}'",
                hint=f"apt-ostree override reset {name}",
            )
        removed.append(name)
    replaced = origin.override_local
    for path in change.override_replace_local:
        package = local[path]
        replaced = (*(p for p in replaced if _name(p) != _name(package)), package)
    remote = origin.override_remote
    for source, names in change.override_replace_from:
        remote = tuple(
            RemoteReplacement(r.source, left)
            for r in remote
            if (left := tuple(n for n in r.packages if n not in names))
        )
        same = next((r.packages for r in remote if r.source == source), ())
        remote = (
            *(r for r in remote if r.source != source),
            RemoteReplacement(source, tuple(sorted({*same, *names}))),
        )
    return replace(
        origin,
        override_remove=tuple(sorted(removed)),
        override_local=tuple(sorted(replaced, key=str)),
        override_remote=tuple(sorted(remote, key=str)),
    )


def _reset(origin: Origin, name: str) -> Origin:
    remote = tuple(
        RemoteReplacement(r.source, left)
        for r in origin.override_remote
        if (left := tuple(n for n in r.packages if n != name))
    )
    result = replace(
        origin,
        override_remove=tuple(n for n in origin.override_remove if n != name),
        override_local=tuple(p for p in origin.override_local if not _is_named(p, name)),
        override_remote=remote,
    )
    if result == origin:
        raise AptOstreeError(f"No overrides for package '{name}'", hint="apt-ostree status -v")
    return result


def _initramfs(origin: Origin, change: Change) -> Origin:
    if change.initramfs_regenerate is not None:
        wanted, args = change.initramfs_regenerate, change.initramfs_args
        state = "enabled" if wanted else "disabled"
        if wanted == origin.regenerate_initramfs and args in ((), origin.initramfs_args):
            raise AptOstreeError(f"initramfs regeneration state is already {state}")
        origin = replace(origin, regenerate_initramfs=wanted, initramfs_args=args if wanted else ())
    tracked = () if change.initramfs_etc_untrack_all else origin.initramfs_etc
    for path in (*change.initramfs_etc_track, *change.initramfs_etc_untrack):
        if not path.startswith("/etc/"):
            raise AptOstreeError(f"Path outside /etc forbidden: {path}")
        if posixpath.normpath(path) != path:
            raise AptOstreeError(f"invalid path {path}: must be canonical")
    tracked = tuple(
        p
        for p in _union(tracked, change.initramfs_etc_track)
        if p not in change.initramfs_etc_untrack
    )
    if tracked and origin.regenerate_initramfs:
        raise AptOstreeError(
            "initramfs regeneration and /etc overlay not compatible; use dracut arg -I instead"
        )
    return replace(origin, initramfs_etc=tuple(sorted(tracked)))

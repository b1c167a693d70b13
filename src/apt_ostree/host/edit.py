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
Names = Mapping[str, str]


def edit(
    origin: Origin,
    change: Change,
    *,
    options: Options,
    local: Mapping[Path, LocalPackage],
    arch: str,
    names: Names,
) -> Origin:
    """The origin after a change; equal to `origin` when the change asks for nothing new.

    `local` are the files of the change; `names` has package names by SHA-256, for them and for the
    local packages of the origin: a NEVRA does not tell where the name ends.  Errors are those of
    rpm-ostree's UpdateDeployment.
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
    now = _uninstall(now, change.uninstall, options=options, arch=arch, names=names)
    now = _install(now, change, options=options, local=local, arch=arch, names=names)
    now = _overrides(now, _normal(change, arch), local, names)
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
    """`foo:amd64` and `foo` are one request on amd64, and so is `foo:all`."""
    return request.removesuffix(f":{arch}").removesuffix(":all")


def _normal(change: Change, arch: str) -> Change:
    """With one spelling for each package that is overridden."""

    def normal(packages: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(normal_name(p, arch) for p in packages))

    return replace(
        change,
        override_reset=normal(change.override_reset),
        override_remove=normal(change.override_remove),
        override_replace_from=tuple((s, normal(p)) for s, p in change.override_replace_from),
    )


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


def _is_named(package: LocalPackage, name: str, names: Names) -> bool:
    return name in (package.nevra, names.get(package.sha256))


def _uninstall(
    origin: Origin, requests: Sequence[str], *, options: Options, arch: str, names: Names
) -> Origin:
    for request in requests:
        name = normal_name(request, arch)
        matching = [r for r in origin.requested if r == name or bare_name(r) == name]
        local = [p for p in origin.local if _is_named(p, name, names)]
        forced = [p for p in origin.local_fileoverride if _is_named(p, name, names)]
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


def bare_name(request: str) -> str:
    """`name=1.2` and `name/suite` without what follows the name; paths stay whole."""
    return request if request.startswith("/") else request.partition("=")[0].partition("/")[0]


def _install(
    origin: Origin,
    change: Change,
    *,
    options: Options,
    local: Mapping[Path, LocalPackage],
    arch: str,
    names: Names,
) -> Origin:
    requested = list(origin.requested)
    for request in dict.fromkeys(change.install):
        name = normal_name(request, arch)
        if name in requested:
            if options.idempotent:
                continue
            raise AptOstreeError(
                f"Package/capability '{request}' is already requested", hint=_superfluous(change)
            )
        requested = [r for r in requested if bare_name(r) != bare_name(name)] + [name]
    origin = replace(origin, requested=tuple(sorted(requested)))
    files = dict.fromkeys((*change.install_local, *change.install_fileoverride_local))
    for path in files:
        package = local[path]
        is_forced = path in change.install_fileoverride_local
        if package in (origin.local_fileoverride if is_forced else origin.local):
            if options.idempotent:
                continue
            raise AptOstreeError(
                f"Package '{package.nevra}' is already layered", hint=_superfluous(change)
            )
        origin = _with_local(origin, package, is_forced=is_forced, names=names)
    return origin


def _superfluous(change: Change) -> str:
    """What to do about a request that is there: only `install` and `uninstall` have the option."""
    is_other = (
        change.pull_base or change.refspec is not None or change.revision is not None
        or change.override_remove or change.override_replace_local or change.override_replace_from
        or change.override_reset or change.no_overrides
    )  # fmt: skip
    return "leave it out, it stays" if is_other else "--idempotent accepts this"


def _with_local(origin: Origin, package: LocalPackage, *, is_forced: bool, names: Names) -> Origin:
    """With a file in the place of any other of that name, whether that was forced or not."""
    name = names[package.sha256]
    local = [p for p in origin.local if names.get(p.sha256) != name]
    forced = [p for p in origin.local_fileoverride if names.get(p.sha256) != name]
    (forced if is_forced else local).append(package)
    return replace(
        origin,
        local=tuple(sorted(local, key=str)),
        local_fileoverride=tuple(sorted(forced, key=str)),
    )


def _overrides(
    origin: Origin, change: Change, local: Mapping[Path, LocalPackage], names: Names
) -> Origin:
    for name in change.override_reset:
        origin = _reset(origin, name, names)
    removed = list(origin.override_remove)
    for name in change.override_remove:
        if name in removed or name in _replaced_names(origin, names):
            raise _overridden(name, name)
        removed.append(name)
    origin = replace(origin, override_remove=tuple(sorted(removed)))
    for path in change.override_replace_local:
        package = local[path]
        if package in origin.override_local or names[package.sha256] in removed:
            raise _overridden(package.nevra, names[package.sha256])
        origin = _replaced(origin, [names[package.sha256]], names)
        files = (*origin.override_local, package)
        origin = replace(origin, override_local=tuple(sorted(files, key=str)))
    for source, wanted in change.override_replace_from:
        same = next((r.packages for r in origin.override_remote if r.source == source), ())
        for name in wanted:
            if name in same or name in removed:
                raise _overridden(name, name)
        origin = _replaced(origin, wanted, names)
        rest = tuple(r for r in origin.override_remote if r.source != source)
        now = (*rest, RemoteReplacement(source, tuple(sorted({*same, *wanted}))))
        origin = replace(origin, override_remote=tuple(sorted(now, key=str)))
    return origin


def _replaced_names(origin: Origin, names: Names) -> frozenset[str | None]:
    by_source = (n for r in origin.override_remote for n in r.packages)
    return frozenset({*by_source, *(names.get(p.sha256) for p in origin.override_local)})


def _overridden(package: str, name: str) -> AptOstreeError:
    return AptOstreeError(
        f"Override already exists for package '{package}'",
        hint=f"apt-ostree override reset {name}",
    )


def _replaced(origin: Origin, packages: Sequence[str], names: Names) -> Origin:
    """Without earlier replacements of these packages: a package has one version, so the last
    override counts."""
    remote = tuple(
        RemoteReplacement(r.source, left)
        for r in origin.override_remote
        if (left := tuple(n for n in r.packages if n not in packages))
    )
    local = tuple(p for p in origin.override_local if names.get(p.sha256) not in packages)
    return replace(origin, override_remote=remote, override_local=local)


def _reset(origin: Origin, name: str, names: Names) -> Origin:
    remote = tuple(
        RemoteReplacement(r.source, left)
        for r in origin.override_remote
        if (left := tuple(n for n in r.packages if n != name))
    )
    result = replace(
        origin,
        override_remove=tuple(n for n in origin.override_remove if n != name),
        override_local=tuple(p for p in origin.override_local if not _is_named(p, name, names)),
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

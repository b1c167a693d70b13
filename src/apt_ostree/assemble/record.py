"""What a commit says about itself: package list, sources, what was layered and overridden.

Keys and shapes are those of rpm-ostree's commits under our prefix, so that programs which read the
ones can read the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Action, InactiveKind, Plan, Reason, ReasonKind, SourceInfo, Step
from apt_ostree.ostree.glib import GLib, Metadata, Value

CLIENT_LAYER_VERSION = 6


def pkglist(packages: Iterable[Package]) -> Value:
    """`a(sssss)`: name, epoch, version, release, arch, sorted."""
    rows = [(p.name, p.epoch, p.upstream, p.release, p.arch) for p in sorted(packages)]
    return "a(sssss)", rows


def sources(infos: Iterable[SourceInfo]) -> Value:
    """`aa{sv}`: id and the Release file's Date of each apt source."""
    return "aa{sv}", [
        {"id": GLib.Variant("s", i.id), "timestamp": GLib.Variant("t", i.generated)}
        for i in sorted(infos, key=lambda i: i.id)
    ]


def layered(
    plan: Plan, origin: Origin, *, packages: Iterable[Package], version: str | None, digest: str
) -> Metadata:
    """Metadata of a commit that a client built.

    `packages` is the tree's whole package set, `digest` the state digest that tells whether a
    later build would give the same tree.
    """
    out: dict[str, Value] = {
        "aptostree.clientlayer": True,
        "aptostree.clientlayer_version": ("u", CLIENT_LAYER_VERSION),
        "aptostree.modules": ("as", []),
        "aptostree.rpmmd-repos": sources(plan.sources),
        "aptostree.rpmdb.pkglist": pkglist(packages),
        "aptostree.state-sha512": digest,
        **requests(plan, origin),
    }
    if version is not None:
        out["version"] = version
    return out


def requests(plan: Plan, origin: Origin) -> Metadata:
    """What of the requests is active: one tree may come from several of them."""
    inactive = {i.request for i in plan.inactive if i.kind is InactiveKind.REQUEST}
    active = [r for r in origin.requested if r not in inactive]
    removed = [s.package for s in plan.of_action(Action.REMOVE) if _is_override(s.reason)]
    local: list[tuple[GLib.Variant, GLib.Variant]] = []
    remote: dict[str, list[tuple[GLib.Variant, GLib.Variant]]] = {}
    for step in plan.of_action(Action.UPGRADE, Action.DOWNGRADE):
        pair = _pair(step)
        source = _remote_source(step, origin)
        if source is None:
            local.append(pair)
        else:
            remote.setdefault(source, []).append(pair)
    return {
        "aptostree.packages": ("as", sorted(active)),
        "aptostree.removed-base-packages": ("av", [_six(p) for p in sorted(removed)]),
        "aptostree.replaced-base-packages": ("a(vv)", local),
        "aptostree.replaced-base-remote-packages": (
            "a{sv}", {s: GLib.Variant("a(vv)", pairs) for s, pairs in sorted(remote.items())},
        ),
    }  # fmt: skip


def _is_override(reason: Reason) -> bool:
    return reason.kind in (ReasonKind.OVERRIDE, ReasonKind.KERNEL)


def _remote_source(step: Step, origin: Origin) -> str | None:
    """The `repo=X` override that a replaced package follows, None for a local replacement."""
    for override in origin.override_remote:
        if step.package.name in override.packages:
            return override.source
    return None


def _pair(step: Step) -> tuple[GLib.Variant, GLib.Variant]:
    old = Package(step.package.name, step.package.arch, step.old_version or "")
    return _six(step.package), _six(old)


def _six(package: Package) -> GLib.Variant:
    nevra, name, epoch, version, release, arch = package.as_tuple()
    return GLib.Variant("(sstsss)", (nevra, name, int(epoch), version, release, arch))


def user_metadata(values: Mapping[str, Any]) -> Metadata:
    """Free metadata of a treefile or the command line as variants.

    Booleans, strings, integers (`x`), lists and maps are kept as such.
    """
    return {key: _variant(value) for key, value in values.items()}


def _variant(value: Any) -> GLib.Variant:
    match value:
        case bool():
            return GLib.Variant("b", value)
        case int():
            return GLib.Variant("x", value)
        case float():
            return GLib.Variant("d", value)
        case str():
            return GLib.Variant("s", value)
        case list() | tuple():
            return GLib.Variant("av", [_variant(v) for v in value])
        case dict():
            return GLib.Variant("a{sv}", {str(k): _variant(v) for k, v in value.items()})
        case _:
            return GLib.Variant("s", str(value))

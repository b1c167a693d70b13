"""Python values as GLib variants, by the types that the interface gives each key.

Dictionaries of type `a{sv}` carry the type of every value; a wrong one breaks callers that ask for
`s` and get `o`.  Keys that the tables do not know get the nearest type of their value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apt_ostree.wire.glib import GLib

Json = Mapping[str, Any]

_PACKAGE = "(sstsss)"
_DIFF = {
    "upgraded": "a(us(ss)(ss))", "downgraded": "a(us(ss)(ss))", "removed": "a(usss)",
    "added": "a(usss)",
}  # fmt: skip
_ADVISORIES = "a(suuasa{sv})"

DEPLOYMENT = {
    "id": "s", "osname": "s", "serial": "i", "checksum": "s", "booted": "b", "staged": "b",
    "finalization-locked": "b", "pinned": "b", "unlocked": "s", "live-inprogress": "s",
    "live-replaced": "s", "origin": "s", "container-image-reference": "s",
    "container-image-reference-digest": "s", "version": "s", "timestamp": "t",
    "base-checksum": "s", "base-version": "s", "base-timestamp": "t",
    "layered-commit-meta": "a{sv}", "base-commit-meta": "a{sv}", "endoflife": "s",
    "gpg-enabled": "b", "signatures": "av", "remote-error": "s", "pending-base-checksum": "s",
    "pending-base-version": "s", "pending-base-timestamp": "t", "custom-origin": "(ss)",
    "packages": "as", "base-removals": "av packages", "base-local-replacements": "a(vv)",
    "base-remote-replacements": "a{sv}", "requested-packages": "as",
    "requested-local-packages": "as", "requested-local-fileoverride-packages": "as",
    "requested-base-removals": "as", "requested-base-local-replacements": "as",
    "requested-base-remote-replacements": "a(sas)", "regenerate-initramfs": "b",
    "initramfs-args": "as", "initramfs-etc": "as", "cliwrap": "b", "origin-error": "s",
}  # fmt: skip

CACHED_UPDATE = {
    "osname": "s", "checksum": "s", "version": "s", "timestamp": "t", "origin": "s",
    "gpg-enabled": "b", "signatures": "av", "ref-has-new-commit": "b", "rpm-diff": _DIFF,
    "advisories": _ADVISORIES, "manifest-diff": "a{sv}", "deployment": "s", "update-sha256": "s",
}  # fmt: skip


def dictionary(values: Json, types: Mapping[str, Any]) -> GLib.Variant:
    """`a{sv}`; `types` maps keys to signatures, or to a table of the same kind for a dictionary."""
    return GLib.Variant("a{sv}", entries(values, types))


def entries(values: Json, types: Mapping[str, Any]) -> dict[str, GLib.Variant]:
    """The values of `dictionary`, for a variant that holds several of them."""
    return {key: _typed(value, types.get(key)) for key, value in values.items()}


def _typed(value: Any, kind: Any) -> GLib.Variant:
    match kind:
        case None | "v":
            return free(value)
        case "a{sv}":
            return dictionary(value, {})
        case "av packages":
            return GLib.Variant("av", [_package(v) for v in value])
        case "av":
            return GLib.Variant("av", [free(v) for v in value])
        case "a(vv)":
            return GLib.Variant("a(vv)", [(_package(a), _package(b)) for a, b in value])
        case str():
            return GLib.Variant(kind, value)
        case _:
            return dictionary(value, kind)


def _package(value: Sequence[Any]) -> GLib.Variant:
    return GLib.Variant(_PACKAGE, tuple(value))


def free(value: Any) -> GLib.Variant:
    """A value of no declared type: what a reader in another language would expect it to be."""
    match value:
        case bool():
            return GLib.Variant("b", value)
        case str():
            return GLib.Variant("s", value)
        case int():
            return GLib.Variant("t" if value >= 0 else "x", value)
        case float():
            return GLib.Variant("d", value)
        case None:
            return GLib.Variant("as", [])
        case bytes():
            return GLib.Variant("ay", value)
        case Mapping():
            return dictionary({str(k): v for k, v in value.items()}, {})
        case list() | tuple() if all(isinstance(v, str) for v in value):
            return GLib.Variant("as", list(value))
        case list() | tuple():
            return GLib.Variant("av", [free(v) for v in value])
        case _:
            raise TypeError(f"no variant for {type(value).__name__}")


def plain(variant: GLib.Variant) -> Any:
    """A variant as Python values, nested variants opened."""
    return variant.unpack()

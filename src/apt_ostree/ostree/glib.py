"""The only door to libostree: GObject introspection, errors and variants translated once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import gi

gi.require_version("OSTree", "1.0")

from gi.repository import Gio, GLib, OSTree  # noqa: E402

from apt_ostree.errors import BusyError, OstreeError, SpaceError, TrustError  # noqa: E402

# A commit metadata value: a plain str or bool, (GVariant signature, value), or a variant.
Value: TypeAlias = str | bool | tuple[str, Any] | GLib.Variant
Metadata = Mapping[str, Value]

__all__ = ["Gio", "GLib", "Metadata", "OSTree", "Value", "pack", "translate", "unpack"]


@contextmanager
def translate(aim: str) -> Iterator[None]:
    """Turn a GLib.Error of the block into the matching AptOstreeError, `AIM: message`.

    `aim` says what was being done (`reading debian/13/amd64`); empty keeps libostree's text alone.
    """
    try:
        yield
    except GLib.Error as err:
        text = f"{aim}: {err.message}" if aim else str(err.message)
        if err.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NO_SPACE):
            raise SpaceError(text, hint="free some space: apt-ostree cleanup -bpr") from err
        if "min-free-space" in err.message:
            raise SpaceError(text, hint="free some space: apt-ostree cleanup -bpr") from err
        if "GPG" in err.message or "signature" in err.message.lower():
            raise TrustError(text) from err
        if "locked" in err.message.lower() and "sysroot" in aim:
            raise BusyError("System transaction in progress") from err
        raise OstreeError(text) from err


def pack(values: Metadata) -> GLib.Variant:
    """Commit metadata as `a{sv}`, keys sorted so that equal values give an equal commit."""
    out: dict[str, GLib.Variant] = {}
    for key in sorted(values):
        value = values[key]
        match value:
            case bool():
                out[key] = GLib.Variant("b", value)
            case str():
                out[key] = GLib.Variant("s", value)
            case (signature, content):
                out[key] = GLib.Variant(signature, content)
            case _:
                out[key] = value
    return GLib.Variant("a{sv}", out)


def unpack(variant: GLib.Variant | None) -> Any:
    """A variant as plain Python values."""
    return None if variant is None else variant.unpack()

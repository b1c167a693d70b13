"""Errors that came over the bus, without the decoration that GLib adds."""

from __future__ import annotations

from apt_ostree.wire.glib import GLib


def describe(error: GLib.Error) -> tuple[str, str]:
    """(D-Bus error name, message); the name is empty for an error of this side."""
    message = str(error.message)
    prefix, separator, rest = message.partition(": ")
    if separator and prefix.startswith("GDBus.Error:"):
        return prefix.removeprefix("GDBus.Error:"), rest
    return "", message

"""The door to GLib's D-Bus for the rooms that speak it."""

from __future__ import annotations

import gi

gi.require_version("Gio", "2.0")

from gi.repository import Gio, GLib  # noqa: E402

__all__ = ["Gio", "GLib"]

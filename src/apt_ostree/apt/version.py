"""Debian version order (deb-version(7)), by libapt itself."""

from __future__ import annotations


def compare(a: str, b: str) -> int:
    """Negative, zero or positive as `a` is older than, equal to or newer than `b`."""
    import apt_pkg  # 9 ms: only those pay who compare

    if not _ready:
        apt_pkg.init_system()
        _ready.append(True)
    return apt_pkg.version_compare(a, b)


_ready: list[bool] = []

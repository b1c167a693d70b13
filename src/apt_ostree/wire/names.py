"""The names of the D-Bus interface."""

from __future__ import annotations

import re

BUS_NAME = "org.aptostree.dev"
PREFIX = "org.aptostree.dev1"
SYSROOT = f"{PREFIX}.Sysroot"
OS = f"{PREFIX}.OS"
EXPERIMENTAL = f"{PREFIX}.OSExperimental"
TRANSACTION = f"{PREFIX}.Transaction"

ROOT_PATH = "/org/aptostree/dev1"
SYSROOT_PATH = f"{ROOT_PATH}/Sysroot"
TRANSACTION_PATH = "/"  # on a transaction's own socket

ERROR_PREFIX = f"{PREFIX}.Error."
FAILED = f"{ERROR_PREFIX}Failed"
IN_PROGRESS = f"{ERROR_PREFIX}UpdateInProgress"
INVALID_SYSROOT = f"{ERROR_PREFIX}InvalidSysroot"
INVALID_REFSPEC = f"{ERROR_PREFIX}InvalidRefspec"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"

XML = "org.aptostree.dev.xml"


def os_path(stateroot: str) -> str:
    """The object of a stateroot: letters, digits and `_` stay, `-` and `/` become `_`, any other
    byte `_` and its two hexadecimal digits."""
    plain = re.sub("[-/]", "_", stateroot).encode("utf-8", "surrogateescape")
    escaped = re.sub(rb"[^A-Za-z0-9_]", lambda m: b"_%02X" % m[0][0], plain)
    return f"{ROOT_PATH}/{escaped.decode('ascii')}"

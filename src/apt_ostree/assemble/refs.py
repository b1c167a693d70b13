"""Names of the refs under which imported packages are kept.

A ref component may hold only letters, digits, `-`, `.` and `_` (libostree, `OSTREE_REF_FRAGMENT_
REGEXP` in ostree-core.c) and no component may start with a dot, while package versions need `+`,
`~` and `:`.  Every other byte is written `_HH`, the underscore itself `__`, as rpm-ostree does.
"""

from __future__ import annotations

import re

from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package

PREFIX = "aptostree/pkg"
_UNSAFE = re.compile(rb"[^A-Za-z0-9.\-]|\A\.")
_ESCAPED = re.compile(r"__|_([0-9A-F]{2})")
_WELL_FORMED = re.compile(r"(?:[A-Za-z0-9.\-]|__|_[0-9A-F]{2})+")


def escape(text: str) -> str:
    """`libstdc++6` -> `libstdc_2B_2B6`; the result is one component of a ref name."""

    def one(match: re.Match[bytes]) -> bytes:
        byte = match.group()
        return b"__" if byte == b"_" else b"_%02X" % byte[0]

    return _UNSAFE.sub(one, text.encode("utf-8", "surrogateescape")).decode("ascii")


def unescape(component: str) -> str:
    """The exact inverse of `escape`; ValueError for what `escape` never writes."""
    if not _WELL_FORMED.fullmatch(component):
        raise ValueError(component)
    raw = _ESCAPED.sub(lambda m: chr(int(m.group(1), 16)) if m.group(1) else "_", component)
    text = raw.encode("latin-1").decode("utf-8", "surrogateescape")
    if escape(text) != component:
        raise ValueError(component)
    return text


def ref_of(package: Package) -> str:
    """`aptostree/pkg/NAME/VERSION.ARCH`, escaped."""
    return f"{PREFIX}/{escape(package.name)}/{escape(f'{package.version}.{package.arch}')}"


def package_of(ref: str) -> Package:
    """The package that a ref of `ref_of` names.

    Architectures have no dot (deb822, `dpkg-architecture -L`), so the last one separates.
    Raises PackageError for any other ref.
    """
    try:
        folder, name, rest = ref.rsplit("/", 2)
        version, dot, arch = unescape(rest).rpartition(".")
        if folder != PREFIX or not dot or not version or not arch:
            raise ValueError(ref)
        return Package(name=unescape(name), arch=arch, version=version)
    except ValueError as err:
        raise PackageError(f"'{ref}' does not name a cached package") from err

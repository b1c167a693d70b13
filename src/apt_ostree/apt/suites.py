"""Which of a host's sources are its distribution, and the same sources for another release.

A compose without `repos` uses the host's own mirrors with the suite replaced.  A host has other
sources too (a vendor's `nodistro`, `cloud-sdk-bookworm`, or even a plain `bookworm` of a third
party); those must never reach a tree that did not name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath

from apt_ostree.apt.sources import Source
from apt_ostree.errors import AptOstreeError

_POCKET = re.compile(r"(-updates|-security|/updates|-backports|-backports-sloppy|"
                     r"-proposed|-proposed-updates)")  # fmt: skip
_COMPONENTS = {"main", "contrib", "non-free", "non-free-firmware", "restricted", "universe",
               "multiverse"}  # fmt: skip
_ALIASES = {"stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"}
_WITHOUT_POCKETS = {"sid", "unstable", "experimental"}
# Keyrings of the distributions; a source signed by another key is a third party's.
_KEYRINGS = ("debian-archive-", "ubuntu-archive-", "debian-ports-archive-")


def distribution(sources: Iterable[Source], codename: str | None = None) -> tuple[Source, ...]:
    """The enabled binary sources that are the distribution itself.

    `codename` is the host's release (os-release VERSION_CODENAME).  Without it, or when no source
    has it, the release is that of the first source that looks like a distribution's.
    """
    fit = [s for s in sources if s.enabled and s.is_binary and _is_official(s)]
    bases = [base_of(s.suite) for s in fit]
    if codename not in bases:
        codename = bases[0] if bases else None
    return tuple(s for s, base in zip(fit, bases, strict=True)
                 if base == codename or (base in _ALIASES and codename in bases))  # fmt: skip


def for_release(
    sources: Sequence[Source], release: str, *, codename: str | None = None
) -> tuple[Source, ...]:
    """The distribution's sources with their suite replaced by `release`.

    `bookworm-security` becomes `trixie-security`; pockets that the release has not (sid) are left
    out, and so is everything that is not the distribution.  Raises AptOstreeError when nothing
    is left.
    """
    out: dict[tuple[object, ...], Source] = {}
    for source in distribution(sources, codename):
        pocket = _pocket_of(source.suite).replace("/updates", "-security")
        if pocket and release in _WITHOUT_POCKETS:
            continue
        suite = release + pocket
        new = replace(source, suite=suite, id=_renamed(source, suite))
        out.setdefault((new.uris, suite, new.components), new)
    if not out:
        raise AptOstreeError(
            f"no apt source of this host can serve release '{release}'",
            hint="name the sources with 'repos' in the treefile",
        )
    return tuple(out.values())


def base_of(suite: str) -> str:
    """`trixie` of `trixie-security`."""
    return suite.removesuffix(_pocket_of(suite))


def _pocket_of(suite: str) -> str:
    match = re.search(_POCKET.pattern + "$", suite)
    return match[0] if match else ""


def _is_official(source: Source) -> bool:
    base = base_of(source.suite)
    if not re.fullmatch(r"[a-z]+", base) or not set(source.components) <= _COMPONENTS:
        return False
    keys = source.option("Signed-By").split()
    paths = [PurePath(k).name for k in keys if k.startswith("/")]
    return not keys or (bool(paths) and all(p.startswith(_KEYRINGS) for p in paths))


def _renamed(source: Source, suite: str) -> str:
    stem, colon, _ = source.id.partition(":")
    return f"{stem}:{suite}" if colon else stem

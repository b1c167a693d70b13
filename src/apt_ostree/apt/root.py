"""Everything apt needs to know about one root; nothing else of the host is looked at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from apt_ostree.apt import sources as apt_sources
from apt_ostree.apt.sources import Source
from apt_ostree.errors import AptOstreeError


@dataclass(frozen=True, slots=True)
class AptRoot:
    """One root as apt sees it.

    `lists` holds the downloaded indexes, `archives` downloads.  `cache` holds apt's parsed form
    of the indexes (about 40 MB for Debian; it makes opening 5 times faster); None keeps nothing.
    `status` is the dpkg status file of the installed packages; None means an empty system.
    `etc` is an apt configuration directory: of it `sources.list(.d)`, `preferences(.d)`,
    `auth.conf(.d)`, `trusted.gpg(.d)` and, of `apt.conf(.d)`, only what says how to reach a
    mirror (`engine/config.py` has the list).  `sources`, when given, replace those of `etc`.
    `preferences` says whether the pins in `etc` count: a compose takes a host's keys and proxy,
    but not its pins.  `prefix` is the root directory that `Signed-By` paths refer to, where they
    exist in it.
    `release` is apt's target release (preferred suite, priority 990).
    """

    lists: Path
    archives: Path
    arch: str
    etc: Path | None = None
    status: Path | None = None
    cache: Path | None = None
    sources: tuple[Source, ...] | None = None
    foreign: tuple[str, ...] = ()
    recommends: bool = True
    proxy: str | None = None
    prefix: Path | None = None
    release: str | None = None
    preferences: bool = True

    def effective_sources(self, *, needs_sources: bool = True) -> tuple[Source, ...]:
        """The enabled binary sources with `Signed-By` resolved; the one list everything uses.

        Raises AptOstreeError when two have the same id, or there is none though `needs_sources`.
        """
        found = self.sources
        if found is None:
            found = apt_sources.load(self.etc) if self.etc else ()
        used = tuple(_resolved(s, self.prefix) for s in found if s.enabled and s.is_binary)
        if needs_sources and not used:
            raise AptOstreeError(
                "No enabled repositories", hint="add an apt source (see sources.list(5))"
            )
        ids = [s.id for s in used]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise AptOstreeError(f"several apt sources have the id '{twice[0]}'")
        return used

    def frozen(self, *, needs_sources: bool = True) -> Self:
        """The same root with its sources read and resolved."""
        return replace(self, sources=self.effective_sources(needs_sources=needs_sources))

    def as_dict(self) -> dict[str, Any]:
        def path(value: Path | None) -> str | None:
            return None if value is None else str(value.absolute())

        return {
            "lists": path(self.lists), "archives": path(self.archives), "arch": self.arch,
            "etc": path(self.etc), "status": path(self.status), "cache": path(self.cache),
            "sources": [s.as_dict() for s in self.sources or ()], "foreign": self.foreign,
            "recommends": self.recommends, "proxy": self.proxy, "prefix": path(self.prefix),
            "release": self.release, "preferences": self.preferences,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        def path(value: str | None) -> Path | None:
            return None if value is None else Path(value)

        return cls(
            lists=Path(raw["lists"]), archives=Path(raw["archives"]), arch=raw["arch"],
            etc=path(raw["etc"]), status=path(raw["status"]), cache=path(raw["cache"]),
            sources=tuple(Source.from_dict(s) for s in raw["sources"]),
            foreign=tuple(raw["foreign"]), recommends=raw["recommends"], proxy=raw["proxy"],
            prefix=path(raw["prefix"]), release=raw["release"], preferences=raw["preferences"],
        )  # fmt: skip


def _resolved(source: Source, prefix: Path | None) -> Source:
    """`source` with key paths inside `prefix` where the file exists there."""
    value = source.option("Signed-By")
    if prefix is None or not value.startswith("/"):
        return source
    words = []
    for word in value.split():
        inside = prefix / word.lstrip("/")
        words.append(str(inside) if word.startswith("/") and os.path.exists(inside) else word)
    return source.with_option("Signed-By", " ".join(words))

"""Debian changelogs that packages bring along (deb-changelog(5))."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime

from apt_ostree.apt import version
from apt_ostree.model.package import Package
from apt_ostree.ostree.glib import Gio, translate
from apt_ostree.ostree.repo import Repo

_HEADER = re.compile(r"(?P<name>\S+) \((?P<version>[^()\s]+)\)")
_TRAILER = re.compile(r" -- (?P<who>.*?)  (?P<when>\S.*)")
LIMIT_BYTES = 16 * 1024 * 1024
MOST_ENTRIES = 50  # an upgrade across releases would list years


def read(repo: Repo, commit: str, package: Package) -> str | None:
    """The changelog of a package in a commit; None when it has none there.

    Debian policy 12.7: `changelog.Debian.gz`, for native packages `changelog.gz`, and
    `changelog.Debian.ARCH.gz` where only the binary was rebuilt.
    """
    folder = _followed(repo, commit, f"usr/share/doc/{package.name}")
    names = (f"changelog.Debian.{package.arch}.gz", "changelog.Debian.gz", "changelog.gz")
    texts = []
    for name in names:
        raw = repo.read_file(commit, f"{folder}/{name}")
        if raw is not None:
            text = _unpacked(raw)
            if text is not None:
                texts.append(text)
            if name == "changelog.Debian.gz":
                break
    return "\n".join(texts) or None


def _followed(repo: Repo, commit: str, folder: str) -> str:
    """Documentation directories may be links to that of another package of the same source."""
    file = repo.root(commit).resolve_relative_path(folder)
    with translate(f"reading {folder}"):
        if not file.query_exists(None):
            return folder
        flags = Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS
        target = file.query_info("standard::symlink-target", flags, None).get_symlink_target()
    is_sibling = target is not None and "/" not in target
    return f"usr/share/doc/{target}" if is_sibling else folder


def _unpacked(raw: bytes) -> str | None:
    """gzip, at most LIMIT_BYTES of it; None for what is none."""
    try:
        data = zlib.decompressobj(wbits=31).decompress(raw, LIMIT_BYTES)
    except zlib.error:
        return None
    return data.decode("utf-8", "replace")


def since(text: str, old: str) -> list[str]:
    """The entries that are newer than version `old`, newest first.

    Each is `Dow Mon DD YYYY AUTHOR - VERSION` and the lines of its changes.
    """
    found: list[str] = []
    for entry_version, lines, trailer in _entries(text):
        if len(found) == MOST_ENTRIES or version.compare(entry_version, old) <= 0:
            break
        found.append("\n".join([f"{_heading(trailer)} - {entry_version}", *lines]))
    return found


def _entries(text: str) -> Iterator[tuple[str, list[str], str]]:
    """(version, lines of changes, trailer); lines that belong to no entry are passed over."""
    current: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        if (header := _HEADER.match(line)) is not None:
            current, lines = header["version"], []
        elif current is not None and line.startswith(" -- "):
            yield current, _trimmed(lines), line
            current = None
        elif current is not None:
            lines.append(line.removeprefix("  ").rstrip())


def _trimmed(lines: list[str]) -> list[str]:
    start, end = 0, len(lines)
    while start < end and not lines[start]:
        start += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return lines[start:end]


def _heading(trailer: str) -> str:
    match = _TRAILER.match(trailer)
    if match is None:
        return trailer.removeprefix(" -- ").strip()
    when = _date(match["when"])
    return match["who"] if when is None else f"{when:%a %b %d %Y} {match['who']}"


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None

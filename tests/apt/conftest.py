"""A small distribution under a throw-away key, and what the room's tests ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fixtures.debrepo import Key, Repo, make_key, make_repo, write_admindir

from apt_ostree.apt import sources
from apt_ostree.apt.refresh import refresh
from apt_ostree.apt.root import AptRoot
from apt_ostree.model.progress import Silent


@dataclass
class Recorder(Silent):
    """Progress that remembers what it was told, as one line each."""

    lines: list[str] = field(default_factory=list)

    def message(self, text):
        self.lines.append(text)

    def task_begin(self, text):
        self.lines.append(f"{text}...")

    def task_end(self, suffix="done"):
        self.lines[-1] += suffix

    def percent(self, text, percent):
        if percent == 100:
            self.lines.append(f"{text}...done")


@dataclass
class World:
    """A root with one signed repository; `publish` replaces what the repository has."""

    base: Path
    key: Key
    repo: Repo | None = None

    @property
    def debs(self):
        return self.base / "debs"

    def root(self, **changes):
        found = {"lists": self.base / "lists", "archives": self.base / "archives",
                 "arch": "amd64", "sources": self.sources(), "recommends": False}  # fmt: skip
        return AptRoot(**{**found, **changes})

    def sources(self, **fields):
        return sources.parse(self.repo.stanza(**fields), "test.sources")

    def publish(self, *debs, **options):
        self.repo = make_repo(self.base / "repo", debs, **{"sign": self.key, **options})
        return self.repo

    def refresh(self, progress=None, *, force=False, **changes):
        return refresh(self.root(**changes), progress or Silent(), force=force)

    def install(self, *debs):
        """The status file of a system in which `debs` are installed, with their file lists."""
        return write_admindir(self.base / "dpkg", debs)


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def world(tmp_path, key):
    return World(tmp_path, key)

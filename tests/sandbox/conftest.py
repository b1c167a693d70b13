"""A writable tree of real Essential packages, and a watch for anything a sandbox leaves behind."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.rootfs import essential_root, over

from apt_ostree.sandbox import pidlimit
from apt_ostree.system.mount import enter_private_namespace

GUARD_PROCESSES = 2000


@pytest.fixture(scope="session", autouse=True)
def guard() -> Iterator[bool]:
    """Keep this test run itself in a bounded group: a hostile script must never take the machine
    down, not even when the limit under test is broken.  False where there are no such groups."""
    homes = pidlimit.group_parents()
    with pidlimit.limited(GUARD_PROCESSES) as limit:
        if not isinstance(limit, pidlimit.Group):
            yield False
            return
        limit.add(os.getpid())
        yield True
        for home in homes:  # the first that takes us back is where we came from
            with suppress(OSError):
                (home / "cgroup.procs").write_text(str(os.getpid()))
                break


@pytest.fixture
def bomb_shelter(guard: bool) -> None:
    if not guard:
        pytest.skip("needs the pids controller of cgroups to be safe")


@pytest.fixture(scope="session")
def private_mounts() -> None:
    enter_private_namespace()


@dataclass(frozen=True)
class Tree:
    root: Path
    upper: Path

    def changes(self) -> set[str]:
        """What is new or changed in the upper layer, directories left out."""
        return {
            str(path.relative_to(self.upper))
            for path in self.upper.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }


@pytest.fixture
def tree(tmp_path: Path, private_mounts: None) -> Iterator[Tree]:
    with over(essential_root(), tmp_path / "tree") as root:
        yield Tree(root, tmp_path / "tree/upper")


def _groups() -> set[str]:
    """Groups of this process below the one it lives in."""
    mine = f"apt-ostree-{os.getpid()}-*"
    return {str(p) for parent in pidlimit.group_parents()[:1] for p in parent.glob(mine)}


def _processes(token: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().decode())
            except OSError:
                continue
    return found


@pytest.fixture
def token(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Put it into the sandbox's environment; the test fails if anything with it is left."""
    token = secrets.token_hex(8)
    state = tmp_path / "state-of-boxes"
    state.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(state))
    mounts = Path("/proc/self/mountinfo").read_text()
    yield token
    assert _processes(token) == []
    assert _groups() == set()
    assert list(state.iterdir()) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts

"""A writable tree of real Essential packages, and a watch for anything a sandbox leaves behind."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.rootfs import essential_root, over

from apt_ostree.sandbox import pidlimit
from apt_ostree.system.mount import enter_private_namespace


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
    mine = f"apt-ostree-{os.getpid()}-*"
    return {str(p) for parent in pidlimit.group_parents() for p in parent.glob(mine)}


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
def token(tree: Tree) -> Iterator[str]:
    """Put it into the sandbox's environment; the test fails if anything with it is left."""
    token = secrets.token_hex(8)
    state = Path(tempfile.gettempdir())
    before = set(state.glob("apt-ostree-box-*")), Path("/proc/self/mountinfo").read_text()
    yield token
    assert _processes(token) == []
    assert _groups() == set()
    mounts = Path("/proc/self/mountinfo").read_text()
    assert (set(state.glob("apt-ostree-box-*")), mounts) == before

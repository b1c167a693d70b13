"""A throw-away repository and a way to commit small trees into it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree

CommitTree = Callable[..., str]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.create(tmp_path / "repo", mode="bare")


@pytest.fixture
def commit_tree(repo: Repo, tmp_path: Path) -> CommitTree:
    def commit(ref: str, files: dict[str, str], *, base: str | None = None, **meta: str) -> str:
        staging = tmp_path / f"staging-{ref.replace('/', '-')}"
        for name, content in files.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        staging.mkdir(exist_ok=True)
        with repo.transaction():
            tree = Tree(repo, base=base)
            tree.add_directory(staging, consume=False)
            checksum = repo.write_commit(tree.write(), timestamp=7, metadata=meta)
            repo.set_ref(ref, checksum)
        return checksum

    return commit

"""A directory that treefiles are written into and loaded from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from apt_ostree.treefile import include
from apt_ostree.treefile.schema import Treefile


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, text: str, mode: int = 0o644) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., Treefile]:
    """Write `text` as the main treefile and load it."""

    def load(text: str, name: str = "main.yaml", basearch: str = "amd64", **variables):
        return include.load(write(name, text), basearch=basearch, variables=variables)

    return load

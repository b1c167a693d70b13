from __future__ import annotations

import os

import pytest

from apt_ostree.sandbox import pidlimit


def test_without_a_group_processes_are_counted(tmp_path):
    with pidlimit.limited(3, candidates=(tmp_path, tmp_path / "missing")) as limit:
        assert isinstance(limit, pidlimit.Counter)
    assert list(tmp_path.iterdir()) == []


def test_processes_of_the_host_are_not_counted():
    """While bwrap sets up, its child still sees our /proc."""
    assert not pidlimit.Counter(0, pid=os.getpid()).is_exceeded()


@pytest.mark.root
def test_a_group_is_made_and_removed():
    with pidlimit.limited(7) as limit:
        if not isinstance(limit, pidlimit.Group):
            pytest.skip("no pids controller here")
        assert (limit.path / "pids.max").read_text().strip() == "7"
        assert not limit.is_exceeded()
    assert not limit.path.exists()


@pytest.mark.root
def test_groups_of_the_dead_are_swept():
    parents = [p for p in pidlimit.group_parents() if os.access(p, os.W_OK)]
    with pidlimit.limited(7) as limit:
        if not isinstance(limit, pidlimit.Group):
            pytest.skip("no pids controller here")
        stale = limit.path.parent / "apt-ostree-4194999-0"  # beyond pid_max
        stale.mkdir()
        assert limit.path.parent in parents
        with pidlimit.limited(7):
            assert not stale.exists()

"""Work on a tree never leaves it."""

from __future__ import annotations

import os

import pytest

from apt_ostree.assemble.dirtree import DirTree, walk


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/b/file").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("outside")
    os.symlink(tmp_path / "outside", tmp_path / "tree/out")
    os.symlink(tmp_path / "outside/file", tmp_path / "tree/file")
    return tmp_path


def test_reading(place):
    with DirTree(place / "tree") as tree:
        assert tree.read("a/b/file") == b"inside"
        assert tree.names("a") == ("b",)
        assert tree.is_dir("a/b")
        assert tree.readlink("out") == str(place / "outside")


def test_links_are_never_followed(place):
    with DirTree(place / "tree") as tree:
        assert tree.read("file") is None
        assert tree.read("out/file") is None
        assert tree.stat("out/file") is None
        assert tree.names("out") == ()
        assert not tree.remove("out/file")
        with pytest.raises(NotADirectoryError):
            tree.make_dirs("out/new")
        with pytest.raises(NotADirectoryError):
            tree.write("out/file", b"no", owner=(os.geteuid(), os.getegid()))
        tree.write("file", b"mine", owner=(os.geteuid(), os.getegid()))
        assert tree.remove("out")
    assert (place / "outside/file").read_text() == "outside"
    assert (place / "tree/file").read_text() == "mine"


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "a/b/.."])
def test_paths_with_dots_are_refused(place, path):
    owner = os.geteuid(), os.getegid()
    with DirTree(place / "tree") as tree:
        assert tree.read(f"{path}/file") is None
        assert tree.stat(f"{path}/file") is None
        assert not tree.remove(f"{path}/file")
        with pytest.raises(NotADirectoryError):
            tree.make_dirs(f"{path}/new")
        with pytest.raises(NotADirectoryError):
            tree.write(f"{path}/file", b"no", owner=owner)
    assert (place / "outside/file").read_text() == "outside"


def test_remove_takes_everything_below(place):
    with DirTree(place / "tree") as tree:
        os.symlink(place / "outside", place / "tree/a/b/link")
        assert tree.remove("a")
        assert not tree.remove("a")
    assert (place / "outside/file").exists()


def test_walk_is_sorted_and_prunes(place):
    (place / "tree/a/a").mkdir()
    (place / "tree/a/a/x").write_text("")
    with DirTree(place / "tree") as tree:
        assert [f.path for f in walk(tree)] == [
            "a", "a/a", "a/a/x", "a/b", "a/b/file", "file", "out"
        ]  # fmt: skip
        assert [f.path for f in walk(tree, "a", prune=lambda p: p == "a/a")] == [
            "a/a", "a/b", "a/b/file"
        ]  # fmt: skip
        assert list(walk(tree, "missing")) == []
        assert list(walk(tree, "out")) == []


def test_walk_along_another_directory(place):
    (place / "guide/a/b").mkdir(parents=True)
    (place / "guide/a/b/file").write_text("")
    (place / "guide/a/only-here").write_text("")
    (place / "tree/a/only-there").write_text("")
    with DirTree(place / "tree") as tree:
        found = [f.path for f in walk(tree, along=place / "guide")]
    assert found == ["a", "a/b", "a/b/file"]


def test_walk_survives_removal_of_what_it_shows(place):
    with DirTree(place / "tree") as tree:
        for found in walk(tree):
            tree.remove(found.path)
        assert tree.names("") == ()

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import AptOstreeError
from apt_ostree.sandbox.mountpoint import MountPoints, has_no_links, resolve


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_text("x")
    (root / "bin").symlink_to("usr/bin")
    (root / "abs").symlink_to("/usr/bin")
    (root / "out").symlink_to("../../../../etc")
    (root / "chain").symlink_to("abs")
    (root / "loop").symlink_to("loop")
    (root / "tmp").symlink_to("sysroot/tmp")
    return root


@pytest.mark.parametrize(("path", "expected"), [
    ("/usr/bin/tool", "/usr/bin/tool"),
    ("/bin/tool", "/usr/bin/tool"),
    ("/abs/tool", "/usr/bin/tool"),
    ("/chain/tool", "/usr/bin/tool"),
    ("/out/passwd", "/etc/passwd"),
    ("/../../usr/./bin", "/usr/bin"),
    ("/missing/x", "/missing/x"),
    ("/tmp", "/sysroot/tmp"),
    ("/", "/"),
])  # fmt: skip
def test_resolve(root, path, expected):
    assert resolve(root, path) == expected


def test_a_loop_is_an_error(root):
    with pytest.raises(AptOstreeError, match="too many levels"):
        resolve(root, "/loop")


@given(
    path=st.lists(st.sampled_from(["a", "l1", "l2", "..", ".", "", "b"]), max_size=8).map("/".join)
)
def test_resolve_never_leaves_the_root_and_is_stable(tmp_path_factory, path):
    root = tmp_path_factory.getbasetemp() / "shared-root"
    if not root.exists():
        (root / "a/b").mkdir(parents=True)
        (root / "l1").symlink_to("../../a")
        (root / "a/l2").symlink_to("/l1/b")
    inside = resolve(root, path)
    assert inside.startswith("/")
    assert ".." not in inside.split("/")
    assert resolve(root, inside) == inside


@pytest.mark.parametrize(("path", "expected"), [
    ("usr/bin", True), ("bin", False), ("bin/tool", False), ("usr/new", True), ("usr/../..", False), (".", True),
])  # fmt: skip
def test_has_no_links(root, path, expected):
    assert has_no_links(root, root / path) is expected


def test_made_mount_points_are_removed(root):
    points = MountPoints(root)
    assert points.directory("/var/cache/x") == "/var/cache/x"
    assert points.directory("/tmp") == "/sysroot/tmp"
    assert points.file("/abs/new") == "/usr/bin/new"
    assert points.file("/bin/tool") == "/usr/bin/tool"
    assert (root / "usr/bin/new").exists()
    points.remove()
    assert sorted(os.listdir(root)) == ["abs", "bin", "chain", "loop", "out", "tmp", "usr"]
    assert os.listdir(root / "usr/bin") == ["tool"]


def test_what_a_script_put_there_stays(root):
    points = MountPoints(root)
    points.directory("/var/cache")
    points.file("/usr/bin/new")
    points.file("/usr/bin/other")
    (root / "var/cache/kept").write_text("x")
    (root / "usr/bin/new").write_text("x")
    (root / "usr/bin/replaced").touch()
    os.rename(root / "usr/bin/replaced", root / "usr/bin/other")
    points.remove()
    assert (root / "var/cache/kept").exists()
    assert (root / "usr/bin/new").exists()
    assert (root / "usr/bin/other").exists()


def test_a_file_in_the_way(root):
    with pytest.raises(AptOstreeError, match="not a directory"):
        MountPoints(root).directory("/usr/bin/tool/x")

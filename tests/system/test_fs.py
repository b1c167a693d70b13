import errno
import os
import stat

import pytest

from apt_ostree.system import failpoint, fs


def test_write_atomic_replaces_and_sets_the_mode(tmp_path):
    path = tmp_path / "f"
    fs.write_atomic(path, b"1")
    fs.write_atomic(path, b"2", mode=0o600)
    assert path.read_bytes() == b"2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["f"]


def test_a_failed_write_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    monkeypatch.setattr(failpoint, "_armed", lambda: {"fs.before-rename": "enospc"})
    with pytest.raises(OSError) as caught:
        fs.write_atomic(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_remove_tree_does_not_follow_links(tmp_path):
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/f").touch()
    (tmp_path / "gone").mkdir()
    os.symlink("../keep", tmp_path / "gone/link")
    fs.remove_tree(tmp_path / "gone")
    fs.remove_tree(tmp_path / "none")
    assert sorted(os.listdir(tmp_path)) == ["keep"]
    assert (tmp_path / "keep/f").exists()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("etc/x", "usr/etc/x"),
        ("abs/y", "usr/y"),
        ("up/up/up/z", "z"),
        ("plain/missing/x", "plain/missing/x"),
        ("../../x", "x"),
    ],
)
def test_links_are_resolved_inside_the_root(tmp_path, path, expected):
    (tmp_path / "usr/etc").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    os.symlink("usr/etc", tmp_path / "etc")
    os.symlink("/usr", tmp_path / "abs")
    os.symlink("../../..", tmp_path / "up")
    assert fs.resolve_inside(tmp_path, path) == tmp_path / expected


def test_a_loop_of_links_ends(tmp_path):
    os.symlink("a", tmp_path / "a")
    with pytest.raises(OSError):
        fs.resolve_inside(tmp_path, "a/b")


def test_temp_dir_is_private_and_goes(tmp_path):
    with fs.temp_dir(tmp_path / "new", "x-") as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "f").touch()
    assert os.listdir(tmp_path / "new") == []


def test_abandoned_temp_dirs_go_and_used_ones_stay(tmp_path):
    abandoned, fresh = tmp_path / "x-old", tmp_path / "x-new"
    for path in (abandoned, fresh):
        path.mkdir()
    os.utime(abandoned, (0, 0))
    with fs.temp_dir(tmp_path, "x-") as used:
        os.utime(used, (0, 0))
        with fs.temp_dir(tmp_path, "x-"):
            assert used.is_dir()
            assert fresh.is_dir()
            assert not abandoned.exists()

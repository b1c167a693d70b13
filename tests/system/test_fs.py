import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from apt_ostree.errors import AptOstreeError, SpaceError
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


KILLED = """\
import os, signal, sys
from pathlib import Path
from apt_ostree.errors import AptOstreeError, SpaceError
from apt_ostree.system import failpoint, fs
failpoint._armed = lambda: {"fs.before-rename": "kill"}
with fs.temp_dir(Path(sys.argv[1]), "x-") as path:
    (path / "sub").mkdir()
    fs.write_atomic(Path(sys.argv[1], "f"), b"new")
"""


def leave(directory):
    """Let a process be killed with a temporary directory and a half-written file."""
    env = {"PYTHONPATH": str(Path(fs.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", KILLED, str(directory)], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(directory)) == 2


def test_what_a_killed_process_left_is_swept(tmp_path):
    leave(tmp_path)
    (tmp_path / "x-other").mkdir()
    with fs.temp_dir(tmp_path, "x-") as mine:
        fs.write_atomic(tmp_path / "f", b"mine")
        assert sorted(os.listdir(tmp_path)) == sorted(["f", mine.name, "x-other"])
        assert fs.sweep(tmp_path, "x-") == 0
    assert (tmp_path / "f").read_bytes() == b"mine"


def test_a_sweep_leaves_links_and_other_peoples_files_alone(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(shared, 0o1777)
    (tmp_path / "target").mkdir()
    (shared / "x-linklink").symlink_to(tmp_path / "target")
    (shared / "x-own_dirs").mkdir()
    os.mkfifo(shared / "x-fifofifo")
    expected = {"x-linklink", "x-fifofifo"}
    if os.geteuid() == 0:
        (shared / "x-somebody").mkdir()
        os.chown(shared / "x-somebody", 1, 1)
        expected.add("x-somebody")
    assert fs.sweep(shared, "x-") == 1
    assert set(os.listdir(shared)) == expected
    assert (tmp_path / "target").is_dir()


def test_nothing_to_sweep(tmp_path):
    assert fs.sweep(tmp_path / "missing", "x-") == 0


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, SpaceError), (errno.EROFS, AptOstreeError)]
)
def test_refusals_of_the_machine_are_expected_failures(number, kind):
    said = fs.refusal(OSError(number, os.strerror(number), "/x"))
    assert type(said) is kind
    assert said.message.startswith("/x: ")
    assert said.hint


def test_a_missing_file_is_a_bug_of_ours():
    assert fs.refusal(FileNotFoundError(errno.ENOENT, "no", "/x")) is None

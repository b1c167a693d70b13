"""The overlay that builds happen on; every case in its own mount namespace (a child process)."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from apt_ostree.assemble import workspace
from apt_ostree.errors import AptOstreeError
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import mount

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _own_namespace():
    mount.enter_private_namespace()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    Repo.create(tmp_path / "repo")
    return tmp_path / "repo"


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    root = tmp_path / "lower"
    for name, text in {
        "usr/bin/su": "su", "usr/etc/conf": "vendor", "etc/conf": "machine", "usr/gone": "x",
        "usr/dir/old": "x",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    os.chmod(root / "usr/bin/su", 0o4755)
    (root / "usr/lib/state").mkdir(parents=True)
    return root


def test_etc_is_the_vendor_configuration_and_lands_in_usr_etc(repo, lower):
    with workspace.create(repo) as space:
        with space.mounted([lower]) as root:
            assert (root / "etc/conf").read_text() == "vendor"
            (root / "etc/new").write_text("n")
        assert (space.upper / "usr/etc/new").read_text() == "n"
    assert (lower / "etc/conf").read_text() == "machine"


def test_state_directories_appear_where_packages_look(repo, lower):
    with workspace.create(repo) as space:
        with space.mounted([lower], binds=[("usr/lib/state", "var/lib/state")]) as root:
            (root / "var/lib/state/db").write_text("1")
        assert (space.upper / "usr/lib/state/db").read_text() == "1"


def test_changing_an_inode_in_place_does_not_reach_the_lower_layer(repo, lower):
    with workspace.create(repo) as space, space.mounted([lower]) as root:
        os.chmod(root / "usr/bin/su", 0o600)
        with (root / "usr/bin/su").open("a") as out:
            out.write("tampered")
    assert (lower / "usr/bin/su").read_text() == "su"
    assert stat.S_IMODE((lower / "usr/bin/su").stat().st_mode) == 0o4755


def test_whiteouts_and_opaque_directories_become_a_value(repo, lower):
    with workspace.create(repo) as space:
        with space.mounted([lower]) as root:
            (root / "usr/gone").unlink()
            (root / "usr/dir/old").unlink()
            (root / "usr/dir").rmdir()
            (root / "usr/dir").mkdir()
            (root / "usr/dir/new").write_text("")
            os.chmod(root / "usr/bin/su", 0o755)
        changes = workspace.settle_upper(space.upper)
        assert "/usr/gone" in changes.removed
        assert "/usr/dir" in changes.cleared
        assert os.listxattr(space.upper / "usr/bin/su") == []
        assert os.listxattr(space.upper) == []
        assert (space.upper / "usr/dir/new").exists()
        assert not os.path.lexists(space.upper / "usr/gone")


def test_a_moved_directory_is_whole(repo, lower):
    # dpkg moves one aside where a file comes in its place, and scripts rename what they like
    (lower / "usr/dir/sub").mkdir()
    (lower / "usr/dir/sub/deep").write_text("deep")
    os.chown(lower / "usr/dir/sub/deep", 33, 8)
    os.chmod(lower / "usr/dir/sub", 0o2750)
    (lower / "usr/other").mkdir()
    with workspace.create(repo) as space:
        with space.mounted([lower]) as root:
            (root / "usr/dir/old").rename(root / "usr/dir/renamed")
            (root / "usr/dir").rename(root / "usr/other/moved")
            (root / "usr/other/moved/sub").rename(root / "usr/sub")
            (root / "usr/dir").write_text("a file now")
        changes = workspace.settle_upper(space.upper)
        moved = space.upper / "usr/other/moved"
        assert sorted(p.name for p in moved.iterdir()) == ["renamed"]
        assert (space.upper / "usr/dir").read_text() == "a file now"
        deep = space.upper / "usr/sub/deep"
        assert (deep.read_text(), deep.stat().st_uid, deep.stat().st_gid) == ("deep", 33, 8)
        assert stat.S_IMODE((space.upper / "usr/sub").stat().st_mode) == 0o2750
        assert not {p for p in changes.removed if "apt-ostree" in p}
    assert (lower / "usr/dir/sub/deep").exists()


def test_a_directory_that_moved_and_came_back_is_whole(repo, lower):
    with workspace.create(repo) as space:
        with space.mounted([lower]) as root:
            (root / "usr/dir").rename(root / "usr/away")
            (root / "usr/dir").mkdir()
            (root / "usr/dir/new").write_text("")
        changes = workspace.settle_upper(space.upper)
        assert "/usr/dir" in changes.cleared
        assert [p.name for p in (space.upper / "usr/dir").iterdir()] == ["new"]
        assert [p.name for p in (space.upper / "usr/away").iterdir()] == ["old"]


def test_files_get_the_time_that_files_of_the_store_have(repo, lower):
    # libostree adopts files as they are, and Python compares byte code with its source's time
    with workspace.create(repo) as space:
        with space.mounted([lower]) as root:
            (root / "usr/dir/new").write_text("")
            (root / "usr/dir/link").symlink_to("new")
        workspace.settle_upper(space.upper)
        assert (space.upper / "usr/dir/new").stat().st_mtime == 0


def test_a_pipe_is_named_before_libostree_fails(tmp_path):
    (tmp_path / "usr").mkdir()
    os.mkfifo(tmp_path / "usr/pipe")
    with pytest.raises(AptOstreeError, match="/usr/pipe is no file, directory or link"):
        workspace.settle_upper(tmp_path)


def test_nothing_stays_and_the_dead_are_swept(repo, lower):
    with workspace.create(repo) as space, space.mounted([lower]):
        pass
    assert list((repo / "tmp").glob("apt-ostree-*")) == []
    code = (
        "import os,sys;from pathlib import Path;from apt_ostree.assemble import workspace as w\n"
        "with w.create(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    source = str(Path(workspace.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code, repo], env={"PYTHONPATH": source}, check=False)
    assert len(list((repo / "tmp").glob("apt-ostree-*"))) == 1
    with workspace.create(repo):
        assert workspace.sweep(repo) == 0  # the one in use stays
    assert list((repo / "tmp").glob("apt-ostree-*")) == []

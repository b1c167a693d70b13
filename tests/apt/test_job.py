"""The child process: its errors arrive as they are, its death is told, nothing outlives it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from fixtures.debrepo import make_deb
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.apt import job
from apt_ostree.apt.engine import error_lines
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import CachedDeb, LocalDeb, Pin, SolveRequest
from apt_ostree.apt.version import compare
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.progress import Silent


def test_death_of_the_child_is_told_with_its_last_words(world):
    world.publish(make_deb(world.debs, "a"))
    with pytest.raises(AptOstreeError, match="ended unexpectedly") as caught:
        job.call("no-such-job", world.root(), {}, Silent())
    assert any("KeyError" in line for line in caught.value.details)


def test_the_work_directory_goes_away(world, monkeypatch, tmp_path):
    world.publish(make_deb(world.debs, "a"))
    monkeypatch.setattr(job.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    with pytest.raises(AptOstreeError):
        job.call("no-such-job", world.root(), {}, Silent())
    assert list((tmp_path / "tmp").iterdir()) == []


def test_interruption_ends_the_child(world):
    """Progress that raises stands for Ctrl-C while the child works."""

    class Interrupt(Silent):
        def task_begin(self, text):
            raise KeyboardInterrupt

    world.publish(make_deb(world.debs, "a"))
    with pytest.raises(KeyboardInterrupt):
        world.refresh(Interrupt())
    children = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())],
                              capture_output=True, text=True, check=False).stdout  # fmt: skip
    assert "apt_ostree.apt.child" not in children


def test_the_parents_side_does_not_load_libapt():
    code = ("import sys; import apt_ostree.apt.solve, apt_ostree.apt.refresh, apt_ostree.apt.fetch,"
            "apt_ostree.apt.query, apt_ostree.apt.dpkgdb, apt_ostree.apt.suites;"
            "sys.exit('apt_pkg' in sys.modules)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], check=False,
                          env={"PYTHONPATH": str(job._SOURCE_DIR)})  # fmt: skip
    assert done.returncode == 0


def test_a_root_survives_its_own_dictionary(world, tmp_path):
    world.publish(make_deb(world.debs, "a"))
    root = world.root(etc=tmp_path, status=tmp_path / "s", cache=tmp_path / "c", proxy="http://p/",
                      foreign=("i386",), prefix=tmp_path, release="x").frozen()  # fmt: skip
    assert AptRoot.from_dict(root.as_dict()) == root


def test_a_request_survives_its_own_dictionary(tmp_path):
    deb = LocalDeb(tmp_path / "x.deb", "0" * 64, 3, "Package: x\n")
    request = SolveRequest(
        install=("a", "b=1"), local=(deb,), override_replace=(deb,), override_remove=("c",),
        override_replace_from=(("repo=x", ("d", "e")),), repo_packages=(("x", ("y",)),),
        pins={"a": Pin("1"), "b:amd64": Pin("2", "f" * 64)}, exclude=("z",), strict=True,
        cached=(CachedDeb("a", "all", "1", "0"),), base="b", lock_installed=True, essential=True,
        allow_inactive=False, force=True,
    )  # fmt: skip
    assert SolveRequest.from_dict(request.as_dict()) == request


def test_keys_inside_the_root_win_over_the_hosts(world, tmp_path):
    world.publish(make_deb(world.debs, "a"))
    key = world.key.public
    inside = tmp_path / "sysroot" / str(key).lstrip("/")
    root = world.root(prefix=tmp_path / "sysroot")
    assert root.effective_sources()[0].option("Signed-By") == str(key)
    inside.parent.mkdir(parents=True)
    inside.write_bytes(key.read_bytes())
    assert root.effective_sources()[0].option("Signed-By") == str(inside)


@pytest.mark.parametrize(
    ("a", "b", "sign"),
    [("1.0", "1.0", 0), ("1.0~rc1", "1.0", -1), ("1:0", "9", 1), ("1.0-1", "1.0-1+b1", -1),
     ("1.10", "1.9", 1), ("0:1", "1", 0)],
)  # fmt: skip
def test_version_order(a, b, sign):
    found = compare(a, b)
    assert (found > 0) - (found < 0) == sign


VERSION = st.from_regex(r"[0-9][0-9a-z.+~]{0,8}(-[0-9a-z.+~]{1,4})?", fullmatch=True)


@given(VERSION, VERSION)
def test_version_order_is_antisymmetric(a, b):
    assert (compare(a, b) > 0) == (compare(b, a) < 0)


def test_libapts_error_stack_as_lines():
    assert error_lines(Exception("W:one, E:two, three")) == ["two, three", "one"]

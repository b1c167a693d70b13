"""A real sysroot in a directory, without a boot loader."""

from pathlib import Path

import pytest

from apt_ostree.errors import BusyError, OstreeError
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.sysroot import Sysroot
from apt_ostree.ostree.tree import Tree

pytestmark = pytest.mark.root
ORIGIN = "[origin]\nrefspec=debian\n"


def bootable(repo: Repo, work: Path, name: str) -> str:
    tree = work / name
    for path, text in {
        "usr/lib/modules/6.1/vmlinuz": "kernel",
        "usr/lib/modules/6.1/initramfs.img": "initramfs",
        "usr/lib/os-release": f"ID=debian\nPRETTY_NAME={name}\nVERSION_ID=13\n",
        "usr/etc/hosts": name,
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for empty in ("var", "sysroot", "boot", "proc", "run", "dev", "sys"):
        (tree / empty).mkdir()
    with repo.transaction():
        built = Tree(repo)
        built.add_directory(tree, consume=False)
        checksum = repo.write_commit(built.write(), timestamp=1)
        repo.set_ref("debian", checksum)
    return checksum


@pytest.fixture
def path(tmp_path: Path) -> Path:
    assert Sysroot.init(tmp_path / "sysroot", "debian")
    return tmp_path / "sysroot"


def test_init_is_idempotent(path):
    assert not Sysroot.init(path, "debian")
    assert Sysroot.init(path, "other")
    assert Sysroot.open(path).stateroots == ("debian", "other")


def test_deploy_twice_keeps_the_first_and_merges_etc(path, tmp_path):
    sysroot = Sysroot.open(path)
    one, two = (bootable(sysroot.repo, tmp_path, n) for n in ("one", "two"))
    with sysroot.lock():
        first = sysroot.deploy("debian", one, origin=ORIGIN, kargs=["root=LABEL=x", "rw"])
        (first.directory / "etc/local").write_text("mine")
        second = sysroot.deploy("debian", two, origin=ORIGIN, kargs=first.kargs)
    now = Sysroot.open(path).deployments
    assert [d.checksum for d in now] == [two, one]
    assert (second.directory / "etc/local").read_text() == "mine"
    assert (second.directory / "etc/hosts").read_text() == "two"
    assert now[0].kargs == ("root=LABEL=x", "rw")
    assert "ostree=/ostree/boot" in now[0].options
    assert now[0].origin == ORIGIN
    assert (now[0].booted, now[0].staged, now[0].index) == (False, False, 0)


def test_only_the_previous_default_and_pinned_ones_stay(path, tmp_path):
    sysroot = Sysroot.open(path)
    commits = [bootable(sysroot.repo, tmp_path, n) for n in ("a", "b", "c", "d")]
    with sysroot.lock():
        first = sysroot.deploy("debian", commits[0], origin=ORIGIN, kargs=[])
        sysroot.set_pinned(first, True)
        for commit in commits[1:]:
            sysroot.deploy("debian", commit, origin=ORIGIN, kargs=[])
            assert (Sysroot.open(path).deployments[0].checksum) == commit
        sysroot.prepare_cleanup()
    left = Sysroot.open(path).deployments
    assert [d.checksum for d in left] == [commits[3], commits[2], commits[0]]
    assert [d.pinned for d in left] == [False, False, True]


def test_the_lock_excludes_others(path):
    first, second = Sysroot.open(path), Sysroot.open(path)

    def both() -> None:
        with first.lock(), second.lock():
            raise AssertionError("both hold the lock")

    with pytest.raises(BusyError, match="System transaction in progress"):
        both()


def test_no_sysroot_is_an_error(tmp_path):
    with pytest.raises(OstreeError, match="loading sysroot"):
        Sysroot.open(tmp_path)


def test_the_repository_has_a_path_that_other_processes_understand(path):
    assert Sysroot.open(path).repo.path == path / "ostree/repo"

"""Owners and times in inodes, on real files and through a real overlay."""

from __future__ import annotations

import os
import stat
import struct
import subprocess

import pytest

from apt_ostree.assemble import inodes
from apt_ostree.system import mount


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "t/usr/bin").mkdir(parents=True)
    return tmp_path / "t"


def owner(path) -> tuple[int, int]:
    info = os.lstat(path)
    return info.st_uid, info.st_gid


@pytest.mark.root
def test_two_numbers_change_places(tree):
    for name, uid in (("a", 901), ("b", 902)):
        (tree / name).write_text(name)
        os.chown(tree / name, uid, uid)
    os.symlink("a", tree / "link")
    os.lchown(tree / "link", 901, 0)
    os.link(tree / "a", tree / "usr/bin/second")
    count = inodes.renumber(tree, tree, uids={901: 902, 902: 901}, gids={902: 901})
    assert count == 3
    assert owner(tree / "a") == (902, 901)
    assert owner(tree / "b") == (901, 901)
    assert owner(tree / "link") == (902, 0)


@pytest.mark.root
def test_set_id_bits_and_capabilities_survive(tree):
    program = tree / "usr/bin/ping"
    program.write_bytes(b"\x7fELF")
    os.chown(program, 901, 901)
    os.chmod(program, 0o6755)
    subprocess.run(["setcap", "cap_net_raw+ep", program], check=True)
    before = os.getxattr(program, inodes.CAPABILITY)
    folder = tree / "usr/games"
    folder.mkdir()
    os.chown(folder, 0, 901)
    os.chmod(folder, 0o2775)
    inodes.renumber(tree, tree, uids={901: 905}, gids={901: 906})
    info = program.stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (905, 906, 0o6755)
    assert os.getxattr(program, inodes.CAPABILITY) == before
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2775


@pytest.mark.root
def test_access_lists_are_mapped(tree):
    folder = tree / "log"
    folder.mkdir()
    subprocess.run(["setfacl", "-m", "u:901:rwx,g:903:r-x,d:u:901:r--", folder], check=True)
    inodes.renumber(tree, tree, uids={901: 905}, gids={903: 904})
    listed = subprocess.run(
        ["getfacl", "-n", "-p", folder], check=True, capture_output=True, text=True
    ).stdout
    assert "user:905:rwx" in listed
    assert "group:904:r-x" in listed
    assert "default:user:905:r--" in listed
    assert "901" not in listed


def test_an_access_list_without_named_entries_is_unchanged():
    data = struct.pack("<I", 2) + struct.pack("<HHI", 0x01, 7, 0xFFFFFFFF)
    assert inodes.mapped_acl(data, {0xFFFFFFFF: 1}, {}) == data


@pytest.mark.root
def test_only_the_upper_is_touched_and_nothing_outside(tmp_path, tree):
    """Through an overlay: a lower file of the same number stays, whiteouts do no harm."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    os.chown(outside / "file", 901, 901)
    lower, upper, work, root = (tmp_path / n for n in ("lower", "upper", "work", "root"))
    for path in (lower / "usr", upper, work, root):
        path.mkdir(parents=True)
    for name in ("low", "gone"):
        (lower / "usr" / name).write_text(name)
        os.chown(lower / "usr" / name, 901, 901)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            mount.enter_private_namespace()
            with mount.overlay(root, lower=[lower], upper=upper, work=work):
                (root / "usr/new").write_text("new")
                os.chown(root / "usr/new", 901, 901)
                os.link(root / "usr/new", root / "usr/again")
                os.symlink(outside, root / "usr/away")
                os.unlink(root / "usr/gone")
                assert inodes.renumber(root, upper, uids={901: 902, 902: 903}, gids={}) == 1
                assert owner(root / "usr/new") == (902, 901)
                assert owner(root / "usr/again") == (902, 901)
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert owner(upper / "usr/new") == (902, 901)
    assert owner(lower / "usr/low") == (901, 901)
    assert not (upper / "usr/low").exists()
    assert owner(outside / "file") == (901, 901)


def test_zero_mtimes(tree):
    (tree / "usr/bin/a.py").write_text("x")
    (tree / "b").write_text("y")
    os.symlink("b", tree / "usr/l")
    assert inodes.zero_mtimes(tree, tree, start="usr") == 1
    assert (tree / "usr/bin/a.py").stat().st_mtime == 0
    assert (tree / "b").stat().st_mtime != 0
    assert inodes.zero_mtimes(tree, tree) == 1
    assert inodes.zero_mtimes(tree, tree) == 0

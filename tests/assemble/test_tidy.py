"""The last look at a tree: databases, secrets, leftovers and /var find their places together."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble import accounts, secrets, tidy, varseed
from apt_ostree.assemble.layout import BASE_DPKG, DPKG, create_database
from apt_ostree.system import fs, mount

pytestmark = pytest.mark.root

HOME = "usr/etc/alternatives-admindir"


def put(root: Path, path: str, text: str = "x") -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def stanza(name: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"


@pytest.fixture
def root(tmp_path) -> Path:
    tree = tmp_path / "tree"
    create_database(tree, ["amd64", "i386"])
    put(tree, f"{DPKG}/status", f"{stanza('b')}\n{stanza('a')}")
    put(tree, "usr/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    put(tree, "usr/etc/group", "root:x:0:\n")
    (tree / "var").mkdir()
    return tree


def settle(root: Path, upper: Path | None = None, *, is_base: bool = True):
    names = accounts.load(root / accounts.ETC)
    return tidy.tree(root, upper or root, accounts=names, is_base=is_base)


def test_everything_that_scripts_left_finds_its_place(root):
    put(root, f"{DPKG}/status-old")
    put(root, f"{DPKG}/alternatives/editor", "auto\n")
    put(root, "usr/etc/passwd-")
    put(root, "usr/etc/ssh/ssh_host_rsa_key")
    put(root, "usr/etc/machine-id", "0123\n")
    put(root, "var/lib/app/data", "d")
    put(root, "var/log/dpkg.log")
    done = settle(root)
    for gone in (f"{DPKG}/status-old", "usr/etc/passwd-", "usr/etc/ssh/ssh_host_rsa_key",
                 "usr/share/factory/var/log/dpkg.log"):  # fmt: skip
        assert not (root / gone).exists(), gone
    assert (root / "usr/etc/machine-id").read_bytes() == b""
    assert [p.name for p in dpkgdb.load(root / DPKG).packages] == ["a", "b"]
    assert (root / DPKG / "status").read_text().startswith("Package: a\n")
    assert (root / HOME / "editor").read_text() == "auto\n"
    assert (root / "usr/share/factory/var/lib/app/data").read_text() == "d"
    assert "C /var/lib/app - - - -" in map(str, done.lines)
    assert ("var/log/dpkg.log", "log") in done.dropped


def test_a_base_gets_what_makes_its_machines(root):
    settle(root)
    lines = root / "usr/lib/tmpfiles.d"
    assert "d /var/home 0755 root root -" in (lines / varseed.INTEGRATION).read_text()
    assert (root / secrets.UNIT).is_file()
    assert stat.S_IMODE((root / secrets.SCRIPT).stat().st_mode) == 0o755
    assert (root / secrets.WANTS).resolve() == root / secrets.UNIT


def test_a_layer_adds_to_the_lines_of_its_base(root, tmp_path):
    mount.enter_private_namespace()
    put(root, "var/lib/base/data", "b")
    settle(root)
    for path in (root / "var").iterdir():
        fs.remove_tree(path)
    before = (root / "usr/lib/tmpfiles.d" / varseed.BASE_CONF).read_text()
    upper, work, merged = (tmp_path / n for n in ("upper", "work", "merged"))
    for path in (upper, work, merged):
        path.mkdir()
    with mount.overlay(merged, lower=[root], upper=upper, work=work):
        varseed.seed(merged)
        put(merged, "var/lib/layer/data", "l")
        put(merged, "usr/etc/shadow-")
        settle(merged, upper, is_base=False)
        lines = merged / "usr/lib/tmpfiles.d"
        assert (lines / varseed.BASE_CONF).read_text() == before
        layered = (lines / varseed.LAYER_CONF).read_text()
    assert "C /var/lib/layer - - - -\n" in layered
    assert "/var/lib/base" not in layered
    assert not (upper / "usr/etc/shadow-").exists()
    assert not (upper / secrets.UNIT).exists()  # the base has it


def test_alternatives_are_moved_once(root):
    put(root, f"{DPKG}/alternatives/editor", "auto\n")
    tidy.move_alternatives(root)
    tidy.move_alternatives(root)
    assert (root / HOME / "editor").read_text() == "auto\n"
    assert os.readlink(root / tidy.ALTERNATIVES) == "/etc/alternatives-admindir"


def test_alternatives_join_those_that_are_in_etc(root):
    put(root, f"{HOME}/pager", "auto\n")
    put(root, f"{DPKG}/alternatives/editor", "auto\n")
    tidy.move_alternatives(root)
    assert sorted(p.name for p in (root / HOME).iterdir()) == ["editor", "pager"]
    assert os.readlink(root / tidy.ALTERNATIVES) == "/etc/alternatives-admindir"


def test_alternatives_move_out_of_a_layer_whose_base_had_none(root):
    settle(root)
    put(root, f"{DPKG}/alternatives/editor", "auto\n")
    settle(root, is_base=False)
    assert (root / HOME / "editor").exists()
    assert (root / tidy.ALTERNATIVES).is_symlink()


def test_the_database_of_the_base_is_kept_apart(root):
    tidy.record_base(root)
    copy = root / BASE_DPKG
    assert sorted(p.name for p in copy.iterdir()) == ["arch", "status"]
    assert (copy / "arch").read_text() == "amd64\ni386\n"
    assert stat.S_IMODE((copy / "status").stat().st_mode) == 0o644
    first = (copy / "status").read_text()
    put(root, f"{DPKG}/status", stanza("c"))
    assert (copy / "status").read_text() == first
    tidy.record_base(root)
    assert (copy / "status").read_text() == stanza("c")

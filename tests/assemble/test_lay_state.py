"""State that laid packages ship below /var, made for the scripts."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

import pytest

from apt_ostree.apt.debtar import Kind
from apt_ostree.assemble import lay
from apt_ostree.assemble.entry import StateRecord

pytestmark = pytest.mark.root


@dataclass
class Laid:
    state: tuple[StateRecord, ...]


def test_state_has_the_owners_and_modes_of_the_package(tmp_path):
    (tmp_path / "usr/share/factory/var/lib/x").mkdir(parents=True)
    (tmp_path / "usr/share/factory/var/lib/x/file").write_text("data")
    lay.prepare_state(tmp_path, [Laid((
        StateRecord("var/lib/x", Kind.DIRECTORY, 0o2750, 33, 8),
        StateRecord("var/lib/x/file", Kind.FILE, 0o640, 33, 8),
        StateRecord("var/lib/x/link", Kind.LINK, 0o777, 33, 8, target="file"),
        StateRecord("var/opt/v", Kind.LINK, 0o755, 0, 0, target="usr/lib/opt/v"),
        StateRecord("run/x", Kind.DIRECTORY, 0o755, 0, 0),
    ))])  # fmt: skip
    for path, mode in (("var/lib/x", 0o2750), ("var/lib/x/file", 0o640)):
        info = (tmp_path / path).stat()
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (33, 8, mode)
    assert (tmp_path / "var/lib/x/link").lstat().st_uid == 33
    assert (tmp_path / "var/lib/x/link").read_text() == "data"
    assert os.readlink(tmp_path / "var/opt/v") == "../../usr/lib/opt/v"
    assert not (tmp_path / "run").exists()


def test_state_is_not_made_through_a_link_out_of_the_tree(tmp_path):
    tree, host = tmp_path / "tree", tmp_path / "host"
    host.mkdir()
    (tree / "var/lib").mkdir(parents=True)
    (tree / "usr/share/factory/var/lib/evil").mkdir(parents=True)
    (tree / "usr/share/factory/var/lib/evil/file").write_text("x")
    os.symlink(host, tree / "var/lib/evil")  # as the package's own tmpfiles.d asked for
    lay.prepare_state(tree, [Laid((
        StateRecord("var/lib/evil/file", Kind.FILE, 0o4755, 0, 0),
        StateRecord("var/lib/evil/dir", Kind.DIRECTORY, 0o755, 0, 0),
        StateRecord("var/lib/evil/link", Kind.LINK, 0o777, 0, 0, target="/"),
    ))])  # fmt: skip
    assert os.listdir(host) == []

"""One file of two packages under two names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from apt_ostree.apt.debtar import Kind
from apt_ostree.assemble import aliasing
from apt_ostree.assemble.layout import DPKG, create_database
from apt_ostree.assemble.placement import tree_path
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package


@dataclass
class Coming:
    package: Package
    listed: tuple[str, ...]
    stanza: str
    kind: Kind = Kind.FILE

    @property
    def placed(self) -> dict[str, Kind]:
        kinds = {tree_path(p): Kind.DIRECTORY for p in self.listed[:-1]}
        return kinds | {tree_path(self.listed[-1]): self.kind}


def coming(name: str, path: str, *, replaces: str = "", kind: Kind = Kind.FILE) -> Coming:
    stanza = (f"Package: {name}\nStatus: install ok unpacked\nVersion: 1\nArchitecture: all\n"
              f"Replaces: {replaces or 'nothing'}\n")  # fmt: skip
    return Coming(Package(name, "all", "1"), ("/.", "/bin", path), stanza, kind)


@pytest.fixture
def root(tmp_path):
    """A tree with `old`, which has /usr/bin/x and /lib/d/y."""
    create_database(tmp_path, ["amd64"])
    (tmp_path / DPKG / "status").write_text(coming("old", "/x").stanza.replace("unpacked",
                                                                              "installed"))  # fmt: skip
    (tmp_path / DPKG / "info/old.list").write_text("/.\n/usr/bin\n/usr/bin/x\n/lib/d\n/lib/d/y\n")
    for path in ("usr/bin/x", "usr/lib/d/y"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "other"), [("/bin/x", "/usr/bin/x"), ("/usr/lib/d/y", "/lib/d/y")]
)
def test_both_packages_and_names_are_said(root, path, other):
    said = f"new-1.all: trying to overwrite '{path}', which is also in package old:all as '{other}'"
    with pytest.raises(PackageError, match=said):
        aliasing.check(root, [coming("new", path)], laid=[], gone=[])


@pytest.mark.parametrize(
    "new",
    [
        coming("new", "/usr/bin/x"),  # dpkg sees this one
        coming("new", "/bin/y"),
        coming("new", "/lib/d", kind=Kind.DIRECTORY),
        coming("new", "/usr/lib/d", kind=Kind.DIRECTORY),
        coming("new", "/bin/x", replaces="other, old (<< 2)"),
        coming("old", "/bin/x"),
    ],
)
def test_everything_else_is_left_to_dpkg(root, new):
    aliasing.check(root, [new], laid=[], gone=[])


def test_packages_that_go_and_diverted_files_do_not_count(root):
    aliasing.check(root, [coming("new", "/bin/x")], laid=[], gone=["old:all"])
    (root / DPKG / "diversions").write_text("/usr/bin/x\n/usr/bin/x.old\nnew\n")
    aliasing.check(root, [coming("new", "/bin/x")], laid=[], gone=[])


def test_new_packages_among_each_other(root):
    (root / "usr/bin/l").write_text("")
    laid = [coming("laid", "/usr/bin/l")]
    with pytest.raises(PackageError, match="also in package laid:all"):
        aliasing.check(root, [coming("new", "/bin/l")], laid=laid, gone=[])
    both = [coming("a", "/bin/n"), coming("b", "/usr/bin/n")]
    with pytest.raises(PackageError, match=r"b-1\.all: .* in package a:all"):
        aliasing.check(root, both, laid=[], gone=[])

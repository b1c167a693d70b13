"""Rules of dpkg that come while files are laid already."""

from __future__ import annotations

import stat
from dataclasses import dataclass

import pytest

from apt_ostree.assemble import rules
from apt_ostree.assemble.layout import DPKG
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package

pytestmark = pytest.mark.root


@dataclass
class Laid:
    package: Package
    listed: tuple[str, ...]


@pytest.fixture
def root(tmp_path):
    for name in ("usr/bin", "usr/etc", DPKG):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr/etc/passwd").write_text("root:x:0:0::/:/bin/sh\nme:x:123:456::/:/bin/sh\n")
    (tmp_path / "usr/etc/group").write_text("root:x:0:\nus:x:456:\n")
    for name in ("usr/bin/x", "usr/bin/y", "usr/etc/x"):
        (tmp_path / name).write_text(name)
    (tmp_path / "usr/bin/link").symlink_to("x")
    (tmp_path / DPKG / "statoverride").write_text("root us 755 /bin/y\n")
    return tmp_path


def laid(*listed: str) -> list[Laid]:
    return [Laid(Package("mine", "all", "1"), ("/.", *listed))]


def add(root, file: str, text: str) -> None:
    with (root / DPKG / file).open("a") as out:
        out.write(text)


def state(path) -> tuple[int, int, int]:
    info = path.lstat()
    return info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)


def test_new_overrides_are_applied_and_old_ones_are_not(root):
    before = rules.read(root)
    add(root, "statoverride", "me us 4750 /bin/x\n#33 #8 600 /etc/x\nme us 700 /usr/bin/link\n")
    old, link = state(root / "usr/bin/y"), state(root / "usr/bin/link")
    rules.follow(root, laid("/bin/x", "/bin/y", "/etc/x", "/usr/bin/link"), before=before)
    assert state(root / "usr/bin/x") == (123, 456, 0o4750)
    assert state(root / "usr/etc/x") == (33, 8, 0o600)
    assert (state(root / "usr/bin/y"), state(root / "usr/bin/link")) == (old, link)


def test_an_unknown_account_is_an_error(root):
    before = rules.read(root)
    add(root, "statoverride", "nobody-knows us 4750 /bin/x\n")
    rules.follow(root, laid("/bin/y"), before=before)
    with pytest.raises(PackageError, match="unknown user 'nobody-knows'"):
        rules.follow(root, laid("/bin/x"), before=before)


@pytest.mark.parametrize(("owner", "is_moved"), [("other", True), (":", True), ("mine", False)])
def test_new_diversions_move_files_of_others(root, owner, is_moved):
    before = rules.read(root)
    add(root, "diversions", f"/bin/x\n/bin/away/x\n{owner}\n")
    rules.follow(root, laid("/bin/x"), before=before)
    assert (root / "usr/bin/away/x").exists() == is_moved
    assert (root / "usr/bin/x").exists() != is_moved


def test_a_file_that_dpkg_divert_has_moved_stays(root):
    before = rules.read(root)
    add(root, "diversions", "/bin/x\n/bin/y\nother\n")
    rules.follow(root, laid("/bin/x"), before=before)
    assert (root / "usr/bin/y").read_text() == "usr/bin/y"

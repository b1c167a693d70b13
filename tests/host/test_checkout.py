import os

import pytest
from fixtures.sysroots import Watcher

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import checkout

pytestmark = pytest.mark.root


@pytest.mark.parametrize("copy", [False, True])
def test_a_tree_is_written(site, tmp_path, copy):
    commit = site.base(["libc6=1"], files={"usr/bin/hello": "hi"})
    dest = tmp_path / "out"
    assert checkout.run(site.path, "debian/13", dest, Watcher(), copy=copy) == commit
    file = dest / "usr/bin/hello"
    assert file.read_text() == "hi"
    assert (os.stat(file).st_nlink == 1) is copy
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_refusals(site, tmp_path):
    site.base(["libc6=1"])
    (tmp_path / "there").mkdir()
    for rev, dest, message in (
        ("none", tmp_path / "x", "Refspec 'none' not found"),
        ("debian/13", tmp_path / "there", "Refusing to operate on extant target"),
        ("debian/13", tmp_path / "no/x", "is not a directory"),
        ("debian/13", "/dev/shm/apt-ostree-x", "is on another filesystem"),
    ):
        with pytest.raises(AptOstreeError, match=message):
            checkout.run(site.path, rev, type(tmp_path)(dest), Watcher())

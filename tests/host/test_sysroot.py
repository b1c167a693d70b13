import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import sysroot

pytestmark = pytest.mark.root


def test_init_is_idempotent_and_adds_stateroots(tmp_path):
    path = tmp_path / "new/root"
    assert sysroot.init(path, "debian", dry_run=True)
    assert not path.exists()
    assert sysroot.init(path, "debian")
    assert not sysroot.init(path, "debian")
    assert not sysroot.init(path, "debian", dry_run=True)
    assert sysroot.init(path, "other", dry_run=True)
    assert sysroot.init(path, "other")
    assert (path / "ostree/deploy/other/var").is_dir()


def test_refusals(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AptOstreeError, match="is not a directory"):
        sysroot.init(tmp_path / "file", "debian")
    for name in ("", "a/b", ".."):
        with pytest.raises(AptOstreeError, match="Invalid stateroot name"):
            sysroot.init(tmp_path / "x", name)
    with pytest.raises(AptOstreeError, match="cannot make"):
        sysroot.init(tmp_path / "file/below", "debian")

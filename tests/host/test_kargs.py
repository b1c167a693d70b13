import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import kargs

pytestmark = pytest.mark.root


def test_the_line_of_the_default_and_of_an_index(site):
    for version in ("1", "2"):
        site.deploy(site.base([f"libc6={version}"]), kargs=("rw", f"v={version}"))
    line = kargs.show(site.path, None, None)
    assert line.startswith("rw v=2 ostree=/ostree/boot.")
    assert kargs.show(site.path, None, 0) == line
    assert kargs.show(site.path, None, 1).startswith("rw v=1 ostree=")


@pytest.mark.parametrize(
    ("index", "message"),
    [(1, "Out of range deployment index 1, expected < 1"), (-1, "Invalid deployment index -1")],
)
def test_an_index_of_nothing(site, index, message):
    site.deploy(site.base(["libc6=1"]))
    with pytest.raises(AptOstreeError, match=message):
        kargs.show(site.path, None, index)


def test_no_deployment(site):
    with pytest.raises(AptOstreeError, match="No deployments found for OS 'debian'"):
        kargs.show(site.path, None, None)

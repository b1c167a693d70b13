import pytest
from fixtures.sysroots import Installed, pkg
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.assemble import record
from apt_ostree.errors import AptOstreeError
from apt_ostree.insight import pkglist
from apt_ostree.model.package import Package
from apt_ostree.ostree.glib import pack

MIXED = ("libc6=2.36-9+deb12u1", "vim=2:9.0.1378-2", "native=1.0/all", "b=1-2-3", "c=0:1-1")


@pytest.mark.root
@pytest.mark.parametrize("has_pkglist", [True, False])
def test_metadata_and_database_tell_the_same(site, has_pkglist):
    commit = site.base(MIXED, has_pkglist=has_pkglist)
    found = pkglist.of_commit(site.repo, commit)
    assert [p.evr for p in found] == ["1-2-3", "1-1", "2.36-9+deb12u1", "1.0", "2:9.0.1378-2"]
    assert {p.name: p.arch for p in found}["native"] == "all"


@pytest.mark.root
def test_what_is_not_installed_does_not_count(site):
    gone = Installed(pkg("old=1"), fields={"Status": "deinstall ok config-files"})
    commit = site.base(["a=1", gone], has_pkglist=False)
    assert [p.name for p in pkglist.of_commit(site.repo, commit)] == ["a"]


@pytest.mark.root
def test_a_commit_without_packages_says_so(site):
    commit = site.base(has_pkglist=False, has_database=False)
    with pytest.raises(AptOstreeError, match="Failed to find any packages in root"):
        pkglist.of_commit(site.repo, commit)


WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789.+~", min_size=1)
VERSION = st.builds(
    lambda epoch, upstream, release: (
        (f"{epoch}:" if epoch else "") + upstream + (f"-{release}" if release else "")
    ),
    st.integers(0, 30),
    st.lists(WORD, min_size=1, max_size=3).map("-".join),
    st.none() | WORD,
)


@given(st.lists(st.builds(Package, WORD, st.sampled_from(["amd64", "all"]), VERSION)))
def test_a_list_survives_the_metadata(packages):
    variant = pack({pkglist.KEY: record.pkglist(packages)}).lookup_value(pkglist.KEY, None)
    assert sorted(pkglist._package(row) for row in variant.unpack()) == sorted(packages)

"""What changed between two package lists."""

import apt_pkg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import Advisory, PackageDiff

apt_pkg.init_system()


def diff(before, after):
    return PackageDiff.between(before, after, compare=apt_pkg.version_compare)


def test_kinds_and_the_json_of_the_contract():
    before = [
        Package("a", "amd64", "1:1.0-1"),
        Package("b", "all", "2.0"),
        Package("c", "amd64", "1.10-1"),
        Package("same", "amd64", "1"),
    ]
    after = [
        Package("a", "amd64", "1:1.0-1+b1"),
        Package("c", "amd64", "1.9-1"),
        Package("d", "amd64", "0:3-1"),
        Package("same", "amd64", "1"),
    ]
    assert diff(before, after).as_list() == [
        ["d", 0, {"NewPackage": ["d", "3-1", "amd64"]}],
        ["b", 1, {"PreviousPackage": ["b", "2.0", "all"]}],
        ["a", 2, {"PreviousPackage": ["a", "1:1.0-1", "amd64"],
                  "NewPackage": ["a", "1:1.0-1+b1", "amd64"]}],
        ["c", 3, {"PreviousPackage": ["c", "1.10-1", "amd64"],
                  "NewPackage": ["c", "1.9-1", "amd64"]}],
    ]  # fmt: skip


def test_a_second_architecture_is_an_addition_a_changed_one_an_upgrade():
    libc = Package("libc6", "amd64", "2.36")
    assert diff([libc], [libc, Package("libc6", "i386", "2.36")]).as_list() == [
        ["libc6", 0, {"NewPackage": ["libc6", "2.36", "i386"]}]
    ]
    moved = diff([Package("tool", "amd64", "1")], [Package("tool", "all", "2")]).as_list()
    assert [row[:2] for row in moved] == [["tool", 2]]


PACKAGES = st.lists(
    st.builds(
        Package,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["amd64", "i386", "all"]),
        st.sampled_from(["1", "2", "10-1"]),
    ),
    unique_by=lambda p: p.key,
)


@given(PACKAGES, PACKAGES)
def test_a_diff_accounts_for_every_package(before, after):
    changes = diff(before, after).changes
    old = {c.old for c in changes if c.old}
    new = {c.new for c in changes if c.new}
    assert set(before) - old | new == set(after)
    assert len(changes) == len({(c.old, c.new) for c in changes})


@given(PACKAGES)
def test_nothing_differs_from_itself(packages):
    assert not diff(packages, packages)


@pytest.mark.parametrize("extra", [{}, {"cve_references": [["https://x", "CVE-1 title"]]}])
def test_advisory_round_trip(extra):
    raw = ("DSA-1", 1, 3, ["a-1.amd64"], extra)
    assert Advisory.from_tuple(raw).as_tuple() == raw

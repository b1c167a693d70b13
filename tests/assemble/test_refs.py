"""Ref names of cached packages: readable, legal for libostree, exactly reversible."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.assemble import refs
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package
from apt_ostree.ostree.repo import Repo

# ostree-core.c: OSTREE_REF_FRAGMENT_REGEXP, repeated with slashes.
LEGAL = re.compile(r"[A-Za-z0-9_-][-._A-Za-z0-9]*(/[A-Za-z0-9_-][-._A-Za-z0-9]*)*")


@pytest.mark.parametrize(
    ("package", "ref"),
    [
        (Package("htop", "amd64", "3.2.2-2"), "aptostree/pkg/htop/3.2.2-2.amd64"),
        (
            Package("libstdc++6", "amd64", "1:2.3~rc1+dfsg-1"),
            "aptostree/pkg/libstdc_2B_2B6/1_3A2.3_7Erc1_2Bdfsg-1.amd64",
        ),
        (Package("a_b", "all", "1"), "aptostree/pkg/a__b/1.all"),
    ],
)
def test_ref_is_readable_and_reversible(package, ref):
    assert refs.ref_of(package) == ref
    assert refs.package_of(ref) == package


@given(st.text(min_size=1))
def test_escape_round_trips_any_text(text):
    escaped = refs.escape(text)
    assert LEGAL.fullmatch(escaped)
    assert refs.unescape(escaped) == text


@given(
    st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True),
    st.from_regex(r"([0-9]{1,3}:)?[0-9][A-Za-z0-9.+~-]{0,20}", fullmatch=True),
    st.sampled_from(["all", "amd64", "kfreebsd-amd64", "arm64"]),
)
def test_packages_round_trip(name, version, arch):
    package = Package(name, arch, version)
    ref = refs.ref_of(package)
    assert LEGAL.fullmatch(ref)
    assert refs.package_of(ref) == package


@given(st.text(alphabet="abAF0129_.-+ /", min_size=1, max_size=12))
def test_unescape_accepts_only_what_escape_writes(component):
    try:
        text = refs.unescape(component)
    except ValueError:
        return
    assert refs.escape(text) == component


@pytest.mark.parametrize(
    "ref", ["", "debian/13/amd64", "aptostree/pkg/x", "aptostree/pkg/x/1", "aptostree/pkg/x/1_2b.all"]
)  # fmt: skip
def test_foreign_refs_are_refused(ref):
    with pytest.raises(PackageError, match="does not name a cached package"):
        refs.package_of(ref)


def test_libostree_accepts_the_names(tmp_path):
    repo = Repo.create(tmp_path / "repo", mode="bare-user")
    for package in (Package("libstdc++6", "amd64", "1:2~a+b-1"), Package("x", "all", "0")):
        assert repo.lookup(refs.ref_of(package)) is None
        with pytest.raises(Exception, match="not found"):
            repo.resolve(refs.ref_of(package))

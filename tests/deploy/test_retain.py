import pytest

from apt_ostree.deploy import retain
from apt_ostree.errors import AptOstreeError, OriginError
from apt_ostree.model.origin import LocalPackage, Origin


@pytest.mark.parametrize(
    ("count_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_sizes(count_bytes, text):
    assert retain.size_text(count_bytes) == text


@pytest.mark.root
def test_needs_of_all_and_of_some(site):
    base = site.base(["libc6=1"])
    site.deploy(base, origin=Origin(refspec="debian/13"))
    local = LocalPackage("b" * 64, "own-1.amd64")
    top = site.layered(base, ["libc6=1", "own=1"])
    site.deploy(top, origin=Origin(refspec="debian/13", override_local=(local,)))
    sysroot = site.sysroot
    every = retain.needs(sysroot)
    assert every.bases == (base,)
    assert sorted(p.name for p in every.packages) == ["libc6", "own"]
    assert every.local == {"b" * 64}
    old = retain.needs(sysroot, sysroot.deployments[1:])
    assert (old.bases, old.local) == ((), frozenset())
    assert (retain.base_of(site.repo, top), retain.base_of(site.repo, base)) == (base, None)


@pytest.mark.root
def test_an_origin_that_cannot_be_read_is_an_error(site):
    made = site.deploy(site.base(["libc6=1"]))
    (made.directory.parent / f"{made.directory.name}.origin").write_text("[origin]\nx=y\n")
    with pytest.raises(OriginError, match="Failed to find refspec"):
        retain.needs(site.sysroot)


@pytest.mark.root
def test_base_refs_are_exactly_the_bases(site):
    repo = site.repo
    one, two = (site.base([f"a={n}"], ref=None) for n in (1, 2))
    for bases in ((one, two), (two,), (), (two, one)):
        with repo.transaction():
            for ref, checksum in retain.base_refs(repo, bases).items():
                repo.set_ref(ref, checksum)
        found = site.repo.refs(retain.BASE_PREFIX)
        assert found == {f"aptostree/base/{n}": c for n, c in enumerate(bases)}
        assert retain.base_refs(repo, bases) == {}


@pytest.mark.root
def test_an_unreadable_deployment_says_how_to_get_rid_of_it(site):
    base = site.base(["libc6=1"])
    site.deploy(site.layered(base, ["libc6=1"], has_database=False))
    with pytest.raises(AptOstreeError) as caught:
        retain.needs(site.sysroot)
    assert caught.value.hint.endswith("ostree admin undeploy 0")

"""`list` on real deployments, with real apt metadata for what is upgradable."""

import pytest
from fixtures.debrepo import make_deb, make_key, make_repo
from fixtures.sysroots import Installed, Watcher, pkg

from apt_ostree.apt import refresh
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import machine, packages, target
from apt_ostree.model.change import Options
from apt_ostree.model.origin import LocalPackage, Origin

pytestmark = pytest.mark.root
KEYRING = "usr/share/keyrings/test.gpg"
DPKG = Installed(pkg("dpkg=1.21"))


def listed(site, *patterns, **options):
    return packages.list(site.path, None, patterns, progress=Watcher(), **options)


@pytest.fixture
def layered(site):
    base = site.base([DPKG, "libc6=2.36", "vim=1"])
    site.deploy(
        site.layered(base, [DPKG, "libc6=2.36", "vim=2", "htop=3", "own=1"], requests=["htop"]),
        origin=Origin(
            refspec="debian/13",
            requested=("htop",),
            local=(LocalPackage("a" * 64, "own-1.amd64"),),
        ),
    )
    return site


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"dpkg": "base", "htop": "layered", "libc6": "base", "own": "local",
              "vim": "override"}),
        ({"which": "layered"}, {"htop": "layered", "own": "local"}),
        ({"which": "base"}, {"dpkg": "base", "libc6": "base", "vim": "override"}),
    ],
)  # fmt: skip
def test_where_packages_come_from(layered, options, expected):
    assert {p["name"]: p["origin"] for p in listed(layered, **options)} == expected


def test_patterns(layered):
    assert [p["name"] for p in listed(layered, "*i*")] == ["libc6", "vim"]
    assert listed(layered, "htop:amd64") == [
        {"name": "htop", "arch": "amd64", "version": "3", "origin": "layered", "candidate": None}
    ]
    assert listed(layered, "x*") == []
    with pytest.raises(AptOstreeError, match="Packages not found: nope"):
        listed(layered, "htop", "nope")
    with pytest.raises(AptOstreeError, match="unknown list 'some'"):
        listed(layered, which="some")


def test_a_deployment_that_is_base_alone(site):
    old = site.deploy(site.base(["a=1"]))
    site.deploy(site.base(["a=2"]))
    assert listed(site)[0]["version"] == "2"
    assert listed(site, deployment=old.id) == [
        {"name": "a", "arch": "amd64", "version": "1", "origin": "base", "candidate": None}
    ]


def test_upgradable_by_the_machine_s_own_sources(site, tmp_path):
    key = make_key(tmp_path / "keys")
    debs = [
        make_deb(tmp_path / "debs", name, version, arch="amd64")
        for name, version in (("htop", "3.1"), ("vim", "1"), ("libc6", "2.37"))
    ]
    repo = make_repo(tmp_path / "apt", debs, sign=key)
    files = {
        "usr/etc/apt/sources.list.d/test.sources": repo.stanza(signed_by=f"/{KEYRING}"),
        KEYRING: key.public.read_bytes(),
    }
    base = site.base([DPKG, "libc6=2.36", "vim=1"], files=files)
    site.deploy(site.layered(base, [DPKG, "libc6=2.36", "vim=1", "htop=3.0"], files=files))
    with pytest.raises(AptOstreeError, match="there is no package metadata yet"):
        listed(site, which="upgradable")
    where = target.find(site.sysroot, None)
    database = packages.dpkgdb.load(where.merge.directory / packages.DATABASE)
    root = machine.apt_root(
        where, database, where.origin, where.base_checksum, Options(), scratch=tmp_path
    )
    refresh.refresh(root, Watcher())
    found = {p["name"]: (p["version"], p["candidate"]) for p in listed(site, which="upgradable")}
    assert found == {"htop": ("3.0", "3.1"), "libc6": ("2.36", "2.37")}

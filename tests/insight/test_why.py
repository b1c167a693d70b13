"""From a file or package of a real deployment to its cause."""

import json

import pytest
from fixtures.sysroots import Installed, pkg

from apt_ostree.errors import AptOstreeError
from apt_ostree.insight import selection, why
from apt_ostree.model.origin import LocalPackage, Origin, RemoteReplacement

pytestmark = pytest.mark.root
BASE = (
    Installed(pkg("base-files=12"), fields={"Essential": "yes"}),
    Installed(pkg("openssh-server=1"), fields={"Depends": "libssl3 (>= 3)"}),
    Installed(pkg("libssl3=3.0"), ("/usr/lib/libssl.so.3",)),
    Installed(pkg("vim=1")),
    Installed(pkg("stray=1")),
)
LAYERS = (
    Installed(pkg("htop=3.2-1"), ("/usr/bin", "/usr/bin/htop"), {"Depends": "libnl-3-200"}),
    Installed(pkg("libnl-3-200=3.7"), ("/lib/libnl-3.so.200",)),
    Installed(pkg("own=1"), ("/usr/bin", "/usr/bin/own")),
)
TREEFILE = {"usr/share/apt-ostree/treefile.json": json.dumps({"packages": ["openssh-server"]})}


@pytest.fixture
def layered(site):
    base = site.base(BASE, files=TREEFILE)
    newer = Installed(pkg("vim=2"))
    kept = [i for i in BASE if i.package.name != "vim"]
    site.deploy(
        site.layered(base, [*kept, newer, *LAYERS], requests=["htop"], files=TREEFILE),
        origin=Origin(
            refspec="debian/13",
            requested=("htop",),
            local=(LocalPackage("a" * 64, "own-1.amd64"),),
            override_remote=(RemoteReplacement("repo=x", ("vim",)),),
        ),
    )
    return site


@pytest.mark.parametrize(
    ("target", "package", "texts"),
    [
        (
            "/usr/lib/libnl-3.so.200",
            "libnl-3-200",
            [
                "owned by libnl-3-200-3.7.amd64",
                "needed by htop (Depends: libnl-3-200)",
                "requested as 'htop'",
            ],
        ),
        ("htop", "htop", ["requested as 'htop'"]),
        ("own", "own", ["requested as a local package: own-1.amd64"]),
        (
            "/usr/bin",
            "htop",
            ["owned by htop-3.2-1.amd64 (and 1 more)", "requested as 'htop'"],
        ),
        (
            "libssl3",
            "libssl3",
            [
                "needed by openssh-server (Depends: libssl3 (>= 3))",
                "in the base image: treefile has 'openssh-server' in 'packages'",
            ],
        ),
        ("base-files", "base-files", ["in the base image: essential"]),
        ("stray", "stray", ["in the base image"]),
        ("vim", "vim", ["replaces vim-1.amd64 of the base", "in the base image"]),
        ("htop:amd64", "htop", ["htop-3.2-1.amd64", "requested as 'htop'"]),
    ],
)
def test_chains(layered, target, package, texts):
    found = why.explain(layered.path, None, target)
    assert (found["target"], found["package"]["name"]) == (target, package)
    assert [link["text"] for link in found["chain"]] == texts


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("nope", "package 'nope' is not in deployment debian-", "apt-ostree search nope"),
        ("/usr/bin/nope", "no package owns '/usr/bin/nope'", "there is no such file"),
        ("/usr/lib/os-release", "no package owns '/usr/lib/os-release'", "made by a script"),
    ],
)
def test_what_is_not_there(layered, target, message, hint):
    with pytest.raises(AptOstreeError, match=message) as caught:
        why.explain(layered.path, "debian", target)
    assert hint in caught.value.hint


def test_a_package_that_nothing_requests_any_more(site):
    base = site.base(BASE)
    site.deploy(site.layered(base, [*BASE, *LAYERS]))
    (link,) = why.explain(site.path, None, "htop")["chain"]
    assert link["kind"] == "unknown"


def test_a_pure_base_needs_no_origin_lists(site):
    site.deploy(site.base(BASE, files=TREEFILE))
    found = why.explain(site.path, None, "openssh-server")
    assert [link["kind"] for link in found["chain"]] == ["base"]


def test_deployments_are_chosen_by_id(site):
    old = site.deploy(site.base([*BASE, "only-old=1"]))
    new = site.deploy(site.base(BASE, version="13.2"))
    sysroot = site.sysroot
    assert selection.choose(sysroot, None, None).id == new.id
    for ident in (old.id, old.id.removeprefix("debian-"), old.checksum[:12]):
        assert selection.choose(sysroot, "debian", ident).id == old.id
    assert why.explain(site.path, None, "only-old", deployment=old.id)["package"]["version"] == "1"
    for ident, message in (
        ("", "empty deployment ID"),
        ("debian-no.0", "Deployment with id 'debian-no.0' not found"),
    ):
        with pytest.raises(AptOstreeError, match=message):
            selection.choose(sysroot, None, ident)
    with pytest.raises(AptOstreeError, match="No deployments found for OS 'other'"):
        selection.choose(sysroot, "other", None)

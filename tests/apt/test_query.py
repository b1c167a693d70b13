"""What the sources offer: search, show, newer versions."""

from __future__ import annotations

import pytest
from fixtures.debrepo import make_deb

from apt_ostree.apt import query
from apt_ostree.errors import SolveError


@pytest.fixture
def offers(world):
    d = world.debs
    world.publish(
        make_deb(d, "htop", "1:3.2-2", arch="amd64", description="interactive TOP viewer"),
        make_deb(d, "topgit", description="patch queues"),
        make_deb(d, "monitor", description="like top"),
        make_deb(d, "unrelated", description="nothing"),
    )
    world.refresh()
    return world


@pytest.mark.parametrize(
    ("terms", "groups"),
    [
        (["top"], (["htop"], ["topgit"], ["monitor"])),
        (["TOP", "viewer"], (["htop"], [], [])),
        (["top", "git"], ([], ["topgit"], [])),
        (["like", "top"], ([], [], ["monitor"])),
        (["*top"], ([], ["htop"], ["monitor"])),
        (["h?op"], ([], ["htop"], [])),
        (["absent"], ([], [], [])),
    ],
)
def test_search_groups(offers, terms, groups):
    found = query.search(offers.root(), terms)
    assert tuple([o.package.name for o in found[key]] for key, _ in query.GROUPS) == groups


def test_offer_as_the_interface_has_it(offers):
    (offer,) = query.search(offers.root(), ["top"])["match_group_a"]
    assert offer.as_dict() == {
        "name": "htop", "epoch": 1, "version": "3.2", "arch": "amd64",
        "nevra": "htop-1:3.2-2.amd64", "evr": "1:3.2-2", "summary": "interactive TOP viewer",
        "reponame": "test", "key": "match_group_a",
    }  # fmt: skip


def test_show_gives_the_record(offers):
    status = offers.install(make_deb(offers.debs, "htop", "1:3.0", arch="amd64"))
    (offer,) = query.show(offers.root(status=status), ["htop"])
    fields = dict(offer.fields)
    assert (fields["Version"], fields["Filename"]) == ("1:3.2-2", "pool/htop_1%3a3.2-2_amd64.deb")
    assert (offer.installed, offer.source_id, offer.key) == ("1:3.0", "test", "htop")
    assert query.show(offers.root(), ["htop=1:3.2-2"])[0].package.version == "1:3.2-2"
    with pytest.raises(SolveError, match="Packages not found: a, htop=9"):
        query.show(offers.root(), ["a", "htop", "htop=9"])


def test_candidates_are_newer_versions_only(offers):
    d = offers.debs
    status = offers.install(
        make_deb(d, "htop", "1:3.0", arch="amd64"), make_deb(d, "topgit"),
        make_deb(d, "monitor", "9"), make_deb(d, "private"),
    )  # fmt: skip
    found = query.candidates(offers.root(status=status))
    assert [(o.package.version, o.installed) for o in found] == [("1:3.2-2", "1:3.0")]


def test_providers_of_real_and_virtual_packages(world):
    d = world.debs
    world.publish(
        make_deb(d, "exim", provides="mail-transport-agent", description="one"),
        make_deb(d, "postfix", provides="mail-transport-agent", description="two"),
        make_deb(d, "nothing", description="else"),
    )
    world.refresh()
    found = query.providers(world.root(), ["mail-transport-agent", "exim", "absent"])
    assert sorted((o.key, o.package.name) for o in found) == [
        ("exim", "exim"), ("mail-transport-agent", "exim"), ("mail-transport-agent", "postfix"),
    ]  # fmt: skip

"""Rollback on a real sysroot."""

import pytest
from fixtures.sysroots import Watcher

from apt_ostree.deploy import rollback as rules
from apt_ostree.deploy.roles import Roles
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import rollback

pytestmark = pytest.mark.root


def ids(site):
    return [d.id for d in site.sysroot.deployments]


def test_twice_returns_to_the_start(site):
    for version in ("1", "2", "3"):
        site.deploy(site.base([f"libc6={version}"]), kargs=(f"v={version}",), keep_all=True)
    start, watcher = ids(site), Watcher()
    outcome = rollback.run(site.path, "debian", watcher)
    assert ids(site) == [start[1], start[0], start[2]]
    assert (outcome.changed, outcome.deployment) == (True, start[1])
    assert site.sysroot.deployments[0].kargs == ("v=2",)
    name = start[1].removeprefix("debian-")
    assert watcher.messages == [f"Moving '{name}' to be first deployment"]
    rollback.run(site.path, None, Watcher())
    assert ids(site) == start


def test_another_stateroot_keeps_its_place(site):
    site.sysroot.init(site.path, "other")
    site.deploy(site.base(["libc6=1"]), keep_all=True)
    site.deploy(site.base(["libc6=2"]), keep_all=True)
    site.deploy(site.base(["libc6=3"]), stateroot="other", keep_all=True)
    other, second, first = ids(site)
    rollback.run(site.path, "debian", Watcher())
    assert ids(site) == [first, other, second]


def test_a_dry_run_moves_nothing(site):
    for version in ("1", "2"):
        site.deploy(site.base([f"libc6={version}"]))
    start = ids(site)
    assert not rollback.run(site.path, None, Watcher(), dry_run=True).changed
    assert ids(site) == start


def test_nothing_to_return_to(site):
    site.deploy(site.base(["libc6=1"]))
    with pytest.raises(AptOstreeError, match="No rollback deployment found"):
        rollback.run(site.path, None, Watcher())


def deployment(site, index, **changes):
    from dataclasses import replace

    return replace(site.sysroot.deployments[index], **changes)


def test_beside_a_booted_one(site):
    """What a running system decides, from deployments that say they are booted or staged."""
    for version in ("1", "2"):
        site.deploy(site.base([f"libc6={version}"]))
    new, old = deployment(site, 0), deployment(site, 1)
    assert rules.choose(Roles((), new, (old,))) == old
    assert rules.choose(Roles((new,), old, ())) == old
    with pytest.raises(AptOstreeError, match=r"Staged deployment \(remove with cleanup -p\)"):
        rules.choose(Roles((deployment(site, 0, staged=True),), old, ()))

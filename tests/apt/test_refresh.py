"""Refreshing the indexes: what is trusted, what is not, and that a failure changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fixtures.debrepo import make_deb, make_key

from apt_ostree.apt import refresh as refresh_module
from apt_ostree.errors import AptOstreeError, FetchError, TrustError


def _listing(path):
    return {p.name: p.read_bytes() for p in path.iterdir() if p.is_file() and p.name != "lock"}


def test_refresh_reports_date_and_count(world, recorder):
    date = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    world.publish(make_deb(world.debs, "a"), make_deb(world.debs, "b"), date=date)
    infos = world.refresh(recorder)
    assert [(i.id, i.generated, i.packages) for i in infos] == [("test", date.timestamp(), 2)]
    when = date.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert recorder.lines == [
        "Enabled apt sources: test",
        "Updating metadata for 'test'...done",
        f"apt source 'test'; generated: {when} packages: 2",
    ]


def test_refresh_twice_takes_the_new_content(world):
    world.publish(make_deb(world.debs, "a"), date=datetime.now(UTC) - timedelta(hours=1))
    assert world.refresh()[0].packages == 1
    world.publish(make_deb(world.debs, "a"), make_deb(world.debs, "b"))
    assert world.refresh()[0].packages == 2
    assert world.refresh()[0].packages == 2
    left = sorted(p.name for p in world.base.iterdir() if p.name.startswith(".lists"))
    assert left == [".lists.lock"]


def _unsigned(world):
    world.publish(make_deb(world.debs, "b"), sign=None)


def _expired(world):
    past = datetime.now(UTC) - timedelta(days=2)
    world.publish(make_deb(world.debs, "b"), date=past, valid_until=past + timedelta(days=1))


def _other_key(world):
    world.publish(make_deb(world.debs, "b"), sign=make_key(world.base / "other"))


def _tampered(world):
    world.publish(make_deb(world.debs, "b"))
    path = world.repo.path / "dists/stable/InRelease"
    path.write_text(path.read_text().replace("Origin: Test", "Origin: Evil"))


def _other_origin(world):
    world.publish(make_deb(world.debs, "b"), origin="Other", codename="other")


def _older(world):
    world.publish(make_deb(world.debs, "b"), date=datetime.now(UTC) - timedelta(days=5))


@pytest.mark.parametrize("first", [True, False], ids=["fresh", "with-old-lists"])
@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        (_unsigned, "not signed|no longer signed|does not have a Release"),
        (_expired, "expired"),
        (_other_key, "NO_PUBKEY|not signed|verif"),
        (_tampered, "signature|BADSIG|not signed"),
        (_other_origin, "changed its 'Origin'"),
        (_older, "is older than that of"),
    ],
)
def test_untrusted_source_changes_nothing(world, break_it, text, first):
    if first and break_it in (_other_origin, _older):
        pytest.skip("needs an earlier Release to differ from")
    world.publish(make_deb(world.debs, "a"), date=datetime.now(UTC) - timedelta(days=3))
    good = world.sources()
    lists = world.base / "lists"
    if not first:
        world.refresh()
    before = None if first else _listing(lists)
    break_it(world)
    if not first:  # also when everything is to be fetched anew
        with pytest.raises(TrustError, match=text):
            world.refresh(sources=good, force=True)
    with pytest.raises(TrustError, match=text) as caught:
        world.refresh(sources=good)
    assert "'test'" in caught.value.message
    assert caught.value.hint
    assert (_listing(lists) if lists.exists() else None) == before


def test_trusted_yes_allows_an_unsigned_source(world):
    world.publish(make_deb(world.debs, "a"), sign=None)
    assert world.refresh(sources=world.sources(trusted="yes"))[0].packages == 1


def test_allow_insecure_does_not(world):
    world.publish(make_deb(world.debs, "a"), sign=None)
    with pytest.raises(TrustError):
        world.refresh(sources=world.sources(allow_insecure="yes"))


def test_unreachable_source_is_a_fetch_error(world):
    world.publish(make_deb(world.debs, "a"))
    world.refresh()
    before = _listing(world.base / "lists")
    gone = world.sources()
    world.repo.path.rename(world.base / "moved")
    with pytest.raises(FetchError, match="'test'"):
        world.refresh(sources=gone)
    assert _listing(world.base / "lists") == before


def test_corrupt_index_is_refused(world):
    world.publish(make_deb(world.debs, "a"))
    for name in ("Packages", "Packages.gz"):
        (world.repo.path / "dists/stable/main/binary-amd64" / name).write_text("Package: x\n")
    with pytest.raises(AptOstreeError, match="'test'"):
        world.refresh()
    assert not (world.base / "lists").exists()


def test_interrupted_before_the_swap_keeps_the_old_lists(world, monkeypatch):
    world.publish(make_deb(world.debs, "a"), date=datetime.now(UTC) - timedelta(days=1))
    world.refresh()
    before = _listing(world.base / "lists")
    world.publish(make_deb(world.debs, "b"))

    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(refresh_module.failpoint, "reach", interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.refresh()
    assert _listing(world.base / "lists") == before


def test_no_source_is_an_error(world):
    world.publish(make_deb(world.debs, "a"))
    with pytest.raises(AptOstreeError, match="No enabled repositories"):
        world.refresh(sources=())

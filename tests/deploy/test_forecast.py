import pytest

from apt_ostree.deploy import forecast

pytestmark = pytest.mark.root


def test_the_forecast_is_what_pruning_does(site):
    repo = site.repo
    kept = site.base(["a=1"])
    site.base(["a=2"], ref="drop", files={"usr/share/big": "x" * 50_000})
    site.base(["a=3"], ref=None)
    held = site.base(["a=4"], ref=None)
    commits, freed_bytes = forecast.prunable(repo, without={"drop"}, keep=[held])
    assert commits == 2
    assert freed_bytes > 50_000
    assert len(forecast.commits(repo)) == 4
    repo.set_ref("drop", None)
    repo.set_ref("held", held)
    assert repo.prune()[1] == freed_bytes
    assert forecast.commits(repo) == {kept, held}
    assert forecast.prunable(repo) == (0, 0)


def test_refs_of_remotes_count(site):
    checksum = site.base(["a=1"], ref=None)
    site.repo.set_ref("debian/13", checksum, remote="origin")
    assert forecast.prunable(site.repo) == (0, 0)
    assert forecast.prunable(site.repo, without={"origin:debian/13"})[0] == 1
    assert list((site.repo.path / "tmp").glob("apt-ostree-*")) == []

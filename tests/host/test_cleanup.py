"""Cleaning up real sysroots."""

import pytest
from fixtures.sysroots import Watcher

from apt_ostree.errors import AptOstreeError, BusyError
from apt_ostree.host import cleanup

pytestmark = pytest.mark.root


def ids(site):
    return [d.id for d in site.sysroot.deployments]


def three(site):
    for version in ("1", "2", "3"):
        site.deploy(site.base([f"libc6={version}"]), keep_all=True)
    return ids(site)


def clean(site, *what, **options):
    watcher = Watcher()
    done = cleanup.run(site.path, "debian", set(what), watcher, **options)
    return done, watcher.messages


def test_rollbacks_go_and_pinned_ones_are_named(site):
    newest, middle, oldest = three(site)
    site.pin(2)
    done, messages = clean(site, "rollback-deploy")
    assert ids(site) == [newest, oldest]
    assert (done["removed"], done["pinned"]) == ([middle], [oldest])
    assert f"Keeping pinned deployment {oldest}" in messages
    assert messages[-1].startswith("Freed: ")
    folder = site.path / "ostree/deploy/debian/deploy"
    assert not list(folder.glob(f"{middle.removeprefix('debian-')}*"))


def test_the_default_is_never_removed_offline(site):
    start = three(site)
    done, messages = clean(site, "pending-deploy")
    assert ids(site) == start
    assert (done["removed"], messages[0]) == ([], "Deployments unchanged.")


def test_base_drops_caches_only(site):
    start = three(site)
    ref = site.cache_package("gone=1")
    done, messages = clean(site, "base")
    assert ids(site) == start
    assert ref not in site.repo.refs()
    assert done["packages"] == 1
    assert messages[0] == "Deployments unchanged."
    assert messages[1].startswith("Freed: ")
    assert messages[1].endswith("(pkgcache branches: 1)")


def test_a_dry_run_foretells_and_keeps_everything(site):
    start = three(site)
    site.cache_package("gone=1")
    clean(site, "base")
    ref = site.cache_package("gone=2")
    foreseen, messages = clean(site, "rollback-deploy", dry_run=True)
    assert ids(site) == start
    assert ref in site.repo.refs()
    assert messages[:-1] == [f"Would remove deployment {i}" for i in start[1:]]
    done, said = clean(site, "rollback-deploy")
    assert messages[-1].replace("Would free", "Freed") == said[-1]
    assert done == foreseen


def metadata(site):
    cache = site.path / "ostree/deploy/debian/var/cache/apt-ostree"
    for name in ("lists/partial", "apt", "archives"):
        (cache / name).mkdir(parents=True)
    (cache / "lists/x_Packages").write_bytes(b"x" * 5000)
    (cache / "apt/pkgcache.bin").write_bytes(b"x" * 5000)
    (cache / "archives/a_1_all.deb").write_bytes(b"x" * 5000)
    (cache / "archives/lock").write_bytes(b"")
    return cache


def test_metadata_goes_and_downloads_stay(site):
    cache = metadata(site)
    foreseen, _ = clean(site, "repomd", dry_run=True)
    assert (cache / "lists/x_Packages").exists()
    done, messages = clean(site, "repomd")
    assert sorted(p.name for p in cache.iterdir()) == ["archives"]
    assert done == foreseen
    assert done["freed-bytes"] >= 10000
    assert messages == []


def test_words_that_are_none(site):
    with pytest.raises(AptOstreeError, match="Invalid cleanup type: all"):
        clean(site, "all")


def test_nobody_cleans_while_another_works(site):
    other = site.sysroot
    with other.lock(), pytest.raises(BusyError):
        clean(site, "base")


def test_prune_takes_all_that_nothing_needs(site):
    cache = metadata(site)
    site.deploy(site.base(["libc6=1"]))
    gone = site.base(["libc6=2"], ref=None)
    site.cache_package("gone=1")
    trees = site.path / "ostree/apt-ostree/trees/x"
    trees.mkdir(parents=True)
    dead = site.repo.path / "tmp/apt-ostree-deaddead"
    dead.mkdir()
    foreseen = cleanup.prune(site.path, True, Watcher())
    assert site.repo.has_commit(gone)
    assert (cache / "archives/a_1_all.deb").exists()
    done = cleanup.prune(site.path, False, Watcher())
    assert done == foreseen
    assert (done["commits"], done["packages"], done["downloads"]) == (2, 1, 1)
    assert done["freed-bytes"] > 5000
    assert not site.repo.has_commit(gone)
    assert list((cache / "archives").iterdir()) == []
    assert not trees.exists()
    assert not dead.exists()
    assert cleanup.prune(site.path, False, Watcher())["freed-bytes"] == 0

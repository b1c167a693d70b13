"""Garbage collection on a real sysroot: what deployments need stays, the rest goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.sysroots import Watcher

from apt_ostree.deploy import retain
from apt_ostree.errors import AptOstreeError
from apt_ostree.host import garbage
from apt_ostree.model.origin import LocalPackage, Origin
from apt_ostree.ostree.tree import Tree

pytestmark = pytest.mark.root


def collect(site, **options):
    sysroot, watcher = site.sysroot, Watcher()
    with sysroot.lock():
        freed = garbage.collect(sysroot, watcher, **options)
    return freed, watcher.messages


def test_the_base_of_a_layered_deployment_outlives_its_ref(site):
    base = site.base(["libc6=2.36"])
    top = site.layered(base, ["libc6=2.36", "htop=3.2"])
    site.deploy(top, origin=Origin(refspec="debian/13", requested=("htop",)))
    site.base(["libc6=2.37"], version="13.2")  # the ref moves on
    collect(site)
    assert site.repo.refs("aptostree/base") == {"aptostree/base/0": base}
    assert site.repo.has_commit(base)
    assert site.repo.has_commit(top)


def test_base_refs_follow_the_deployments(site):
    first = site.base(["libc6=2.36"])
    second = site.base(["libc6=2.37"], version="13.2")
    for base in (first, second):
        site.deploy(site.layered(base, ["libc6=2.36", "a=1"]))
        collect(site)
    assert site.repo.refs("aptostree/base") == {
        "aptostree/base/0": second,
        "aptostree/base/1": first,
    }
    site.deploy(second)
    site.deploy(second)
    collect(site)
    assert site.repo.refs("aptostree/base") == {}
    assert not site.repo.has_commit(first)


def test_packages_of_any_deployment_or_origin_stay(site):
    base = site.base(["libc6=2.36"])
    inactive = LocalPackage("a" * 64, "own-1.amd64")
    site.deploy(site.layered(base, ["libc6=2.36", "old=1"]))
    site.pin(0)
    site.deploy(site.layered(base, ["libc6=2.36", "mid=1"]))
    site.deploy(
        site.layered(base, ["libc6=2.36", "new=1:2+b~1/all"]),
        origin=Origin(refspec="debian/13", local=(inactive,)),
    )
    kept = [
        site.cache_package("old=1"),
        site.cache_package("mid=1"),
        site.cache_package("new=1:2+b~1/all"),
        site.cache_package("own=1", sha256="a" * 64),
    ]
    for gone in ("new=1:2+b~2/all", "mid=1/i386", "other=1"):
        site.cache_package(gone)
    freed, messages = collect(site)
    assert sorted(site.repo.refs("aptostree/pkg")) == sorted(kept)
    assert freed.packages == 3
    assert freed.commits == 3
    assert freed.bytes > 3 * 2000
    assert messages == [f"Freed: {retain.size_text(freed.bytes)} (pkgcache branches: 3)"]


def test_the_forecast_is_what_collecting_frees(site):
    base = site.base(["libc6=2.36"])
    for number in range(3):
        site.deploy(site.layered(base, ["libc6=2.36", f"a={number}"]))
    for number in range(3):
        site.cache_package(f"a={number}")
    sysroot = site.sysroot
    foreseen = garbage.would_collect(sysroot)
    assert sorted(site.repo.refs("aptostree/pkg")) != []
    freed, _ = collect(site)
    assert freed == foreseen
    assert freed.packages == 1
    assert freed.commits == 2  # the package, and the deployment that left the boot menu


def test_nothing_to_free_says_nothing(site):
    site.deploy(site.base(["libc6=2.36"]))
    collect(site)
    freed, messages = collect(site)
    assert (freed.bytes, freed.packages, freed.commits, messages) == (0, 0, 0, [])


def test_a_broken_database_aborts_before_anything_is_deleted(site):
    base = site.base(["libc6=2.36"])
    top = site.deploy(site.layered(base, ["libc6=2.36", "a=1"]))
    ref = site.cache_package("gone=1")
    status = top.directory / "usr/lib/sysimage/dpkg/status"
    status.unlink()
    with pytest.raises(AptOstreeError, match="cannot read the packages of deployment"):
        collect(site)
    status.write_text("Package: x\nStatus: nonsense\n")
    with pytest.raises(AptOstreeError, match="cannot read the packages of deployment"):
        collect(site)
    assert ref in site.repo.refs("aptostree/pkg")


def test_a_foreign_base_without_dpkg_needs_nothing(site):
    site.deploy(site.base(has_database=False, has_pkglist=False))
    site.cache_package("gone=1")
    freed, _ = collect(site)
    assert freed.packages == 1


def test_cached_initramfs_images_are_bounded(site):
    repo = site.repo
    for number in range(6):
        with repo.transaction():
            ref = f"aptostree/initramfs/{number}"
            repo.set_ref(ref, repo.write_commit(Tree(repo).write(), timestamp=number))
        os.utime(repo.path / "refs/heads" / ref, ns=(number, number))
    site.deploy(site.base(["libc6=2.36"]))
    collect(site, kept_initramfs=2)
    assert sorted(site.repo.refs("aptostree/initramfs")) == [
        "aptostree/initramfs/4",
        "aptostree/initramfs/5",
    ]


def test_kept_checkouts_of_forgotten_bases_go(site):
    base = site.base(["libc6=2.36"])
    site.deploy(site.layered(base, ["libc6=2.36", "a=1"]))
    trees = site.path / "ostree/apt-ostree/trees"
    for name in (base, "f" * 64):
        (trees / name).mkdir(parents=True)
    collect(site)
    assert [p.name for p in trees.iterdir()] == [base]


@pytest.mark.parametrize(
    "point",
    ["repo.before-commit-transaction", "repo.after-commit-transaction", "cleanup.before-prune"],
)
def test_a_crash_loses_nothing_and_the_next_run_finishes(site, point):
    base = site.base(["libc6=2.36"])
    site.deploy(site.layered(base, ["libc6=2.36", "a=1"]))
    site.deploy(site.layered(base, ["libc6=2.36", "a=2"]))
    kept, gone = site.cache_package("a=1"), site.cache_package("a=0")
    site.base(["libc6=2.37"])
    code = (
        "import sys, pathlib; from apt_ostree.host import garbage;"
        "from apt_ostree.model.progress import Silent; from apt_ostree.ostree.sysroot import *;"
        "s = Sysroot.open(pathlib.Path(sys.argv[1]))\n"
        "with s.lock(): garbage.collect(s, Silent())"
    )
    source = str(Path(garbage.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": source, "FAILPOINTS": f"{point}=kill"}
    dead = subprocess.run([sys.executable, "-c", code, str(site.path)], env=env, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert site.repo.has_commit(base)
    assert kept in site.repo.refs()
    collect(site)
    assert site.repo.has_commit(base)
    assert kept in site.repo.refs()
    assert gone not in site.repo.refs()
    assert len(site.sysroot.deployments) == 2
    subprocess.run(["ostree", "fsck", f"--repo={site.repo.path}", "--quiet"], check=True)

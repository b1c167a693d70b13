"""The cache of imported packages: hits by content, one transaction, nothing half done."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.debrepo import File, make_deb

from apt_ostree.apt.deb import Deb, sha256_of
from apt_ostree.assemble import package_cache, refs
from apt_ostree.assemble.entry import Form
from apt_ostree.assemble.importer import Want
from apt_ostree.assemble.package_cache import PackageCache, Request
from apt_ostree.assemble.placement import Policy
from apt_ostree.errors import AptOstreeError, PackageError
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Action, Archive, Reason, ReasonKind, Step
from apt_ostree.ostree.repo import Repo

MODE = "bare" if os.geteuid() == 0 else "bare-user-only"


@pytest.fixture
def repo(tmp_path):
    return Repo.create(tmp_path / "repo", mode=MODE)


@pytest.fixture
def cache(repo):
    return PackageCache(repo)


def request(deb: Path, want: Want = Want.AUTO) -> Request:
    return Request(deb, sha256_of(deb), Deb.open(deb).package, want=want, source_id="test:stable")


def step(deb: Path) -> Step:
    archive = Archive(sha256=sha256_of(deb), size_bytes=deb.stat().st_size, source_id="test")
    reason = Reason(ReasonKind.REQUEST, "x")
    return Step(Action.INSTALL, Deb.open(deb).package, reason, archive=archive)


class Recorder:
    def __init__(self):
        self.seen = []

    def message(self, text): ...
    def task_begin(self, text): ...
    def task_end(self, suffix="done"): ...
    def percent(self, text, percent):
        self.seen.append((text, percent))


def test_a_batch_is_imported_and_found_again(repo, cache, tmp_path):
    debs = [make_deb(tmp_path, f"demo{i}", files={f"usr/bin/d{i}": "x"}) for i in range(5)]
    assert cache.missing([step(d) for d in debs]) == tuple(step(d) for d in debs)
    progress = Recorder()
    entries = cache.ensure([request(d) for d in debs], progress=progress)
    assert {e.package.name for e in entries.values()} == {f"demo{i}" for i in range(5)}
    assert [p for _, p in progress.seen] == [20, 40, 60, 80, 100]
    assert {t for t, _ in progress.seen} == {"Importing packages"}
    fresh = PackageCache(Repo.open(repo.path))
    assert fresh.missing([step(d) for d in debs]) == ()
    assert {refs.package_of(r).name for r in fresh.refs()} == {f"demo{i}" for i in range(5)}
    entry = fresh.entry(Package("demo3", "all", "1.0"))
    assert entry is not None
    assert (entry.sha256, entry.source_id, entry.is_fast) == (
        sha256_of(debs[3]),
        "test:stable",
        True,
    )
    assert "/usr/bin/d3" in entry.listed
    assert all(d.exists() for d in debs)


def test_details_come_back_from_metadata(cache, tmp_path):
    deb = make_deb(
        tmp_path, "lib+demo", "1:2.0~rc1-1", arch="amd64", multi_arch="same",
        files={"etc/demo.conf": "conf\n", "usr/bin/demo": File("x", mode=0o755), "var/lib/demo/": ""},
        conffiles=["/etc/demo.conf"], triggers="interest-noawait /usr/share/demo",
        scripts={"postinst": "true"},
    )  # fmt: skip
    (entry,) = cache.ensure([request(deb)]).values()
    assert entry.package == Package("lib+demo", "amd64", "1:2.0~rc1-1")
    assert entry.control == Deb.open(deb).control
    md5 = subprocess.check_output(["md5sum"], input=b"conf\n").split()[0].decode()
    assert f"Conffiles:\n /etc/demo.conf {md5}\n" in entry.stanza
    assert [c.path for c in entry.conffiles] == ["/etc/demo.conf"]
    assert entry.triggers == "interest-noawait /usr/share/demo\n"
    assert set(entry.info) == {"md5sums", "conffiles", "triggers", "postinst"}
    assert entry.info_prefix == "lib+demo:amd64"
    assert [s.path for s in entry.state] == ["var/lib", "var/lib/demo"]
    assert entry.placed["usr/etc/demo.conf"] == "f"


def test_same_version_with_other_content_is_imported_again(cache, tmp_path):
    old = make_deb(tmp_path / "a", "demo", files={"usr/bin/d": "old"})
    new = make_deb(tmp_path / "b", "demo", files={"usr/bin/d": "new"})
    cache.ensure([request(old)])
    assert cache.missing([step(new)]) == (step(new),)
    (entry,) = cache.ensure([request(new)]).values()
    assert entry.sha256 == sha256_of(new)
    assert cache.hit(entry.package, sha256_of(old)) is None
    assert cache.hit(entry.package, sha256_of(new)) == entry


def test_another_policy_or_importer_is_another_import(repo, cache, tmp_path, monkeypatch):
    deb = make_deb(tmp_path, "demo", files={"usr/share/man/man1/d.1": "x"})
    (entry,) = cache.ensure([request(deb)]).values()
    lean = PackageCache(repo, policy=Policy(documentation=False))
    assert lean.hit(entry.package, entry.sha256) is None
    monkeypatch.setattr(package_cache, "IMPORTER_VERSION", 0)
    assert PackageCache(repo).hit(entry.package, entry.sha256) is None


def test_forms_are_added_never_lost(repo, cache, tmp_path):
    deb = make_deb(tmp_path, "demo", files={"usr/bin/d": "d"})
    (first,) = cache.ensure([request(deb)]).values()
    assert first.forms == {Form.TREE}
    assert cache.missing([step(deb)], wants={first.sha256: Want.ARCHIVE}) == (step(deb),)
    (second,) = cache.ensure([request(deb, Want.ARCHIVE)]).values()
    assert second.forms == {Form.TREE, Form.ARCHIVE}
    assert cache.missing([step(deb)], wants={first.sha256: Want.BOTH}) == ()
    assert cache.archive_path(second).read_bytes() == deb.read_bytes()
    with pytest.raises(PackageError, match="not cached as an archive"):
        cache.archive_path(first)


def test_a_bad_package_spoils_the_batch_and_changes_nothing(repo, cache, tmp_path):
    debs = [make_deb(tmp_path, f"demo{i}", files={f"usr/bin/d{i}": "x" * 9999}) for i in range(6)]
    bad = make_deb(tmp_path, "bad", files={"home/u/file": "x"})
    with pytest.raises(PackageError, match="package bad-1"):
        cache.ensure([request(d) for d in [*debs[:3], bad, *debs[3:]]], consume=True)
    assert cache.refs() == {}
    assert bad.exists()
    assert cache.ensure([request(d) for d in debs]).keys() == {sha256_of(d) for d in debs}


def test_a_package_under_a_wrong_name_is_refused(cache, tmp_path):
    deb = make_deb(tmp_path, "demo")
    wrong = Request(deb, sha256_of(deb), Package("other", "all", "1.0"))
    with pytest.raises(PackageError, match=r"holds demo-1\.0\.all, not other-1\.0\.all"):
        cache.ensure([wrong])


def test_downloads_are_consumed(cache, tmp_path):
    debs = [make_deb(tmp_path, f"demo{i}") for i in range(2)]
    cache.ensure([request(debs[0])])
    cache.ensure([request(d) for d in debs], consume=True)
    assert not any(d.exists() for d in debs)


def test_remove(cache, tmp_path):
    debs = [make_deb(tmp_path, f"demo{i}") for i in range(3)]
    entries = cache.ensure([request(d) for d in debs])
    sha = sha256_of(debs[1])
    ref = refs.ref_of(entries[sha].package)
    assert cache.remove([ref, "aptostree/pkg/none/1.all", "debian/other"]) == 1
    assert cache.entry(entries[sha].package) is None
    assert len(cache.refs()) == 2


@pytest.mark.parametrize("point", ["import.before-commit", "import.before-ref",
                                   "repo.before-commit-transaction"])  # fmt: skip
@pytest.mark.parametrize("action", ["error", "kill"])
def test_a_crash_leaves_the_cache_as_it_was(repo, tmp_path, point, action):
    kept, new = (make_deb(tmp_path, n, files={f"usr/bin/{n}": n}) for n in ("kept", "new"))
    PackageCache(repo).ensure([request(kept)])
    code = (
        "import sys; from pathlib import Path\n"
        "from apt_ostree.assemble.package_cache import PackageCache, Request\n"
        "from apt_ostree.apt.deb import Deb, sha256_of\n"
        "from apt_ostree.ostree.repo import Repo\n"
        "deb = Path(sys.argv[2])\n"
        "PackageCache(Repo.open(Path(sys.argv[1]))).ensure("
        "[Request(deb, sha256_of(deb), Deb.open(deb).package)], consume=True)\n"
    )
    env = {**os.environ, "FAILPOINTS": f"{point}={action}", "PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", code, repo.path, new], check=False, env=env, capture_output=True
    )
    assert done.returncode != 0
    again = PackageCache(Repo.open(repo.path))
    assert [refs.package_of(r).name for r in again.refs()] == ["kept"]
    assert new.exists()
    subprocess.run(["ostree", f"--repo={repo.path}", "fsck", "-q"], check=True)
    assert len(again.ensure([request(new)])) == 1


def test_full_disk_is_a_plain_error(repo, tmp_path, monkeypatch):
    deb = make_deb(tmp_path, "big", files={"usr/share/big": os.urandom(1 << 20)})
    config = repo.path / "config"
    config.write_text(config.read_text().replace("[core]\n", "[core]\nmin-free-space-percent=99\n"))
    cache = PackageCache(Repo.open(repo.path))
    with pytest.raises(AptOstreeError, match="min-free-space"):
        cache.ensure([request(deb)])
    assert cache.refs() == {}


def test_looking_up_fifty_packages_is_cheap(repo, cache, tmp_path):
    files = {f"usr/share/x/{i}": "" for i in range(40)}
    debs = [make_deb(tmp_path, f"demo{i}", files=files) for i in range(50)]
    requests = [request(d) for d in debs]
    cache.ensure(requests)
    fresh = PackageCache(Repo.open(repo.path))
    start = time.process_time()
    for wanted in requests:
        entry = fresh.hit(wanted.package, wanted.sha256)
        assert entry is not None
        assert len(entry.placed) == 43
        assert entry.control
        assert entry.stanza
    assert time.process_time() - start < 0.1

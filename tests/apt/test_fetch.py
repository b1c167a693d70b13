"""Downloads: only the right bytes, only once, and nothing left after a failure."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fixtures.debrepo import make_deb

from apt_ostree.apt import fetch as fetch_module
from apt_ostree.apt.fetch import fetch, human_size, sha256_of
from apt_ostree.apt.solve import SolveRequest, solve
from apt_ostree.errors import FetchError
from apt_ostree.model.progress import Silent


class Handler(SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - one list for the server of one test

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(world):
    """The world's repository behind HTTP; `asked` lists what was requested."""
    world.publish(*(make_deb(world.debs, n, files={"f": "x" * 3000}) for n in ("a", "b", "c")))
    Handler.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=world.repo.path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    world.http_sources = tuple(
        replace(s, uris=(f"http://127.0.0.1:{server.server_port}",)) for s in world.sources()
    )
    yield world
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["file", "http"])
def setup(request, served):
    sources = served.sources() if request.param == "file" else served.http_sources
    served.refresh(sources=sources)
    root = served.root(sources=sources)
    plan = solve(root, SolveRequest(install=("a", "b")), Silent())
    return served, root, [s.archive for s in plan.steps]


def left(dest):
    return sorted(p.name for p in dest.iterdir())


def test_fetch_gives_right_files_once(setup, recorder):
    world, root, archives = setup
    dest = world.base / "dest"
    found = fetch(root, archives, dest, recorder)
    assert found == {a.sha256: dest / f"{a.sha256}.deb" for a in archives}
    assert [sha256_of(p) for p in found.values()] == list(found)
    size = human_size(sum(a.size_bytes for a in archives))
    assert recorder.lines == [f"Will download: 2 packages ({size})",
                              "Downloading from 'test'...done"]  # fmt: skip
    assert left(dest) == sorted(f"{a.sha256}.deb" for a in archives)
    world.repo.path.rename(world.base / "gone")
    assert fetch(root, archives, dest, recorder) == found
    assert len(recorder.lines) == 2


def test_damaged_file_in_the_archive_directory_is_fetched_again(setup):
    world, root, archives = setup
    dest = world.base / "dest"
    path = fetch(root, archives, dest, Silent())[archives[0].sha256]
    path.write_bytes(b"!<arch>\ndamage")
    assert sha256_of(fetch(root, archives, dest, Silent())[archives[0].sha256]) == (
        archives[0].sha256)  # fmt: skip


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_wrong_content_is_named_and_not_kept(setup, damage):
    world, root, archives = setup
    pool = world.repo.path / "pool" / "a_1.0_all.deb"
    data = pool.read_bytes()
    pool.write_bytes(data[:100] if damage == "truncated" else data[:-1] + b"?")
    dest = world.base / "dest"
    with pytest.raises(FetchError, match=r"a_1\.0_all\.deb: expected \S+") as caught:
        fetch(root, archives, dest, Silent())
    assert "found " in caught.value.message
    assert left(dest) == []


def test_missing_package_is_a_fetch_error(setup):
    world, root, archives = setup
    (world.repo.path / "pool" / "b_1.0_all.deb").unlink()
    with pytest.raises(FetchError, match=r"b_1\.0_all\.deb"):
        fetch(root, archives, world.base / "dest", Silent())
    assert left(world.base / "dest") == []


def test_unreachable_mirror(served):
    (served.base / "etc").mkdir()
    (served.base / "etc" / "apt.conf").write_text('Acquire::Retries "0";\n')
    served.refresh(sources=served.http_sources)
    root = served.root(sources=served.http_sources, etc=served.base / "etc")
    plan = solve(root, SolveRequest(install=("a",)), Silent())
    archive = replace(plan.steps[0].archive, uri="http://127.0.0.1:9/pool/a.deb")
    with pytest.raises(FetchError, match="'test'"):
        fetch(root, [archive], served.base / "dest", Silent())


def test_a_local_file_is_checked_not_copied(world, tmp_path):
    deb = make_deb(tmp_path, "x")
    world.publish(deb)
    archive = fetch_module.Archive(sha256_of(deb), deb.stat().st_size, "@local", path=str(deb))
    dest = tmp_path / "dest"
    assert fetch(world.root(), [archive], dest, Silent()) == {archive.sha256: deb}
    deb.write_bytes(b"changed")
    with pytest.raises(FetchError, match=r"x_1\.0_all\.deb: expected \w+, found \w+"):
        fetch(world.root(), [archive], dest, Silent())
    deb.unlink()
    with pytest.raises(FetchError, match="cannot read package"):
        fetch(world.root(), [archive], dest, Silent())


def test_a_package_that_no_source_has(world):
    world.publish(make_deb(world.debs, "x"))
    archive = fetch_module.Archive("0" * 64, 1, "test")
    with pytest.raises(FetchError, match="no apt source has the package with checksum 000"):
        fetch(world.root(), [archive], world.base / "dest", Silent())


def test_interruption_keeps_nothing_half_done(setup, monkeypatch):
    world, root, archives = setup

    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch_module.failpoint, "reach", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(root, archives, world.base / "dest", Silent())
    assert left(world.base / "dest") == []


def test_a_proxy_is_used(served):
    """The proxy is the test's own server: it gets the whole URI as the path."""
    served.refresh(sources=served.http_sources)
    host = served.http_sources[0].uris[0]
    root = served.root(sources=served.http_sources, proxy=host)
    plan = solve(root, SolveRequest(install=("a",)), Silent())
    archive = replace(plan.steps[0].archive, uri="http://mirror.invalid/pool/a_1.0_all.deb")
    with pytest.raises(FetchError):
        fetch(root, [archive], served.base / "dest", Silent())
    assert "http://mirror.invalid/pool/a_1.0_all.deb" in Handler.asked


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (1234567, "1.2 MB"),
     (999_960, "1.0 MB"), (5_000_000_000, "5.0 GB")],
)  # fmt: skip
def test_human_size(size, text):
    assert human_size(size) == text

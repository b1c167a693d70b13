"""Debian itself: the host's mirror, an empty system, and apt-get as the judge."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree.apt.fetch import fetch, sha256_of
from apt_ostree.apt.refresh import refresh
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.solve import SolveRequest, solve
from apt_ostree.apt.sources import load
from apt_ostree.apt.suites import distribution, for_release
from apt_ostree.model.plan import ReasonKind, Verb
from apt_ostree.model.progress import Silent

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A root with the host's own distribution sources, freshly refreshed, and nothing installed."""
    base = tmp_path_factory.mktemp("debian")
    (base / "cache").mkdir()
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True,
                          check=True).stdout.strip()  # fmt: skip
    root = AptRoot(
        lists=base / "lists", archives=base / "archives", cache=base / "cache", arch=arch,
        sources=distribution(load(Path("/etc/apt"))), recommends=True, etc=Path("/etc/apt"),
    )  # fmt: skip
    infos = refresh(root, Silent())
    assert max(i.packages for i in infos) > 10_000
    assert all(i.generated for i in infos)
    return root


REQUEST = SolveRequest(
    install=("htop", "openssh-server", "linux-image-amd64", "systemd-sysv"), essential=True
)


def test_compose_of_a_bootable_system(debian):
    plan = solve(debian, REQUEST, Silent())
    by_name = {s.package.name: s for s in plan.steps}
    assert {"htop", "openssh-server", "libc6", "dpkg", "base-files", "systemd"} <= set(by_name)
    assert by_name["dpkg"].reason.kind is ReasonKind.ESSENTIAL
    assert sum(n.startswith("linux-image-6") for n in by_name) == 1
    assert all(len(s.archive.sha256) == 64 and s.archive.uri for s in plan.steps)
    keys = [s.package.key for s in plan.steps]
    for verb in (Verb.UNPACK, Verb.CONFIGURE):
        assert sorted(o.key for o in plan.order if o.verb is verb) == sorted(keys)


def _apt_get(root, status, work, *names):
    """What `apt-get -s install` would do with the same lists, status and settings."""
    conf = work / "oracle.conf"
    (work / "sources").mkdir(exist_ok=True)
    for number, source in enumerate(root.effective_sources()):
        (work / "sources" / f"{number}.sources").write_text(source.stanza())
    conf.write_text(
        'Dir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\n'
        f'Dir::State::lists "{root.lists}";\nDir::State::status "{status}";\n'
        'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::preferencesparts "/etc/apt/preferences.d";\n'
        f'Dir::Etc::sourceparts "{work}/sources";\nDir::Cache "{work}";\n'
        f'Dir::State::extended_states "{work}/states";\nAcquire::Languages "none";\n'
        'APT::Get::Always-Include-Phased-Updates "true";\nDebug::NoLocking "true";\n'
    )
    done = subprocess.run(
        ["apt-get", "-s", "install", "--no-upgrade", *names], capture_output=True, text=True,
        check=True, env={"APT_CONFIG": str(conf), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return sorted(line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst "))


def _install(root, plan, work):
    """A status file in which everything of `plan` is installed, from the indexes' own records."""
    wanted = {(s.package.name, s.package.version, s.package.arch) for s in plan.steps}
    stanzas = []
    for index in root.lists.glob("*_Packages"):
        for stanza in index.read_text().split("\n\n"):
            fields = dict(
                x.split(": ", 1) for x in stanza.splitlines() if x[:1] != " " and ": " in x
            )
            key = tuple(fields.get(n) for n in ("Package", "Version", "Architecture"))
            if key in wanted:
                wanted.discard(key)
                head, _, rest = stanza.partition("\n")
                stanzas.append(f"{head}\nStatus: install ok installed\n{rest}\n")
    assert not wanted
    status = work / "status"
    status.write_text("\n".join(stanzas))
    return status


@pytest.mark.parametrize("name", ["jq", "vim", "nginx", "cups", "git"])
def test_layering_chooses_what_apt_get_chooses(debian, tmp_path, name):
    status = _install(debian, solve(debian, REQUEST, Silent()), tmp_path)
    root = replace(debian, status=status)
    plan = solve(root, SolveRequest(install=(name,), lock_installed=True), Silent())
    assert [s.package.name for s in plan.steps] == _apt_get(debian, status, tmp_path, name)


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_another_release_behind_the_same_mirror(debian, tmp_path, release):
    root = replace(
        debian, lists=tmp_path / "lists", cache=None, preferences=False,
        sources=for_release(load(Path("/etc/apt")), release),
    )  # fmt: skip
    infos = refresh(root, Silent())
    assert {i.id.partition(":")[2].partition("-")[0] or release for i in infos} == {release}
    version = {"bookworm": "12", "trixie": "13"}[release]
    plan = solve(root, SolveRequest(essential=True), Silent())
    base_files = next(s for s in plan.steps if s.package.name == "base-files")
    assert base_files.package.version.startswith(version)


def test_fetch_from_the_mirror(debian, tmp_path):
    plan = solve(debian, SolveRequest(install=("hostname",)), Silent())
    archives = [s.archive for s in plan.steps if s.package.name == "hostname"]
    found = fetch(debian, archives, tmp_path / "dest", Silent())
    assert [sha256_of(p) for p in found.values()] == [archives[0].sha256]


def test_warm_solve_is_fast(debian, tmp_path):
    """As a ratio in one run: opening apt's cache is what both must do."""
    status = _install(debian, solve(debian, REQUEST, Silent()), tmp_path)
    root = replace(debian, status=status)
    request = SolveRequest(install=("jq",), lock_installed=True)
    _apt_get(debian, status, tmp_path, "jq")

    def best(work):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    ours = best(lambda: solve(root, request, Silent()))
    oracle = best(lambda: _apt_get(debian, status, tmp_path, "jq"))
    assert ours < 1.5 * oracle, f"solve {ours:.2f} s, apt-get -s {oracle:.2f} s"

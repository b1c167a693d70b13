"""Equal inputs, equal trees."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import random
import subprocess
import sys
from pathlib import Path

import pytest

from apt_ostree.assemble import normalize

pytestmark = pytest.mark.root
ADMIN = "usr/lib/sysimage/dpkg"


def put(root: Path, path: str, data: str = "") -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(data)
    return place


def stanza(name: str, arch: str = "amd64") -> str:
    return (f"Package: {name}\nStatus: install ok installed\nMaintainer: m <m@x.org>\n"
            f"Architecture: {arch}\nMulti-Arch: same\nVersion: 1\n"
            "Description: d\n with more\n")  # fmt: skip


def database(root: Path, order: list[tuple[str, str]]) -> None:
    put(root, f"{ADMIN}/status", "\n".join(stanza(n, a) for n, a in order) + "\n")
    put(root, f"{ADMIN}/triggers/File", "".join(f"/usr/share/{n} {n}:{a}\n" for n, a in order))
    put(root, "usr/lib/sysimage/debconf/config.dat",
        "".join(f"Name: {n}/{a}\nTemplate: t\nOwners: {n}\n\n" for n, a in order))  # fmt: skip
    for name in ("status-old", "available", "lock", "lock-frontend", "triggers/Lock",
                 "triggers/Unincorp", "diversions-old", "updates/0001", "parts/x"):  # fmt: skip
        put(root, f"{ADMIN}/{name}", "junk")
    put(root, "usr/lib/sysimage/debconf/passwords.dat", "Name: root/password\nValue: secret\n\n")
    put(root, "usr/lib/sysimage/debconf/config.dat-old")


def content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_order_of_installation_does_not_show(tmp_path):
    packages = [(f"p{i % 9}", a) for i in range(9) for a in ("amd64", "i386")]
    trees = []
    for seed in range(3):
        order = packages[:]
        random.Random(seed).shuffle(order)
        root = tmp_path / str(seed)
        database(root, order)
        normalize.package_state(root)
        trees.append(content(root))
    assert trees[0] == trees[1] == trees[2]
    assert sorted(trees[0]) == [
        "usr/lib/sysimage/debconf/config.dat", f"{ADMIN}/status", f"{ADMIN}/triggers/File",
    ]  # fmt: skip


def test_dpkg_reads_the_normalised_database(tmp_path):
    database(tmp_path, [("b", "amd64"), ("a", "i386"), ("a", "amd64")])
    put(tmp_path, f"{ADMIN}/arch", "amd64\ni386\n")
    normalize.package_state(tmp_path)
    for name in ("updates", "info"):
        (tmp_path / ADMIN / name).mkdir(exist_ok=True)
    shown = subprocess.run(
        ["dpkg-query", f"--admindir={tmp_path / ADMIN}", "-W", "-f", "${binary:Package} ${Status}\n"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert shown.splitlines() == [
        "a:amd64 install ok installed", "a:i386 install ok installed",
        "b:amd64 install ok installed",
    ]  # fmt: skip


def test_a_normalised_database_is_not_written_again(tmp_path):
    database(tmp_path, [("a", "amd64")])
    normalize.package_state(tmp_path)
    before = (tmp_path / ADMIN / "status").stat().st_ino
    normalize.package_state(tmp_path)
    assert (tmp_path / ADMIN / "status").stat().st_ino == before


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("usr/etc/.pwd.lock", True), ("usr/etc/passwd-", True), ("usr/etc/shadow-", True),
        ("usr/etc/subgid-", True), ("usr/etc/a/b.conf.dpkg-old", True),
        ("usr/etc/x.ucf-dist", True), ("usr/etc/ld.so.cache~", True), ("usr/etc/.updated", True),
        ("usr/etc/passwd", False), ("usr/etc/a/b.conf", False), ("usr/etc/ld.so.cache", False),
    ],
)  # fmt: skip
def test_leftovers(tmp_path, path, goes):
    put(tmp_path, path, "x")
    assert normalize.leftovers(tmp_path, tmp_path) == ((path,) if goes else ())
    assert (tmp_path / path).exists() is not goes


def compiled(root: Path, mode: py_compile.PycInvalidationMode | None = None) -> tuple[Path, Path]:
    source = put(root, "usr/lib/python3/dist-packages/mod.py", "ANSWER = 42\n")
    os.utime(source, (1600000000, 1600000000))
    return source, Path(py_compile.compile(str(source), invalidation_mode=mode, doraise=True) or "")


def is_used(source: Path) -> bool:
    """Whether Python takes the byte code and not the source."""
    done = subprocess.run(
        [sys.executable, "-v", "-c", "import mod"], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(source.parent)},
    )  # fmt: skip
    return f"matches {source}" in done.stderr


TIMES = py_compile.PycInvalidationMode.TIMESTAMP


def test_byte_code_holds_when_all_times_become_zero(tmp_path):
    source, cache = compiled(tmp_path, TIMES)
    os.chmod(cache, 0o640)
    assert is_used(source)
    assert normalize.pyc(tmp_path, tmp_path) == 1
    assert cache.stat().st_mode & 0o777 == 0o640
    os.utime(source, (0, 0))
    assert is_used(source)
    assert normalize.pyc(tmp_path, tmp_path) == 0


def test_stale_and_hashed_byte_code_is_left_alone(tmp_path):
    source, cache = compiled(tmp_path, TIMES)
    source.write_text("ANSWER = 4711\n")
    before = cache.read_bytes()
    assert normalize.pyc(tmp_path, tmp_path) == 0
    compiled(tmp_path, py_compile.PycInvalidationMode.CHECKED_HASH)
    hashed = cache.read_bytes()
    assert hashed != before
    assert normalize.pyc(tmp_path, tmp_path) == 0
    assert cache.read_bytes() == hashed


def test_byte_code_beside_its_source_and_broken_ones(tmp_path):
    source, _ = compiled(tmp_path, TIMES)
    beside = source.with_suffix(".pyc")
    py_compile.compile(str(source), cfile=str(beside), invalidation_mode=TIMES, doraise=True)
    put(tmp_path, "usr/lib/broken.pyc", "short")
    put(tmp_path, "usr/lib/orphan.pyc", "x" * 40)
    assert normalize.pyc(tmp_path, tmp_path) == 2
    assert beside.read_bytes()[:4] == importlib.util.MAGIC_NUMBER


@pytest.mark.parametrize(("has_policy", "goes"), [(False, True), (True, False)])
def test_selinux_configuration_without_a_policy(tmp_path, has_policy, goes):
    put(tmp_path, normalize.SELINUX_CONFIG, "SELINUX=permissive\nSELINUXTYPE=default\n")
    if has_policy:
        (tmp_path / "usr/etc/selinux/default/contexts").mkdir(parents=True)
    assert normalize.selinux(tmp_path) is goes

"""Lockfiles: read, written, merged, compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import LockfileError
from apt_ostree.model.package import Package
from apt_ostree.treefile import lock
from apt_ostree.treefile.lock import LockedPackage, Lockfile

SHA = "0123456789abcdef" * 4
WHEN = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def locks(text: str, source: str = "l.json") -> dict:
    return lock.parse(text, source=source).pins()


def test_round_trip_through_a_file(tmp_path):
    path = tmp_path / "lock.json"
    lock.dump(
        [
            (Package("libc6", "amd64", "2.41-12"), SHA),
            (Package("libc6", "i386", "2.41-12"), SHA),
            (Package("tzdata", "all", "2025b-4+deb13u1"), None),
            LockedPackage("any", "1:2.0~rc1", metadata={"sourcepkg": "any"}),
        ],
        path, generated=WHEN, repos={"debian:trixie": WHEN},
    )  # fmt: skip
    data = json.loads(path.read_text())
    assert data["metadata"] == {
        "generated": "2026-01-31T12:00:00Z",
        "rpmmd_repos": {"debian:trixie": {"generated": "2026-01-31T12:00:00Z"}},
    }
    assert data["packages"]["tzdata"] == {"evra": "2025b-4+deb13u1.all"}
    assert data["packages"]["libc6:i386"]["digest"] == f"sha256:{SHA}"
    read = lock.load([path])
    assert read.pins() == {
        "any": ("1:2.0~rc1", None),
        "libc6:amd64": ("2.41-12", SHA),
        "libc6:i386": ("2.41-12", SHA),
        "tzdata:all": ("2025b-4+deb13u1", None),
    }
    assert (read.generated, read.repos) == (WHEN, {"debian:trixie": WHEN})
    assert read.packages[0].metadata == {"sourcepkg": "any"}


def test_yaml_lockfile():
    assert locks("packages:\n  a: {evra: 1.0-1.amd64}", "l.yaml") == {"a:amd64": ("1.0-1", None)}


BAD = [
    ('{"packages": {"a": {"evra": "1.0"}}}', "l.json:1: package a has malformed evra: 1.0"),
    ('{"packages": {"a": {"evra": ".amd64"}}}', "package a has malformed evra: .amd64"),
    ('{"packages": {"a": {"evra": "1 2.amd64"}}}', "package a has malformed evra: 1 2.amd64"),
    ('{"packages": {"a:i386": {"evra": "1.amd64"}}}', "package a:i386 has malformed evra"),
    ('{"packages": {"a": {"evr": "!"}}}', "package a has malformed evr: !"),
    ('{"packages": {"a": {}}}', "package a needs one of 'evra' and 'evr'"),
    ('{"packages": {"a": {"evr": "1", "evra": "1.all"}}}', "package a needs one of"),
    ('{"packages": {"a": {"evr": "1", "digest": "md5:0"}}}', "package a has malformed digest"),
    ('{"packages":\n{"a": {"evr": 1}}}', "l.json:2: expected a string, not a number"),
    ('{"packages": {"!": {"evr": "1"}}}', "'!' is not the name of a package"),
    ('{"packages": {"a": {"evr": "1", "x": 1}}}', "unknown key 'x'"),
    ('{"packages": []}', "expected a map, not a list"),
    ("{}", "l.json:1: Key 'packages' not found"),
    ("[]", "a lockfile is a map"),
    ("{", "not valid JSON"),
    ('{"packages": {}, "x": {}}', "unknown key 'x'"),
    ('{"packages": {}, "metadata": {"generated": "now"}}', "'now' is not a time"),
    ('{"packages": {}, "metadata": {"rpmmd_repos": {"a": {}}}}', "missing key 'generated'"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_malformed(text, message):
    with pytest.raises(LockfileError) as caught:
        locks(text)
    assert message in caught.value.message
    assert caught.value.message.startswith("l.json")


def test_missing_file(tmp_path):
    with pytest.raises(LockfileError, match=r"no\.json: cannot open"):
        lock.load([tmp_path / "no.json"])


def test_a_directory_that_cannot_be_written(tmp_path):
    with pytest.raises(LockfileError, match="cannot write lockfile"):
        lock.dump([], tmp_path / "no" / "l.json", generated=WHEN)


def locked(*keys: str) -> Lockfile:
    """`name[:arch]=version` each."""
    found = []
    for key in keys:
        name, _, version = key.partition("=")
        name, _, arch = name.partition(":")
        found.append(LockedPackage(name, version, arch=arch or None))
    return Lockfile(lock._in_order(found))


MERGES = [
    (["a:amd64=1", "b:amd64=1"], ["a:amd64=2"], {"a:amd64": "2", "b:amd64": "1"}),
    (["a:amd64=1"], ["a:i386=2"], {"a:amd64": "1", "a:i386": "2"}),
    (["a:amd64=1"], ["a=2"], {"a": "2"}),
    (["a=1"], ["a:amd64=2"], {"a:amd64": "2"}),
    (["a:amd64=1"], ["a:all=2"], {"a:all": "2"}),
    (["a:all=1"], ["a:amd64=2"], {"a:amd64": "2"}),
]


@pytest.mark.parametrize(("earlier", "later", "expected"), MERGES)
def test_later_files_win(earlier, later, expected):
    merged = lock.merge(locked(*earlier), locked(*later))
    assert {key: version for key, (version, _) in merged.pins().items()} == expected


def test_diff():
    found = lock.diff(locked("a:all=1", "b:all=1", "c:all=1"), locked("b:all=1", "c:all=2", "d=1"))
    assert [p.key for p in found.added] == ["d"]
    assert [p.key for p in found.removed] == ["a:all"]
    assert [(old.version, new.version) for old, new in found.changed] == [("1", "2")]
    assert found
    assert not lock.diff(locked("a=1"), locked("a=1"))


KEYS = st.lists(
    st.builds(
        LockedPackage,
        st.sampled_from(["a", "b", "lib-c+"]),
        st.sampled_from(["1", "1:2.0~rc1-1+b1", "3.0.2"]),
        arch=st.sampled_from(["amd64", "i386", "all"]),
        sha256=st.sampled_from([None, SHA]),
    ),
    unique_by=lambda package: package.key, max_size=5,
).map(lambda packages: Lockfile(lock._in_order(packages), WHEN))  # fmt: skip


@given(KEYS)
def test_json_round_trip(lockfile):
    text = json.dumps(lock.as_json(lockfile))
    assert lock.parse(text, source="x.json") == lockfile


@given(KEYS, KEYS)
def test_merging_keeps_the_later_and_only_consistent_locks(earlier, later):
    merged = lock.merge(earlier, later)
    assert all(package in merged.packages for package in later.packages)
    assert merged.pins().keys() <= earlier.pins().keys() | later.pins().keys()


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_any_text_gives_locks_or_a_lockfile_error(text):
    for source in ("l.json", "l.yaml"):
        try:
            locks(text, source)
        except LockfileError as err:
            assert err.message.startswith(source)

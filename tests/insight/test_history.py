import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import AptOstreeError
from apt_ostree.insight import history
from apt_ostree.insight.history import Entry

SECOND = 1_000_000_000
DEPLOYMENT = {"id": "debian-aa.0", "checksum": "aa", "version": "13", "osname": "debian"}


def folder_of(sysroot, stateroot="debian"):
    return sysroot / "ostree/deploy" / stateroot / "var" / history.FOLDER


def entry(seconds, **fields):
    fields = {"command_line": "install htop", "uid": 0, "user": "root", **fields}
    return Entry(created_ns=seconds * SECOND + 5, deployment=DEPLOYMENT, **fields)


def test_entries_of_all_stateroots_newest_first(tmp_path):
    for seconds, stateroot in ((1, "a"), (3, "a"), (2, "b")):
        history.write(folder_of(tmp_path, stateroot), entry(seconds))
    found = history.entries(tmp_path)
    assert [e["deployment-create-timestamp"] for e in found] == [3, 2, 1]
    assert found[0]["deployment"] == DEPLOYMENT
    assert found[0]["deployment-create-command-line"] == "install htop"
    assert found[0]["boot-count"] == 0
    assert len(history.entries(tmp_path, limit=2)) == 2


def test_no_history_is_no_entries(tmp_path):
    assert history.entries(tmp_path) == []


def test_failures_are_kept_apart(tmp_path):
    folder = folder_of(tmp_path)
    history.write(folder, entry(1))
    failed = Entry(2 * SECOND, "install nope", 0, "root", result="Packages not found: nope")
    history.write(folder, failed)
    assert [e["result"] for e in history.entries(tmp_path)] == ["done"]
    both = history.entries(tmp_path, has_failures=True)
    assert [e["result"] for e in both] == ["Packages not found: nope", "done"]
    assert "deployment" not in both[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"created-ns": 1}', b"\xff"])
def test_a_damaged_file_still_tells_when(tmp_path, content):
    folder = folder_of(tmp_path)
    path = history.write(folder, entry(7))
    path.write_bytes(content)
    assert history.entries(tmp_path) == [{"deployment-create-timestamp": 7, "boot-count": 0}]


def test_only_the_newest_are_kept_and_strangers_left_alone(tmp_path):
    folder = folder_of(tmp_path)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    for seconds in range(8):
        history.write(folder, entry(seconds), kept=5)
    found = history.entries(tmp_path)
    assert [e["deployment-create-timestamp"] for e in found] == [7, 6, 5, 4, 3]
    assert (folder / "notes.txt").exists()


def test_a_crash_while_writing_leaves_the_old_entries(tmp_path, monkeypatch):
    from apt_ostree.system import failpoint

    folder = folder_of(tmp_path)
    history.write(folder, entry(1))
    monkeypatch.setenv("FAILPOINTS", "fs.before-rename=error")
    failpoint._armed.cache_clear()
    try:
        with pytest.raises(AptOstreeError, match="failure point"):
            history.write(folder, entry(2))
    finally:
        monkeypatch.undo()
        failpoint._armed.cache_clear()
    assert [p.name for p in folder.iterdir()] == [str(SECOND + 5)]


TEXT = st.text(st.characters(codec="utf-8"))


@given(
    st.builds(
        Entry,
        created_ns=st.integers(0, 2**63),
        command_line=TEXT,
        uid=st.integers(0, 2**32 - 1),
        user=TEXT,
        sudo_user=st.none() | TEXT,
        plan_digest=st.none() | TEXT,
        result=TEXT,
        deployment=st.none() | st.dictionaries(TEXT, TEXT),
    )
)
def test_an_entry_survives_its_file(one):
    assert Entry.from_dict(json.loads(json.dumps(one.as_dict()))) == one

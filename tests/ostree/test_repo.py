import pytest

from apt_ostree.errors import OstreeError
from apt_ostree.ostree.repo import Repo


def test_commit_reports_version_and_metadata(repo, commit_tree):
    checksum = commit_tree("debian/13", {"usr/bin/hello": "hi"}, version="13.1")
    commit = repo.commit("debian/13")
    assert (commit.checksum, commit.version, commit.timestamp) == (checksum, "13.1", 7)
    assert commit.get("no.such.key") is None


def test_unknown_ref_names_the_ref(repo):
    with pytest.raises(OstreeError, match="no/such"):
        repo.commit("no/such")
    assert repo.lookup("no/such") is None
    assert repo.lookup("~not a ref~") is None


def test_equal_trees_have_equal_content_checksums_whatever_the_metadata(repo, commit_tree):
    a = commit_tree("a", {"f": "1"}, version="1")
    b = commit_tree("b", {"f": "1"}, version="2")
    assert a != b
    assert repo.commit(a).content_checksum == repo.commit(b).content_checksum


def test_files_of_a_commit_can_be_read(repo, commit_tree):
    commit_tree("a", {"usr/lib/os-release": "ID=debian\n", "usr/lib/x": ""})
    assert repo.read_file("a", "usr/lib/os-release") == b"ID=debian\n"
    assert repo.read_file("a", "usr/nothing") is None
    assert repo.list_dir("a", "usr/lib") == ["os-release", "x"]
    assert repo.list_dir("a", "usr/none") == []


def test_a_failed_transaction_leaves_no_ref(repo, commit_tree):
    first = commit_tree("a", {"f": "1"})

    def fail() -> None:
        with repo.transaction():
            repo.set_ref("b", first)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert repo.refs() == {"a": first}


def test_checkout_hardlinks_and_union_refuses_another_content(repo, commit_tree, tmp_path):
    one = commit_tree("one", {"d/f": "1", "same": "s"})
    two = commit_tree("two", {"d/f": "2"})
    three = commit_tree("three", {"d/g": "3", "same": "s"})
    target = tmp_path / "out"
    repo.checkout(one, target)
    repo.checkout(three, target, union=True)
    assert (target / "d/g").read_text() == "3"
    with pytest.raises(OstreeError, match="checking out"):
        repo.checkout(two, target, union=True)


def test_prune_drops_what_no_ref_names(repo, commit_tree):
    gone = commit_tree("gone", {"f": "old"})
    kept = commit_tree("kept", {"f": "new"})
    repo.set_ref("gone", None)
    count, size = repo.prune()
    assert count > 0
    assert size > 0
    assert repo.has_commit(kept)
    assert not repo.has_commit(gone)


def test_opening_nothing_is_an_error(tmp_path):
    with pytest.raises(OstreeError, match="opening repository"):
        Repo.open(tmp_path / "none")

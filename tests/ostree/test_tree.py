from pathlib import Path

import pytest

from apt_ostree.ostree.tree import Tree


def never(path: str, there: str, coming: str) -> bool:
    raise AssertionError(f"unexpected conflict at {path}")


def write(repo, tree) -> str:
    with repo.transaction():
        return repo.write_commit(tree.write(), timestamp=0)


def names(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir()}


def checkout(repo, checksum, tmp_path) -> Path:
    target = tmp_path / f"out-{checksum[:8]}"
    repo.checkout(checksum, target)
    return target


def test_merging_by_reference_equals_writing_the_files(repo, commit_tree, tmp_path):
    base = commit_tree("base", {"usr/bin/a": "a", "usr/lib/x/y": "y"})
    package = commit_tree("pkg", {"root/usr/bin/b": "b", "root/usr/share/n/m": "m"})
    both = commit_tree(
        "both", {"usr/bin/a": "a", "usr/lib/x/y": "y", "usr/bin/b": "b", "usr/share/n/m": "m"}
    )
    with repo.transaction():
        tree = Tree(repo, base=base)
        tree.merge_commit(package, subpath="root", on_conflict=never)
        merged = repo.write_commit(tree.write(), timestamp=0)
    assert repo.commit(merged).content_checksum == repo.commit(both).content_checksum


def test_conflicts_are_asked_and_identical_files_are_none(repo, commit_tree, tmp_path):
    base = commit_tree("base", {"f": "old", "same": "s"})
    package = commit_tree("pkg", {"f": "new", "same": "s"})
    asked = []

    def decide(path, there, coming) -> bool:
        asked.append(path)
        return True

    with repo.transaction():
        tree = Tree(repo, base=base)
        tree.merge_commit(package, on_conflict=decide)
        merged = repo.write_commit(tree.write(), timestamp=0)
    assert asked == ["/f"]
    assert (checkout(repo, merged, tmp_path) / "f").read_text() == "new"


def test_remove_and_clear(repo, commit_tree, tmp_path):
    base = commit_tree("base", {"a/b/c": "", "a/d": "", "e/f": "", "e/g/h": ""})
    with repo.transaction():
        tree = Tree(repo, base=base)
        tree.remove("a/b")
        tree.remove("a/none/x")
        tree.clear("e")
        result = repo.write_commit(tree.write(), timestamp=0)
    out = checkout(repo, result, tmp_path)
    assert names(out) == {"a/d"}
    assert (out / "e").is_dir()


def test_a_file_becomes_an_empty_directory(repo, commit_tree, tmp_path):
    # an overlay marks a directory that replaced a file as opaque
    base = commit_tree("base", {"a/b": "a file", "a/c": "c"})
    with repo.transaction():
        tree = Tree(repo, base=base)
        tree.clear("a/b")
        (tmp_path / "new/a/b").mkdir(parents=True)
        (tmp_path / "new/a/b/f").write_text("f")
        tree.add_directory(tmp_path / "new", consume=False)
        result = repo.write_commit(tree.write(), timestamp=0)
    assert names(checkout(repo, result, tmp_path)) == {"a/b/f", "a/c"}


@pytest.mark.root  # a checkout sets owners
def test_an_empty_tree_can_be_written(repo, tmp_path):
    with repo.transaction():
        result = repo.write_commit(Tree(repo).write(), timestamp=0)
    assert names(checkout(repo, result, tmp_path)) == set()


def test_a_directory_gives_way_to_a_file_and_the_other_way_round(repo, commit_tree, tmp_path):
    base = commit_tree("base", {"a/was/dir": "1", "b/was-file": "2", "c/d": "3"})
    change = tmp_path / "change"
    (change / "a").mkdir(parents=True)
    (change / "a/was").symlink_to("elsewhere")
    (change / "b/was-file").mkdir(parents=True)
    (change / "b/was-file/x").write_text("4")
    with repo.transaction():
        tree = Tree(repo, base=base)
        tree.add_directory(change, consume=False)
        result = repo.write_commit(tree.write(), timestamp=0)
    out = checkout(repo, result, tmp_path)
    assert (out / "a/was").readlink() == Path("elsewhere")
    assert (out / "b/was-file/x").read_text() == "4"
    assert (out / "c/d").read_text() == "3"

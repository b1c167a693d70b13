"""What pruning would free, without pruning."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from apt_ostree.ostree.glib import OSTree, translate
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import fs


def prunable(
    repo: Repo, *, without: Collection[str] = (), keep: Iterable[str] = ()
) -> tuple[int, int]:
    """(commits, bytes) that a prune would delete if the refs of `without` were gone and the commits
    of `keep` had one.

    libostree itself counts, on a repository that shares the objects and has only the other refs:
    its introspected functions take no set of refs to assume.  Writes nothing in `repo`.
    Cost: O(objects).
    """
    with fs.scratch_dir("forecast") as folder:
        view = _view(repo, folder, without)
        for number, checksum in enumerate(keep):
            view.set_ref(f"keep/{number}", checksum)
        with translate("counting what can be pruned"):
            _, _, _, freed_bytes = view.handle.prune(
                OSTree.RepoPruneFlags.REFS_ONLY | OSTree.RepoPruneFlags.NO_PRUNE, 0, None
            )
        kept = set(view.refs().values())
    return len(commits(repo) - kept), int(freed_bytes)


def _view(repo: Repo, root: Path, without: Collection[str]) -> Repo:
    for name in ("tmp", "state", "extensions", "refs/heads", "refs/mirrors", "refs/remotes"):
        (root / name).mkdir(parents=True)
    (root / "objects").symlink_to(repo.path / "objects")
    shutil.copyfile(repo.path / "config", root / "config")
    for mark in (repo.path / "state").glob("*.commitpartial"):  # may lack content, and be kept
        shutil.copyfile(mark, root / "state" / mark.name)
    for ref, checksum in repo.refs().items():
        if ref not in without:
            remote, colon, branch = ref.partition(":")
            place = root / (f"refs/remotes/{remote}/{branch}" if colon else f"refs/heads/{ref}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{checksum}\n")
    return Repo.open(root)


def commits(repo: Repo) -> set[str]:
    """Every commit object of the repository, referenced or not."""
    with translate("listing commits"):
        _, found = repo.handle.list_commit_objects_starting_with("", None)
    return {key.unpack()[0] for key in found}

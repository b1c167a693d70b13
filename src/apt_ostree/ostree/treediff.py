"""What differs between two commits, by their checksums alone: equal directories are not opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from apt_ostree.ostree.glib import Gio, OSTree, translate
from apt_ostree.ostree.repo import Repo


@dataclass(slots=True)
class Changes:
    """Paths relative to the root, each list in order of the walk, parents before children.

    `files` are files and links that are new or other than before, `directories` those that are
    new, `attributes` those that only changed owner, mode or the like.  `removed` holds files and
    whole directories; a path that became something else is in `removed`, too.  `replaced` are the
    files and links of `files` that were there before.
    """

    files: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.files, self.directories, self.attributes, self.removed))


def between(repo: Repo, before: str, after: str, path: str) -> Changes:
    """The changes below `path` (such as `usr`) from commit `before` to `after`.

    Errors: OstreeError for a commit that is not there.  Cost: O(directories that differ).
    """
    found = Changes()
    with translate(f"comparing {before} and {after}"):
        old, new = (repo.root(c).resolve_relative_path(path) for c in (before, after))
        for each in (old, new):
            each.ensure_resolved()
        _compare(old, new, path, found)
    return found


def _compare(old: OSTree.RepoFile, new: OSTree.RepoFile, path: str, found: Changes) -> None:
    if old.tree_get_metadata_checksum() != new.tree_get_metadata_checksum():
        found.attributes.append(path)
    if old.tree_get_contents_checksum() == new.tree_get_contents_checksum():
        return
    before, after = dict(_children(old)), dict(_children(new))
    for name in sorted(before.keys() - after.keys()):
        found.removed.append(f"{path}/{name}")
    for name in sorted(after):
        here, theirs, ours = f"{path}/{name}", before.get(name), after[name]
        if theirs is None:
            _added(ours, here, found)
        elif _is_directory(theirs) and _is_directory(ours):
            _compare(theirs, ours, here, found)
        elif _is_directory(theirs) or _is_directory(ours):
            found.removed.append(here)
            _added(ours, here, found)
        elif theirs.get_checksum() != ours.get_checksum():
            found.files.append(here)
            found.replaced.append(here)


def _added(new: OSTree.RepoFile, path: str, found: Changes) -> None:
    if not _is_directory(new):
        found.files.append(path)
        return
    found.directories.append(path)
    for name, child in sorted(_children(new)):
        _added(child, f"{path}/{name}", found)


def _children(folder: OSTree.RepoFile) -> Iterator[tuple[str, OSTree.RepoFile]]:
    infos = folder.enumerate_children(
        "standard::name", Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, None
    )
    for info in infos:
        child = folder.get_child(info.get_name())
        child.ensure_resolved()
        yield info.get_name(), child


def _is_directory(file: OSTree.RepoFile) -> bool:
    """Only directories have a checksum of their content list."""
    return file.tree_get_contents_checksum() is not None

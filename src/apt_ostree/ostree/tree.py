"""A tree under construction: commits merged by reference, directories of new files on top.

Wraps OSTree.MutableTree.  Merging a commit costs a look at the directories both sides share;
whole subtrees that only one side has are taken over by checksum.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from apt_ostree.ostree.glib import Gio, OSTree, translate
from apt_ostree.ostree.repo import Repo

# path, checksum there, checksum coming -> True to take the new one
OnConflict = Callable[[str, str, str], bool]


class Tree:
    """Needs a transaction of `repo` for everything that writes."""

    def __init__(self, repo: Repo, *, base: str | None = None) -> None:
        self._repo = repo
        if base is None:
            self._mtree = OSTree.MutableTree()
        else:
            with translate(f"reading {base}"):
                self._mtree = OSTree.MutableTree.new_from_commit(repo.handle, base)

    def merge_commit(self, checksum: str, *, subpath: str = "", on_conflict: OnConflict) -> None:
        """Add the content of a commit (below `subpath`) by reference.

        Directories that exist keep their metadata, as dpkg keeps it.  A file that exists with
        another checksum is `on_conflict`'s decision.
        """
        root = self._repo.root(checksum)
        if subpath:
            root = root.resolve_relative_path(subpath)
        with translate(f"merging {checksum[:10]}"):
            root.ensure_resolved()
            self._merge(
                self._mtree,
                root.tree_get_contents_checksum(),
                root.tree_get_metadata_checksum(),
                "",
                on_conflict,
            )

    def _merge(
        self, into: OSTree.MutableTree, contents: str, meta: str, at: str, on_conflict: OnConflict
    ) -> None:
        if not into.get_metadata_checksum():
            into.set_metadata_checksum(meta)
        present_files = into.get_files()
        present_dirs = into.get_subdirs()
        if not present_files and not present_dirs:
            filled = OSTree.MutableTree.fill_empty_from_dirtree(
                into, self._repo.handle, contents, into.get_metadata_checksum()
            )
            if filled:
                return
        _, variant = self._repo.handle.load_variant(OSTree.ObjectType.DIR_TREE, contents)
        files, dirs = variant.get_child_value(0), variant.get_child_value(1)
        for i in range(files.n_children()):
            name, raw = files.get_child_value(i).unpack()
            checksum = bytes(raw).hex()
            there = present_files.get(name)
            if there == checksum:
                continue
            if (there is None and name not in present_dirs) or on_conflict(
                f"{at}/{name}", there or "", checksum
            ):
                into.replace_file(name, checksum)
        for i in range(dirs.n_children()):
            name, raw_contents, raw_meta = dirs.get_child_value(i).unpack()
            if name in present_files:
                if not on_conflict(f"{at}/{name}", present_files[name], ""):
                    continue
                into.remove(name, False)
            _, child = into.ensure_dir(name)
            self._merge(
                child, bytes(raw_contents).hex(), bytes(raw_meta).hex(), f"{at}/{name}", on_conflict
            )

    def remove(self, path: str) -> None:
        """Remove a file or directory; nothing happens when it is not there."""
        parts = [p for p in path.split("/") if p]
        where = self._mtree
        for part in parts[:-1]:
            below = where.get_subdirs().get(part)
            if below is None:
                return
            where = below
        with translate(f"removing {path}"):
            where.remove(parts[-1], True)

    def clear(self, path: str) -> None:
        """Empty a directory, keeping it; a file in its place becomes one."""
        where = self._mtree
        with translate(f"clearing {path}"):
            for part in (p for p in path.split("/") if p):
                if part in where.get_files():
                    where.remove(part, False)
                _, where = where.ensure_dir(part)
            for name in [*where.get_files(), *where.get_subdirs()]:
                where.remove(name, True)

    def add_directory(self, path: Path, *, consume: bool) -> None:
        """Lay a directory over the tree: its files replace, its directories set the metadata.

        With `consume` the files are moved into the repository where the filesystem allows it.
        Extended attributes are kept; `trusted.overlay.*` must be gone (system.overlay_upper).
        """
        flags = OSTree.RepoCommitModifierFlags.NONE
        if consume:
            flags |= OSTree.RepoCommitModifierFlags.CONSUME
        modifier = OSTree.RepoCommitModifier.new(flags, None)
        _make_way(self._mtree, path)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with translate("writing the tree"):
                self._repo.handle.write_dfd_to_mtree(fd, ".", self._mtree, modifier, None)
        finally:
            os.close(fd)

    def add_archive(self, source: int) -> None:
        """Lay an uncompressed tar stream, read from a descriptor to its end, over the tree.

        Owners are the numbers of the archive; parents that it leaves out are root's, 0755.  PAX
        `SCHILY.xattr.*` records become extended attributes.  Releases the interpreter lock.
        """
        with translate("writing the tree"):
            self._repo.handle.write_archive_to_mtree_from_fd(source, self._mtree, None, True, None)

    def write(self) -> Gio.File:
        """Write the directory objects; the result goes to `Repo.write_commit`."""
        with translate("writing the tree"):
            if not self._mtree.get_metadata_checksum():
                self._mtree.set_metadata_checksum(self._default_dirmeta())
            _, root = self._repo.handle.write_mtree(self._mtree, None)
        return root

    def _default_dirmeta(self) -> str:
        info = Gio.FileInfo()
        info.set_attribute_uint32("unix::uid", 0)
        info.set_attribute_uint32("unix::gid", 0)
        info.set_attribute_uint32("unix::mode", 0o40755)
        variant = OSTree.create_directory_metadata(info, None)
        _, raw = self._repo.handle.write_metadata(OSTree.ObjectType.DIR_META, None, variant, None)
        return bytes(raw).hex()


def _make_way(into: OSTree.MutableTree, path: Path) -> None:
    """Remove directories where files come and files where directories come.

    libostree refuses to replace the one by the other; an overlay's upper directory has just the
    new thing where a script did so.
    """
    files, directories = into.get_files(), into.get_subdirs()
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name in files:
                    into.remove(entry.name, False)
                elif entry.name in directories:
                    _make_way(directories[entry.name], Path(entry.path))
            elif entry.name in directories:
                into.remove(entry.name, False)

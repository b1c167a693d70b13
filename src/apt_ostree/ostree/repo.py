"""An ostree repository: refs, commits and their metadata, files in commits, checkouts, pruning.

Content goes in through `ostree.tree.Tree`; everything here is `bare` (clients, compose caches) or
`archive` (published) alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from apt_ostree.errors import OstreeError
from apt_ostree.ostree.glib import Gio, GLib, Metadata, OSTree, pack, translate, unpack
from apt_ostree.system import failpoint, fs


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit object.  `timestamp` is UNIX seconds; `content_checksum` identifies the tree alone
    (`ostree_commit_get_content_checksum`), whatever the metadata."""

    checksum: str
    timestamp: int
    parent: str | None
    content_checksum: str
    variant: GLib.Variant

    @property
    def version(self) -> str | None:
        value = self.get("version")
        return value if isinstance(value, str) else None

    def get(self, key: str) -> Any:
        """One metadata value as plain Python, None when absent; others are not unpacked."""
        return unpack(self.variant.get_child_value(0).lookup_value(key, None))

    def metadata(self) -> dict[str, Any]:
        return dict(self.variant.get_child_value(0).unpack())

    def variants(self) -> dict[str, GLib.Variant]:
        """The metadata as it is stored, to be written again."""
        pairs = self.variant.get_child_value(0)
        children = (pairs.get_child_value(n) for n in range(pairs.n_children()))
        return {
            c.get_child_value(0).get_string(): c.get_child_value(1).get_variant() for c in children
        }

    @property
    def subject(self) -> str:
        return str(self.variant.get_child_value(3).get_string())


@dataclass(slots=True)
class Transaction:
    """What a transaction wrote, once its block has ended (`OstreeRepoTransactionStats`).

    Objects count as written when the repository did not have them; `cache_hits` are files whose
    content was known by their inode.
    """

    metadata_total: int = 0
    metadata_written: int = 0
    content_total: int = 0
    content_written: int = 0
    cache_hits: int = 0
    content_bytes_written: int = 0


class Repo:
    """One open repository.  Not safe for use from several threads at once."""

    def __init__(self, handle: OSTree.Repo) -> None:
        self.handle = handle
        self._in_transaction = False

    @classmethod
    def open(cls, path: Path) -> Self:
        handle = OSTree.Repo.new(Gio.File.new_for_path(str(path)))
        with translate(f"opening repository '{path}'"):
            handle.open(None)
        return cls(handle)

    @classmethod
    def create(cls, path: Path, *, mode: str = "bare") -> Self:
        """Make (or open) a repository; `mode` as in `ostree init --mode`."""
        path.mkdir(parents=True, exist_ok=True)
        handle = OSTree.Repo.new(Gio.File.new_for_path(str(path)))
        with translate(f"creating repository '{path}'"):
            handle.create(OSTree.Repo.mode_from_string(mode)[1], None)
            handle.open(None)
        return cls(handle)

    @property
    def path(self) -> Path:
        # libostree knows a sysroot's repository by descriptor, as /proc/self/fd/N, which means
        # something else in every other process.
        return Path(self.handle.get_path().get_path()).resolve()

    def free_bytes(self) -> int:
        """Bytes that may still be written: free space less libostree's reserve (min-free-space)."""
        with translate("reading min-free-space"):
            _, reserve = self.handle.get_min_free_space_bytes()
        return fs.free_bytes(self.path) - int(reserve)

    # -- names

    def resolve(self, rev: str) -> str:
        """The checksum that a ref, refspec or (abbreviated) checksum names."""
        with translate(""):
            _, checksum = self.handle.resolve_rev(rev, False)
        return str(checksum)

    def lookup(self, rev: str) -> str | None:
        """Like `resolve`; None when nothing has that name."""
        try:
            with translate(""):
                _, checksum = self.handle.resolve_rev(rev, True)
        except OstreeError:  # not even a possible name
            return None
        return None if checksum is None else str(checksum)

    def refs(self, prefix: str = "") -> dict[str, str]:
        """Full ref name -> checksum of every ref below `prefix` (`""`: all)."""
        with translate("listing refs"):
            flags = OSTree.RepoListRefsExtFlags.NONE
            _, found = self.handle.list_refs_ext(prefix or None, flags, None)
        return dict(found)

    # -- commits

    def has_commit(self, checksum: str) -> bool:
        with translate(""):
            _, found = self.handle.has_object(OSTree.ObjectType.COMMIT, checksum, None)
        return bool(found)

    def is_partial(self, checksum: str) -> bool:
        """Whether content of the commit may be missing."""
        with translate(f"reading {checksum}"):
            _, _, state = self.handle.load_commit(checksum)
        return bool(state & OSTree.RepoCommitState.PARTIAL)

    def commit(self, rev: str) -> Commit:
        checksum = self.resolve(rev)
        with translate(f"reading {rev}"):
            _, variant, _ = self.handle.load_commit(checksum)
        return Commit(
            checksum=checksum,
            timestamp=int(OSTree.commit_get_timestamp(variant)),
            parent=OSTree.commit_get_parent(variant),
            content_checksum=OSTree.commit_get_content_checksum(variant) or "",
            variant=variant,
        )

    def detached_metadata(self, checksum: str) -> dict[str, Any]:
        with translate(f"reading {checksum}"):
            _, variant = self.handle.read_commit_detached_metadata(checksum, None)
        return dict(unpack(variant) or {})

    def set_detached_metadata(self, checksum: str, metadata: Metadata) -> None:
        """Replace what stands beside a commit, signatures included: so sign afterwards."""
        with translate(f"writing metadata of {checksum}"):
            self.handle.write_commit_detached_metadata(checksum, pack(metadata), None)

    # -- files in commits

    def root(self, rev: str) -> Gio.File:
        with translate(f"reading {rev}"):
            _, root, _ = self.handle.read_commit(rev, None)
        return root

    def read_file(self, rev: str, path: str) -> bytes | None:
        """Content of a regular file in a commit, None when there is no such file.

        Follows no links: name the real path (`usr/lib/os-release`).
        """
        file = self.root(rev).resolve_relative_path(path)
        with translate(f"reading {path} in {rev}"):
            if not file.query_exists(None):
                return None
            file.ensure_resolved()
            # Not load_contents(): libostree's file objects answer no stream queries.
            _, stream, _, _ = self.handle.load_file(file.get_checksum(), None)
            return b"" if stream is None else _read_all(stream)

    def file_info(self, rev: str, path: str) -> tuple[str, int] | None:
        """(checksum of the object, bytes) of a regular file in a commit, None without it."""
        file = self.root(rev).resolve_relative_path(path)
        with translate(f"reading {path} in {rev}"):
            if not file.query_exists(None):
                return None
            info = file.query_info("standard::size", Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, None)
            file.ensure_resolved()
            return str(file.get_checksum()), int(info.get_size())

    def list_dir(self, rev: str, path: str) -> list[str]:
        """Names in a directory of a commit; empty when there is no such directory."""
        folder = self.root(rev).resolve_relative_path(path)
        with translate(f"reading {path} in {rev}"):
            if not folder.query_exists(None):
                return []
            found = folder.enumerate_children(
                "standard::name", Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, None
            )
            return sorted(info.get_name() for info in found)

    def object_path(self, rev: str, path: str) -> Path:
        """Where the repository itself keeps a regular file of a commit: to be read, never written.

        Only bare repositories keep content as plain files (`objects/XX/YY.file`).
        """
        file = self.root(rev).resolve_relative_path(path)
        with translate(f"reading {path} in {rev}"):
            file.ensure_resolved()
            checksum = str(file.get_checksum())
        return self.path / "objects" / checksum[:2] / f"{checksum[2:]}.file"

    # -- changes

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Objects and refs of the block appear together or not at all.

        `ostree_repo_prepare_transaction` … `commit_transaction`; nesting is not possible.
        """
        done = Transaction()
        with translate("starting a repository transaction"):
            self.handle.prepare_transaction(None)
        self._in_transaction = True
        try:
            yield done
            failpoint.reach("repo.before-commit-transaction")
            with translate("writing to the repository"):
                _, stats = self.handle.commit_transaction(None)
            done.metadata_total = stats.metadata_objects_total
            done.metadata_written = stats.metadata_objects_written
            done.content_total = stats.content_objects_total
            done.content_written = stats.content_objects_written
            done.cache_hits = stats.devino_cache_hits
            done.content_bytes_written = stats.content_bytes_written
            failpoint.reach("repo.after-commit-transaction")
        except BaseException:
            with translate("aborting a repository transaction"):
                self.handle.abort_transaction(None)
            raise
        finally:
            self._in_transaction = False

    def write_commit(
        self,
        root: Gio.File,
        *,
        parent: str | None = None,
        timestamp: int,
        subject: str = "",
        body: str = "",
        metadata: Metadata | None = None,
    ) -> str:
        """Write a commit object for a tree from `Tree.write`; needs a transaction.

        `timestamp` is UNIX seconds and always the caller's, so that equal inputs commit equally.
        """
        with translate("writing a commit"):
            _, checksum = self.handle.write_commit_with_time(
                parent, subject or None, body or None, pack(metadata or {}), root, timestamp, None
            )
        return str(checksum)

    def set_ref(self, ref: str, checksum: str | None, *, remote: str | None = None) -> None:
        """Point a ref (None: delete it); inside a transaction it takes effect with it."""
        with translate(f"setting ref '{ref}'"):
            if self._in_transaction:
                self.handle.transaction_set_ref(remote, ref, checksum)
            else:
                self.handle.set_ref_immediate(remote, ref, checksum, None)

    def checkout(
        self,
        checksum: str,
        destination: Path,
        *,
        subpath: str = "/",
        union: bool = False,
        copy: bool = False,
    ) -> None:
        """Hardlink a commit's tree to `destination`, which must not exist unless `union`.

        With `copy` the files are the caller's own, on any filesystem.

        Union checkouts accept identical files and refuse different ones
        (OSTREE_REPO_CHECKOUT_OVERWRITE_UNION_IDENTICAL).  The files share inodes with the
        repository: nothing may ever write to them.  Cost: 0.05 ms a file.
        """
        options = OSTree.RepoCheckoutAtOptions()
        options.mode = OSTree.RepoCheckoutMode.NONE
        options.subpath = subpath
        options.enable_fsync = False
        options.force_copy = copy
        if union:
            options.overwrite_mode = OSTree.RepoCheckoutOverwriteMode.UNION_IDENTICAL
            options.no_copy_fallback = True  # asserted by libostree for this mode
        fd = os.open(destination.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with translate(f"checking out {checksum[:10]}"):
                self.handle.checkout_at(options, fd, destination.name, checksum, None)
        finally:
            os.close(fd)

    def prune(self, *, depth: int = 0) -> tuple[int, int]:
        """Delete objects that no ref reaches; `depth` parents of each ref are kept (-1: all).

        Returns (objects deleted, bytes freed).  Cost: O(objects).
        """
        with translate("pruning the repository"):
            _, _total, pruned, size = self.handle.prune(
                OSTree.RepoPruneFlags.REFS_ONLY, depth, None
            )
        return int(pruned), int(size)


def _read_all(stream: Gio.InputStream) -> bytes:
    parts = []
    while data := stream.read_bytes(1 << 20, None).get_data():
        parts.append(data)
    stream.close(None)
    return b"".join(parts)

"""One .deb into one ostree commit.

    root/        the files where a tree has them, with dpkg's info files
    package.deb  the file itself, for dpkg to unpack

A commit has one of them or both.  Its timestamp is the newest member's, never the time of the
import, so importing the same file again gives the same commit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from apt_ostree.apt.deb import Deb, sha256_of
from apt_ostree.apt.debclass import Class, classify
from apt_ostree.apt.debstanza import stanza_unpacked
from apt_ostree.assemble.contents import OnlyDpkg, read_contents
from apt_ostree.assemble.entry import ARCHIVE_NAME, TREE_DIR, Contents, Form, metadata_of
from apt_ostree.assemble.placement import ADMIN_DIR, Policy
from apt_ostree.assemble.sink import Sink, sink_into
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package
from apt_ostree.ostree.glib import Gio, Metadata
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree

log = logging.getLogger(__name__)


class Want(StrEnum):
    """Which forms an assembly needs of a package.

    `AUTO`: the tree of a fast package, the archive of a slow one.
    """

    AUTO = "auto"
    TREE = "tree"
    ARCHIVE = "archive"
    BOTH = "both"

    def forms(self, *, is_fast: bool) -> frozenset[Form]:
        match self:
            case Want.AUTO:
                return frozenset({Form.TREE if is_fast else Form.ARCHIVE})
            case Want.BOTH:
                return frozenset(Form)
            case _:
                return frozenset({Form(self.value)})


@dataclass(frozen=True, slots=True)
class Imported:
    """A written tree that waits for its commit object."""

    package: Package
    root: Gio.File
    timestamp: int
    metadata: Metadata
    forms: frozenset[Form]


def write_package(
    repo: Repo,
    path: Path,
    *,
    sha256: str,
    policy: Policy,
    want: Want = Want.AUTO,
    keep: frozenset[Form] = frozenset(),
    source_id: str = "",
) -> Imported:
    """Write the objects of a .deb in the repository's transaction.

    `keep` are forms that a cached commit of the same file has already and must not lose.  May run
    in several threads over one repository: libostree guards its transaction, and nothing else is
    shared.  Raises PackageError for an unusable package or for content other than `sha256`.
    """
    if sha256_of(path) != sha256:
        raise PackageError(
            f"'{path.name}' is not the file that was asked for (SHA256 differs)",
            hint="remove it and fetch it again",
        )
    found = Deb.open(path)
    judged = classify(found)
    if policy.dpkg_only and judged.is_fast:
        judged = Class(is_fast=False, reason="everything is left to dpkg")
    forms = want.forms(is_fast=judged.is_fast) | keep
    tree = Tree(repo)
    try:
        contents = _write(tree, found, policy, forms)
    except OnlyDpkg as err:
        if want in (Want.TREE, Want.BOTH):
            raise PackageError(
                f"package {found.package.nevra} can only be unpacked by dpkg: {err}"
            ) from err
        judged = Class(is_fast=False, reason=str(err))
        forms = frozenset({Form.ARCHIVE})
        tree = Tree(repo)
        contents = _write(tree, found, policy, forms)
    reason = judged.reason or contents.obstacle
    if reason:
        log.debug("%s is left to dpkg: %s", found.package.nevra, reason)
    return Imported(
        package=found.package,
        root=tree.write(),
        timestamp=contents.newest,
        metadata=_metadata(
            found, contents, sha256=sha256, reason=reason, forms=forms, policy=policy,
            source_id=source_id,
        ),
        forms=forms,
    )  # fmt: skip


def _write(tree: Tree, deb: Deb, policy: Policy, forms: frozenset[Form]) -> Contents:
    with sink_into(tree) as sink:
        if Form.ARCHIVE in forms:
            size = deb.path.stat().st_size
            with deb.path.open("rb") as source:
                sink.file(ARCHIVE_NAME, source, size_bytes=size, mode=0o644)
        if Form.TREE not in forms:
            return read_contents(deb, policy, sink=None)
        sink.directory(TREE_DIR, mode=0o755)
        contents = read_contents(deb, policy, sink=sink)
        _write_info(sink, deb, contents)
    return contents


def _write_info(sink: Sink, deb: Deb, contents: Contents) -> None:
    """The package's files in dpkg's info directory, as `dpkg --unpack` leaves them."""
    prefix = f"{TREE_DIR}/{ADMIN_DIR}/info/{deb.info_prefix}"
    listed = contents.listed.encode()
    sink.file(f"{prefix}.list", listed, size_bytes=len(listed), mode=0o644)
    if contents.md5sums:
        text = contents.md5sums.encode()
        sink.file(f"{prefix}.md5sums", text, size_bytes=len(text), mode=0o644)
    for item in deb.info:
        path, size = f"{prefix}.{item.name}", len(item.content)
        sink.file(path, item.content, size_bytes=size, mode=item.mode)


def _metadata(
    deb: Deb,
    contents: Contents,
    *,
    sha256: str,
    reason: str,
    forms: frozenset[Form],
    policy: Policy,
    source_id: str,
) -> Metadata:
    return metadata_of(
        deb.package, contents, sha256=sha256, size_bytes=deb.path.stat().st_size,
        control=deb.control,
        stanza=stanza_unpacked(deb, conffile_md5=contents.conffile_md5),
        triggers=deb.info_text("triggers"), info=tuple(i.name for i in deb.info),
        info_prefix=deb.info_prefix, conffiles=deb.conffiles, reason=reason, forms=forms,
        trim=policy.key, source_id=source_id,
    )  # fmt: skip

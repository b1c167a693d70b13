"""Commit a finished tree: metadata, parent, signature, ref, and what the caller wants written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble import accounts, kernel, layout, record
from apt_ostree.compose import numbers, treefiles
from apt_ostree.errors import AptOstreeError, TreefileError
from apt_ostree.insight import diff
from apt_ostree.model.compose import CommitRequest, Composed
from apt_ostree.model.package import Package
from apt_ostree.model.plan import SourceInfo
from apt_ostree.model.progress import Progress, Timings, task
from apt_ostree.ostree import pull, sign
from apt_ostree.ostree.glib import Gio, Metadata, Value
from apt_ostree.ostree.repo import Repo, Transaction
from apt_ostree.ostree.tree import Tree
from apt_ostree.system import failpoint, fs
from apt_ostree.treefile.schema import Treefile


@dataclass(frozen=True, slots=True)
class Draft:
    """What the commit object will say; `timestamp` is UNIX seconds."""

    treefile: Treefile
    request: CommitRequest
    timestamp: int
    version: str | None
    packages: tuple[Package, ...] = ()
    kernel: str | None = None
    inputhash: str | None = None
    sources: tuple[SourceInfo, ...] = ()
    statistics: Mapping[str, int] = field(default_factory=dict)


def describe(root: Path) -> tuple[tuple[Package, ...], str | None]:
    """Packages and kernel version of a finished tree."""
    return dpkgdb.packages(root / layout.DPKG), kernel.only_version(root)


def metadata(draft: Draft) -> Metadata:
    """Commit metadata; what the caller gives (`--add-metadata-*`) wins over the treefile's."""
    treefile = draft.treefile
    out: dict[str, Value] = dict(record.user_metadata(treefile.add_commit_metadata))
    out["aptostree.rpmdb.pkglist"] = record.pkglist(draft.packages)
    if treefile.repo_metadata == "inline":
        out |= about_sources(draft)
    if treefile.initramfs_args:
        out["aptostree.initramfs-args"] = ("as", list(treefile.initramfs_args))
    if treefile.container_cmd:
        out["ostree.container-cmd"] = ("as", list(treefile.container_cmd))
    if draft.inputhash is not None:
        out["aptostree.inputhash"] = draft.inputhash
    if draft.version is not None:
        out["version"] = draft.version
    if draft.kernel is not None and not treefile.container:
        # ostree_commit_metadata_for_bootable()
        out["ostree.bootable"] = True
        out["ostree.linux"] = draft.kernel
    for path in draft.request.metadata_files:
        out |= record.user_metadata(json.loads(path.read_bytes()))
    out |= record.user_metadata(dict(draft.request.metadata))
    return out


def about_sources(draft: Draft) -> Metadata:
    return {"aptostree.rpmmd-repos": record.sources(draft.sources)}


def counted(draft: Draft, written: Transaction) -> Draft:
    """The draft with the contract's statistics of a finished transaction."""
    return replace(draft, statistics={
        "Metadata Total": written.metadata_total,
        "Metadata Written": written.metadata_written,
        "Content Total": written.content_total,
        "Content Written": written.content_written,
        "Content Cache Hits": written.cache_hits,
        "Content Bytes Written": written.content_bytes_written,
    })  # fmt: skip


def check_target(treefile: Treefile, request: CommitRequest) -> Repo:
    """The repository to commit to; raises when the commit could have no name."""
    if treefile.ref is None and request.write_commitid_to is None:
        raise TreefileError(
            "the treefile has no 'ref'",
            where=treefile.source,
            hint="or give --write-commitid-to=FILE",
        )
    return Repo.open(request.repo)


def parent_of(request: CommitRequest, treefile: Treefile, repo: Repo) -> str | None:
    """The parent of the new commit: asked for, none, or the branch's present tip."""
    if request.parent is not None:
        return repo.resolve(request.parent)
    if request.no_parent or treefile.ref is None:
        return None
    return repo.lookup(treefile.ref)


def write(repo: Repo, root: Gio.File, draft: Draft, *, parent: str | None) -> str:
    """The commit object, in the repository the tree was built in; needs its transaction."""
    failpoint.reach("compose.before-commit")
    return repo.write_commit(
        root, parent=parent, timestamp=draft.timestamp, metadata=metadata(draft)
    )


def publish(
    built_in: Repo, checksum: str, draft: Draft, *, progress: Progress, timings: Timings
) -> Composed:
    """Bring the commit to where it was asked for, sign it, and only then move the ref."""
    request, treefile = draft.request, draft.treefile
    with timings.phase("publish"):
        target = Repo.open(request.repo)
        if target.path.resolve() != built_in.path.resolve():
            pull.local(target, built_in.path, checksum, progress=progress, is_own=True)
        if treefile.repo_metadata == "detached":
            target.set_detached_metadata(checksum, about_sources(draft))
        if treefile.gpg_key is not None:
            with task(progress, f"Signing with key {treefile.gpg_key}"):
                sign.gpg(target, checksum, treefile.gpg_key)
        failpoint.reach("compose.before-ref")
        ref = treefile.ref if request.write_commitid_to is None else None
        if ref is not None:
            target.set_ref(ref, checksum)
            failpoint.reach("compose.after-ref")
    if request.write_commitid_to is not None:
        fs.write_atomic(request.write_commitid_to, f"{checksum}\n".encode())
    if request.write_composejson_to is not None:
        text = json.dumps(compose_json(target, checksum, draft), indent=2) + "\n"
        fs.write_atomic(request.write_composejson_to, text.encode())
    return Composed(
        changed=True, ref=ref, commit=checksum, statistics=draft.statistics, timings=timings.seconds
    )


def compose_json(repo: Repo, checksum: str, draft: Draft) -> dict[str, Any]:
    """The keys of `--write-composejson-to`, as rpm-ostree names them."""
    commit = repo.commit(checksum)
    counts = draft.statistics
    out: dict[str, Any] = {
        "ref": draft.treefile.ref,
        "ostree-n-metadata-total": counts.get("Metadata Total", 0),
        "ostree-n-metadata-written": counts.get("Metadata Written", 0),
        "ostree-n-content-total": counts.get("Content Total", 0),
        "ostree-n-content-written": counts.get("Content Written", 0),
        "ostree-n-cache-hits": counts.get("Content Cache Hits", 0),
        "ostree-content-bytes-written": counts.get("Content Bytes Written", 0),
        "ostree-commit": checksum,
        "ostree-content-checksum": commit.content_checksum,
        "ostree-version": commit.version,
        "ostree-timestamp": f"{datetime.fromtimestamp(commit.timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "rpm-ostree-inputhash": draft.inputhash,
        "pkgdiff": _changes(repo, commit.parent, checksum),
    }
    return {key: value for key, value in out.items() if value is not None}


def _changes(repo: Repo, parent: str | None, checksum: str) -> list[list[Any]] | None:
    """Packages that differ from the parent's; None without a parent that lists them."""
    if parent is None or not repo.has_commit(parent):
        return None
    try:
        return diff.packages(repo.path, parent, checksum).as_list()
    except AptOstreeError:
        return None


def run(treefile: Path, root: Path, request: CommitRequest, progress: Progress) -> Composed:
    """`compose commit`: a plain, finished root directory becomes a commit."""
    loaded = treefiles.load(treefile, progress)
    repo = check_target(loaded, request)
    _check_root(root)
    timings = Timings()
    packages, version = describe(root)
    number = treefiles.version(loaded, repo, None, given=treefiles.given_version(request))
    draft = Draft(loaded, request, treefiles.timestamp(), number, packages, version)
    parent = parent_of(request, loaded, repo)
    previous = None if parent is None else numbers.of_commit(repo, parent)
    numbers.check(loaded, accounts.load(root / accounts.ETC), previous=previous, progress=progress)
    with timings.phase("commit"), repo.transaction() as written, task(progress, "Committing"):
        tree = Tree(repo)
        tree.add_directory(root, consume=False)
        checksum = write(repo, tree.write(), draft, parent=parent)
    return publish(repo, checksum, counted(draft, written), progress=progress, timings=timings)


def _check_root(root: Path) -> None:
    if not (root / "usr").is_dir():
        raise AptOstreeError("Missing /usr", hint=f"is {root} a root file system?")
    if (root / "etc").is_dir() and (root / "usr/etc").is_dir():
        raise AptOstreeError("Found both /etc and /usr/etc")
    if not (root / "usr/etc").is_dir():
        raise AptOstreeError(
            "Missing usr/etc in rootfs", hint="run 'apt-ostree compose postprocess' first"
        )
    for name in layout.EMPTY:
        folder = root / name
        if folder.is_dir() and any(folder.iterdir()):
            raise AptOstreeError(
                f"/{name} is not empty", hint="run 'apt-ostree compose postprocess' first"
            )

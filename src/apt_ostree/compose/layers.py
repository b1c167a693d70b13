"""`ostree-layers`: commits whose files are laid over the packages of a tree."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.errors import AptOstreeError, TreefileError
from apt_ostree.model.progress import Progress, task
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import fs
from apt_ostree.system.run import run
from apt_ostree.treefile.schema import Treefile


def _refs(treefile: Treefile) -> tuple[str, ...]:
    return (*treefile.ostree_layers, *treefile.ostree_override_layers)


def _repo(path: Path | None, treefile: Treefile) -> Repo:
    if path is None:
        raise TreefileError(
            "ostree-layers need a repository", where=treefile.where_of("ostree-layers"),
            hint="--layer-repo=REPO",
        )  # fmt: skip
    return Repo.open(path)


def digest(treefile: Treefile, path: Path | None) -> str:
    """What identifies the layers' content for change detection; empty without layers."""
    refs = _refs(treefile)
    if not refs:
        return ""
    repo = _repo(path, treefile)
    found = {ref: repo.lookup(ref) for ref in refs}
    for ref, checksum in found.items():
        if checksum is None:
            key = "ostree-layers" if ref in treefile.ostree_layers else "ostree-override-layers"
            raise TreefileError(
                f"ostree layer '{ref}' is not in {repo.path}", where=treefile.where_of(key),
                hint="--layer-repo names another repository",
            )  # fmt: skip
    return ",".join(str(checksum) for checksum in found.values())


def unpack(root: Path, treefile: Treefile, path: Path | None, progress: Progress) -> None:
    """Copy the layers into the tree, in order; only override layers may replace files."""
    if not _refs(treefile):
        return
    repo = _repo(path, treefile)
    with task(progress, "Checking out ostree layers"):
        for ref in treefile.ostree_layers:
            _unpack(root, repo, ref, may_replace=False)
        for ref in treefile.ostree_override_layers:
            _unpack(root, repo, ref, may_replace=True)


def _unpack(root: Path, repo: Repo, ref: str, *, may_replace: bool) -> None:
    with fs.scratch_dir("layer") as folder:
        layer = folder / "layer"
        repo.checkout(repo.resolve(ref), layer, copy=True)
        if not may_replace:
            _refuse_clashes(root, layer, ref)
        run(["cp", "-a", "--no-target-directory", layer, root])


def _refuse_clashes(root: Path, layer: Path, ref: str) -> None:
    for path in layer.rglob("*"):
        inside = path.relative_to(layer)
        there = root / inside
        if path.is_dir() and not path.is_symlink():
            continue
        if there.is_symlink() or there.exists():
            raise AptOstreeError(
                f"ostree layer '{ref}' has /{inside}, which the tree has already",
                hint="name it under ostree-override-layers to let it replace files",
            )

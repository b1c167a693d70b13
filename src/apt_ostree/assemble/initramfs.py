"""The initramfs of a tree: one dracut run, or the image of an earlier run with equal inputs.

dracut takes most of a build's time.  What it puts into an image is decided by which programs,
udev rules and dracut modules the tree has (names), and by the content of what it copies.  So a
cached image is right when the names, the arguments and the configuration are equal, every package
that owns a copied file has the same version, and every copied file that no package owns (caches,
generated configuration) has the same content.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree.assemble import cpio
from apt_ostree.assemble.layout import DPKG
from apt_ostree.errors import AptOstreeError, MissingToolError
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.tree import Tree
from apt_ostree.sandbox.bwrap import Sandbox
from apt_ostree.system import fs

REF_PREFIX = "aptostree/initramfs"
DEFAULT_ARGS = ("--no-hostonly", "--reproducible", "--add", "ostree")
# dracut's own choice is `gzip -9`, which takes five times as long for one percent.
_COMPRESSORS = (("usr/bin/zstd", "zstd -q -10 -T0"), ("usr/bin/gzip", "gzip -n -6"))
# Directories whose entries' names decide which dracut modules take part.
_SELECTING = (
    "usr/bin", "usr/sbin", "usr/lib/dracut/modules.d", "usr/lib/udev", "usr/lib/udev/rules.d",
    "usr/lib/systemd", "usr/lib/systemd/system", "usr/lib/systemd/system-generators",
)  # fmt: skip
# Configuration read by dracut or copied whole.
_CONFIGURATION = ("usr/etc/dracut.conf", "usr/etc/dracut.conf.d", "usr/lib/dracut/dracut.conf.d",
                  "usr/etc/modprobe.d", "usr/etc/modules-load.d", "usr/etc/udev")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """`args` are added to DEFAULT_ARGS; `versions` maps `name[:arch]` to the version of every
    package of the tree."""

    kernel: str
    versions: Mapping[str, str]
    args: Sequence[str] = ()


def generate(root: Path, request: Request, *, box: Sandbox, repo: Repo | None) -> bool:
    """Write `usr/lib/modules/KVER/initramfs.img` (0644); True when dracut had to run.

    `root` is the mounted tree, `repo` the cache (None: none), which must be in a transaction.
    """
    image = root / "usr/lib/modules" / request.kernel / "initramfs.img"
    selection = _selection_digest(root, request)
    ref = f"{REF_PREFIX}/{selection}"
    if repo is not None and (cached := _cached(repo, ref, root, request)) is not None:
        image.write_bytes(cached)
        os.chmod(image, 0o644)
        return False
    target = f"/usr/lib/modules/{request.kernel}/initramfs.img"
    _run(
        box,
        [
            "dracut",
            "--force",
            *DEFAULT_ARGS,
            *_compression(root),
            *request.args,
            "--kver",
            request.kernel,
            target,
        ],
    )
    if not image.is_file():
        raise AptOstreeError("dracut wrote no initramfs", hint="is dracut in the tree?")
    content = image.read_bytes()
    if repo is not None:
        # The names are wanted before the device nodes are added: those belong to nobody.
        _store(repo, ref, image, _record(root, request, cpio.names(content)))
    with open(image, "ab") as out:
        out.write(b"\0" * (-len(content) % 4) + cpio.device_archive())
    os.chmod(image, 0o644)
    return True


def _run(box: Sandbox, argv: Sequence[str]) -> None:
    try:
        box.run(argv, env={"DRACUT_NO_XATTR": "1"})
    except MissingToolError as err:
        err.hint = "add 'dracut' to the packages, or set no-initramfs"
        raise


def _compression(root: Path) -> tuple[str, ...]:
    """The compressor of the tree itself, so that equal trees get equal images; before the caller's
    arguments, since dracut takes the last."""
    for program, command in _COMPRESSORS:
        if (root / program).exists():
            return "--compress", command
    return ()


def _selection_digest(root: Path, request: Request) -> str:
    digest = hashlib.sha256()
    digest.update(
        json.dumps([request.kernel, *DEFAULT_ARGS, *_compression(root), *request.args]).encode()
    )
    for folder in _SELECTING:
        names = sorted(os.listdir(root / folder)) if (root / folder).is_dir() else []
        digest.update(json.dumps([folder, names]).encode("utf-8", "surrogateescape"))
    for place in _CONFIGURATION:
        digest.update(json.dumps(_contents(root, place)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _contents(root: Path, place: str) -> list[tuple[str, str]]:
    path = root / place
    if path.is_dir() and not path.is_symlink():
        return [
            item for name in sorted(os.listdir(path)) for item in _contents(root, f"{place}/{name}")
        ]
    return [(place, _identity(path))]


def _identity(path: Path) -> str:
    """What a file is: digest of its content, target of a link, `-` for anything else."""
    if path.is_symlink():
        return f"link:{os.readlink(path)}"
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return "-"


def _record(root: Path, request: Request, names: Sequence[str]) -> dict[str, Any]:
    owners = _owners(root)
    packages: dict[str, str] = {}
    files: dict[str, str] = {}
    for name in names:
        real = _in_tree(root, name)
        if real is None or real.is_dir():
            continue
        path = "/" + str(real.relative_to(root))
        owner = owners.get(path) or owners.get(path.removeprefix("/usr"))
        if owner is None:
            files[path] = _identity(real)
        elif owner in request.versions:
            packages[owner] = request.versions[owner]
    return {"packages": packages, "files": files}


def _in_tree(root: Path, name: str) -> Path | None:
    """The file of the tree that dracut copied as `name`; None for what it made itself."""
    parts = name.split("/")
    if parts[0] == "etc" or parts[0] in ("bin", "sbin", "lib", "lib64"):
        parts = ["usr", *parts]
    path = root.joinpath(*parts)
    return path if os.path.lexists(path) else None


def _owners(root: Path) -> dict[str, str]:
    owners: dict[str, str] = {}
    info = root / DPKG / "info"
    for entry in os.scandir(info):
        if entry.name.endswith(".list"):
            name = entry.name.removesuffix(".list")
            with open(entry.path, encoding="utf-8", errors="surrogateescape") as lines:
                for line in lines:
                    owners[line.rstrip("\n")] = name
    return owners


def _cached(repo: Repo, ref: str, root: Path, request: Request) -> bytes | None:
    checksum = repo.lookup(ref)
    if checksum is None:
        return None
    raw, image = repo.read_file(checksum, "record.json"), repo.read_file(checksum, "image")
    if raw is None or image is None:
        return None
    record = json.loads(raw)
    if any(request.versions.get(n) != v for n, v in record["packages"].items()):
        return None
    if any(_identity(root / p.lstrip("/")) != i for p, i in record["files"].items()):
        return None
    return image + b"\0" * (-len(image) % 4) + cpio.device_archive()


def _store(repo: Repo, ref: str, image: Path, record: Mapping[str, Any]) -> None:
    with fs.temp_dir(repo.path / "tmp", "apt-ostree-initramfs-") as staging:
        (staging / "image").write_bytes(image.read_bytes())
        (staging / "record.json").write_text(json.dumps(record, sort_keys=True))
        tree = Tree(repo)
        tree.add_directory(staging, consume=False)
        checksum = repo.write_commit(tree.write(), timestamp=0, subject=ref)
        repo.set_ref(ref, checksum)

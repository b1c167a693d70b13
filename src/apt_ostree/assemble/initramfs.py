"""The initramfs of a tree: one dracut run, or the image of an earlier run with equal inputs.

dracut takes most of a build's time.  What it puts into an image is decided by which udev rules,
dracut modules and programs that those mention the tree has (names), and by the content of what it
copies.  So a cached image is right when the names, the arguments and the configuration are equal,
every package that owns a copied file has the same version, and every copied file that no package
owns (caches, generated configuration) has the same content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
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
    "usr/lib/dracut/modules.d", "usr/lib/udev", "usr/lib/udev/rules.d",
    "usr/lib/systemd", "usr/lib/systemd/system", "usr/lib/systemd/system-generators",
)  # fmt: skip
# Configuration read by dracut or copied whole.
_CONFIGURATION = ("usr/etc/dracut.conf", "usr/etc/dracut.conf.d", "usr/lib/dracut/dracut.conf.d",
                  "usr/etc/modprobe.d", "usr/etc/modules-load.d", "usr/etc/udev")  # fmt: skip
# Programs, of which most trees have many that dracut knows nothing about; those who may name them.
_PROGRAMS = ("usr/bin", "usr/sbin")
_NAMING = ("usr/lib/dracut", "usr/lib/udev/rules.d", *_CONFIGURATION)
# A name in shell or rules; the part of one before or after a variable or a pattern.
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_WORD = re.compile(r"[\w.+-]+")
_BEGIN = re.compile(r"([\w.+-]{2,})[$*{?\[]")
_END = re.compile(r"[*}]([\w.+-]{3,})")


@dataclass(frozen=True, slots=True)
class Request:
    """`args` are added to DEFAULT_ARGS; `versions` maps `name[:arch]` to the version of every
    package of the tree."""

    kernel: str
    versions: Mapping[str, str]
    args: Sequence[str] = ()


def reuse(root: Path, request: Request, *, repo: Repo | None) -> bool:
    """Write the image of an earlier run with equal inputs; False when there is none.

    `root` is the mounted tree, `repo` the cache (None: none).
    """
    if repo is None:
        return False
    cached = _cached(repo, _ref(root, request), root, request)
    if cached is None:
        return False
    image = _image(root, request)
    image.write_bytes(cached)
    os.chmod(image, 0o644)
    return True


def generate(root: Path, request: Request, *, box: Sandbox, repo: Repo | None) -> None:
    """Write `usr/lib/modules/KVER/initramfs.img` (0644) with dracut.

    `root` is the mounted tree, `repo` the cache (None: none), which must be in a transaction.
    Raises MissingToolError, ScriptError, AptOstreeError.  Takes half a minute.
    """
    ref = _ref(root, request)
    image = _image(root, request)
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


def _image(root: Path, request: Request) -> Path:
    return root / "usr/lib/modules" / request.kernel / "initramfs.img"


def _ref(root: Path, request: Request) -> str:
    return f"{REF_PREFIX}/{_selection_digest(root, request)}"


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
        digest.update(
            json.dumps([folder, sorted(_names(root / folder))]).encode("utf-8", "surrogateescape")
        )
    programs = _programs(root, request.args)
    digest.update(json.dumps(programs).encode("utf-8", "surrogateescape"))
    for place in _CONFIGURATION:
        digest.update(json.dumps(_contents(root, place)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _programs(root: Path, args: Sequence[str]) -> list[str]:
    """The programs that dracut's modules, udev rules, configuration or arguments name, also as
    `fsck.$type`.  Too many names cost an unneeded run of dracut, too few a wrong image."""
    text = "\n".join([*args, *(_text(root / place) for place in _NAMING)])
    words = frozenset(_WORD.findall(text))
    begins, ends = (tuple(set(r.findall(text))) for r in (_BEGIN, _END))
    found = {name for folder in _PROGRAMS for name in _names(root / folder)}
    return sorted(n for n in found if n in words or n.startswith(begins) or n.endswith(ends))


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _text(place: Path) -> str:
    """All that scripts, rules and configuration at or below a path say, without comments: they
    are English, and so are many programs' names."""
    files = [place] if place.is_file() else place.rglob("*")
    text = "\n".join(
        f.read_text("utf-8", "replace")
        for f in files
        if f.suffix in (".sh", ".rules", ".conf") and f.is_file()
    )
    return _COMMENT.sub("", text)


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

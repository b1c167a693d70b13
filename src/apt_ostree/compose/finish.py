"""Make a tree of packages into a tree to commit: the treefile's content, accounts, kernel, order.

Works on a mounted build (`upper` is the overlay's) and on a plain root alike (`upper` is `root`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble import guard, initramfs, kernel, layout, tidy
from apt_ostree.assemble.accounts import Accounts
from apt_ostree.compose import content, numbers
from apt_ostree.errors import CommandError, MissingToolError, ScriptError, TreefileError
from apt_ostree.model.progress import Progress, Timings, task
from apt_ostree.ostree.repo import Repo
from apt_ostree.sandbox.bwrap import target_root
from apt_ostree.sandbox.policy import DRACUT, POSTPROCESS
from apt_ostree.system import fs
from apt_ostree.system.run import run
from apt_ostree.treefile import files
from apt_ostree.treefile.schema import Treefile
from apt_ostree.treefile.values import FileRef

TREEFILE_COPY = "usr/share/apt-ostree/treefile.json"
WORKDIR_VARIABLE = "APTOSTREE_WORKDIR"


@dataclass(frozen=True, slots=True)
class Context:
    """What the finish needs besides the tree.  `previous` are the accounts of the previous commit
    of the branch; `epoch` is SOURCE_DATE_EPOCH; `cache` keeps initramfs images (it must be in a
    transaction), None builds one each time."""

    treefile: Treefile
    version: str | None
    previous: Accounts | None
    epoch: int
    cache: Repo | None
    progress: Progress
    timings: Timings


def postprocess(root: Path, upper: Path, context: Context) -> None:
    """Apply the treefile and finish the tree; `/etc` of the tree is at `usr/etc`.

    Raises TreefileError, ScriptError of a postprocess script, AptOstreeError for a tree that
    nothing could boot or that breaks a promise (`check-passwd`).
    """
    treefile, progress, timings = context.treefile, context.progress, context.timings
    with timings.phase("treefile"):
        kernel.adopt_boot_files(root)
        kernel.describe_boot_files(root)
        _content(root, context)
        _scripts(root, context)
        content.settle_apt_sources(root)
        kernel.only_version(root)  # before anything is moved
    with timings.phase("accounts"):
        settled = settle_accounts(root, upper, context)
        numbers.check(treefile, settled, previous=context.previous, progress=progress)
    with timings.phase("tidy"):
        guard.write(root)
        tidy.tree(root, upper, accounts=settled, is_base=True)
        layout.finish(root)
    with timings.phase("initramfs"):
        _boot(root, context)
    tidy.record_base(root)
    layout.check(root)
    _write_treefile(root, treefile)
    progress.message("Adding apt-ostree-0-integration.conf")


def settle_accounts(root: Path, upper: Path, context: Context) -> Accounts:
    return numbers.settle(
        root, upper, context.treefile, previous=context.previous, day=context.epoch // 86400,
        progress=context.progress,
    )  # fmt: skip


def _content(root: Path, context: Context) -> None:
    treefile, progress = context.treefile, context.progress
    content.remove_from_packages(root, treefile, progress)
    content.remove_files(root, treefile.remove_files, progress)
    content.add_files(root, treefile.add_files, progress)
    content.enable_units(root, treefile, progress)
    content.set_default_target(root, treefile)
    content.set_version(root, treefile, context.version, progress)
    if treefile.machineid_compat:
        progress.message("Creating empty machine-id")
        machine_id = root / "usr/etc/machine-id"
        machine_id.unlink(missing_ok=True)
        machine_id.touch(mode=0o444)
        os.chmod(machine_id, 0o444)
    else:
        (root / "usr/etc/machine-id").unlink(missing_ok=True)


def _scripts(root: Path, context: Context) -> None:
    """`postprocess`, `postprocess-script` and `finalize.d`, in that order, without network."""
    treefile, progress = context.treefile, context.progress
    where = treefile.where_of("postprocess")
    for number, text in enumerate(treefile.postprocess):
        name = f"postprocess inline script '{number}'"
        progress.message(f">>>> Executing `postprocess` inline script '{number}' <<<<")
        _run_script(root, _Script(name, where, text.encode()), context)
    if treefile.postprocess:
        progress.message("Completed running `postprocess` inline scripts")
    if treefile.postprocess_script is not None:
        progress.message("Executing postprocessing script")
        ref = treefile.postprocess_script
        _run_script(root, _Script(f"postprocess-script {ref.name}", ref.where, _read(ref)), context)
        progress.message("Finished postprocessing script")
    for ref in treefile.finalize_d:
        progress.message(f"Executing finalize.d/{ref.name}")
        script = _Script(f"finalize.d/{ref.name}", str(ref.path), _read(ref))
        _run_script(root, script, context)


def _read(ref: FileRef) -> bytes:
    with files.opened(ref) as (fd, _), os.fdopen(os.dup(fd), "rb") as stream:
        return stream.read()


@dataclass(frozen=True, slots=True)
class _Script:
    """A program of the treefile; `where` is FILE:LINE of the key, or the file itself."""

    name: str
    where: str
    text: bytes

    @property
    def interpreter(self) -> str:
        first = self.text.split(b"\n", 1)[0]
        words = first.removeprefix(b"#!").split()
        return words[0].decode(errors="replace") if first.startswith(b"#!") and words else ""


def _run_script(root: Path, script: _Script, context: Context) -> None:
    place = root / "usr/lib/apt-ostree-postprocess"
    place.write_bytes(script.text)
    os.chmod(place, 0o755)
    try:
        with target_root(root, policy=POSTPROCESS, source_date_epoch=context.epoch) as box:
            box.run(["/usr/lib/apt-ostree-postprocess"], on_line=context.progress.message)
    except CommandError as err:
        how = f"was killed by signal {-err.status}" if err.status < 0 else (
            f"failed with status {err.status}")  # fmt: skip
        raise ScriptError(
            f"{script.where}: {script.name} {how}", script=script.name, status=err.status,
            details=err.tail,
        ) from err  # fmt: skip
    except MissingToolError as err:
        raise TreefileError(
            f"{script.name} cannot run: '{script.interpreter}' is not in the tree",
            where=script.where, hint="add the package that has it",
        ) from err  # fmt: skip
    finally:
        place.unlink()


def _boot(root: Path, context: Context) -> None:
    """Exactly one kernel, its module index, and one initramfs."""
    treefile = context.treefile
    version = kernel.only_version(root)
    if version is None or treefile.container:
        return
    with target_root(root, policy=DRACUT, source_date_epoch=context.epoch) as box:
        kernel.depmod(box, version)
        if treefile.no_initramfs:
            return
        request = initramfs.Request(version, _versions(root), treefile.initramfs_args)
        if not initramfs.reuse(root, request, repo=context.cache):
            with task(context.progress, "Generating initramfs"):
                initramfs.generate(root, request, box=box, repo=context.cache)
    if treefile.boot_location == "new":
        kernel.copy_to_ostree_boot(root, version)


def _versions(root: Path) -> dict[str, str]:
    """Package versions by the stem of their info files."""
    database = dpkgdb.load(root / layout.DPKG)
    return {dpkgdb.info_name(s): s["Version"] for s in database.installed.values()}


def _write_treefile(root: Path, treefile: Treefile) -> None:
    path = root / TREEFILE_COPY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(treefile.as_json(), indent=1, sort_keys=True) + "\n")


def copy_out(root: Path, destination: Path, *, is_finished: bool) -> None:
    """A plain copy of a mounted tree, owners and attributes kept.

    A finished tree has its configuration at `usr/etc` and an empty `/var`; another one keeps both
    where packages expect them.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "-a", "--one-file-system", "--no-target-directory", root, destination])
    fs.remove_tree(destination / "etc")
    if is_finished:
        fs.remove_tree(destination / "var")
        (destination / "var").mkdir(mode=0o755)
    else:
        os.rename(destination / "usr/etc", destination / "etc")

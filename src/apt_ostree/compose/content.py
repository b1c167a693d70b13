"""What a treefile adds to, takes from and sets in a tree besides packages.

All functions work on a root whose vendor configuration is at `usr/etc`, mounted or plain.  Paths
come from the treefile, and packages may have left links anywhere: every directory is resolved
inside the root before something is written there.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.sources import Source
from apt_ostree.assemble.layout import DPKG
from apt_ostree.errors import AptOstreeError, TreefileError
from apt_ostree.model.progress import Progress
from apt_ostree.system import fs
from apt_ostree.treefile import files
from apt_ostree.treefile.schema import Treefile
from apt_ostree.treefile.values import AddFile

_UNIT_FOLDERS = ("usr/etc/systemd/system", "usr/lib/systemd/system")
BASE_SOURCES = "usr/etc/apt/sources.list.d/base.sources"
_DESTINATIONS = ("usr/", "etc/", "bin/", "sbin/", "lib/", "lib64/")


def in_tree(path: str) -> str:
    """Where a path of the running system is in a tree: `etc/x` is `usr/etc/x`."""
    clean = os.path.normpath(path.lstrip("/"))
    if clean == "." or clean.startswith(".."):
        raise AptOstreeError(f"'{path}' is not a path inside the tree")
    return f"usr/{clean}" if clean.split("/")[0] == "etc" else clean


def add_files(root: Path, added: Iterable[AddFile], progress: Progress) -> None:
    """Copy files beside the treefile into the tree, with their permission bits, owned by root."""
    for item in added:
        if not item.dest.startswith(_DESTINATIONS) or item.dest.startswith("usr/local/"):
            raise TreefileError(
                f"Invalid add-files destination: {item.dest}", where=item.file.where
            )
        progress.message(f"Adding file {item.dest}")
        with files.opened(item.file) as (fd, status):
            target = _prepared(root, in_tree(item.dest))
            with os.fdopen(os.dup(fd), "rb") as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)
                os.fchown(out.fileno(), 0, 0)
                os.fchmod(out.fileno(), stat.S_IMODE(status.st_mode))


def _prepared(root: Path, path: str) -> Path:
    """The place of a new file: its directory made, links in it followed inside the root only."""
    folder = fs.resolve_inside(root, os.path.dirname(path))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / os.path.basename(path)
    if os.path.lexists(target):
        fs.remove_tree(target)
    return target


def remove_files(root: Path, paths: Iterable[str], progress: Progress) -> None:
    for path in paths:
        target = root / in_tree(path)
        if os.path.lexists(target):
            progress.message(f"Deleting: {path}")
            fs.remove_tree(fs.resolve_inside(root, os.path.dirname(in_tree(path))) / target.name)


def remove_from_packages(root: Path, treefile: Treefile, progress: Progress) -> None:
    """Delete files of packages by regular expression, but no path that another package has too.

    Expressions match whole paths from the beginning (`/usr/share/foo.*`), as in rpm-ostree.
    """
    if not treefile.remove_from_packages:
        return
    database = dpkgdb.load(root / DPKG)
    owners: dict[str, set[str]] = {}
    for path, key in database.path_owners():
        owners.setdefault(path, set()).add(key)
    for item in treefile.remove_from_packages:
        found = database.find(item.package)
        if not found:
            raise TreefileError(
                f"package '{item.package}' of remove-from-packages is not in the tree",
                where=treefile.where_of("remove-from-packages"),
            )
        try:
            patterns = [re.compile(p) for p in item.patterns]
        except re.error as err:
            raise TreefileError(
                f"bad regular expression '{err.pattern!s}': {err}",
                where=treefile.where_of("remove-from-packages"),
            ) from err
        doomed = [
            path
            for stanza in found
            for path in database.files(stanza)
            if any(p.match(path) for p in patterns) and len(owners[path]) == 1
        ]
        _delete(root, doomed, progress)


def _delete(root: Path, paths: Sequence[str], progress: Progress) -> None:
    """Files first, then the directories that became empty, deepest first."""
    folders = []
    for path in paths:
        target = root / in_tree(path)
        if target.is_dir() and not target.is_symlink():
            folders.append(target)
        elif os.path.lexists(target):
            progress.message(f"Deleting: {path}")
            target.unlink()
    for folder in sorted(folders, key=lambda f: len(f.parts), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def enable_units(root: Path, treefile: Treefile, progress: Progress) -> None:
    """Link each unit into multi-user.target.wants, as `systemctl add-wants` would.

    Raises TreefileError for a unit that the tree has not.
    """
    wants = root / "usr/etc/systemd/system/multi-user.target.wants"
    for unit in treefile.units:
        template = re.sub(r"@[^.]*\.", "@.", unit)
        place = next(
            (p for p in _UNIT_FOLDERS if (root / p / template).exists()
             or (root / p / template).is_symlink()), None,
        )  # fmt: skip
        if place is None:
            raise TreefileError(
                f"unit '{unit}' is not in the tree", where=treefile.where_of("units"),
                hint="which package ships it? add it",
            )  # fmt: skip
        progress.message(f"Adding {unit} to multi-user.target.wants")
        wants.mkdir(parents=True, exist_ok=True)
        link = wants / unit
        if not os.path.lexists(link):
            os.symlink(
                f"/{place.removeprefix('usr/') if 'etc' in place else place}/{template}", link
            )


def set_default_target(root: Path, treefile: Treefile) -> None:
    target = treefile.default_target
    if target is None:
        return
    if not (root / "usr/lib/systemd/system" / target).exists():
        raise TreefileError(
            f"default-target '{target}' is not in the tree",
            where=treefile.where_of("default-target"), hint="add the package that has it",
        )  # fmt: skip
    link = root / "usr/etc/systemd/system/default.target"
    link.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(link):
        link.unlink()
    os.symlink(f"/usr/lib/systemd/system/{target}", link)


def set_version(root: Path, treefile: Treefile, version: str | None, progress: Progress) -> None:
    """`mutate-os-release`: VERSION and PRETTY_NAME carry the tree's version, OSTREE_VERSION is it.

    Source: os-release(5); VERSION_ID keeps naming the distribution's release.
    """
    base = treefile.mutate_os_release
    if base is None:
        return
    if version is None:
        progress.message("Ignoring mutate-os-release: no commit version specified.")
        return
    progress.message("Updating usr/lib/os-release")
    path = root / "usr/lib/os-release"
    lines = []
    for line in path.read_text().splitlines():
        key, _, value = line.partition("=")
        if key in ("VERSION", "PRETTY_NAME"):
            value = value.replace(base, version)
            line = f"{key}={value}"  # noqa: PLW2901
        if key != "OSTREE_VERSION":
            lines.append(line)
    lines.append(f"OSTREE_VERSION='{version}'")
    path.unlink()
    path.write_text("\n".join(lines) + "\n")


def write_apt_sources(root: Path, sources: Iterable[Source]) -> None:
    """Give a tree the sources that it was made from, unless a package brought some.

    Without sources nothing could be layered on it.
    """
    if _source_files(root):
        return
    text = "\n".join(s.stanza() for s in sources)
    path = root / BASE_SOURCES
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chmod(path, 0o644)


def settle_apt_sources(root: Path) -> None:
    """Take those sources away again when files or scripts of the treefile brought others."""
    if len(_source_files(root)) > 1:
        (root / BASE_SOURCES).unlink(missing_ok=True)


def _source_files(root: Path) -> list[Path]:
    """Files below /etc/apt that name sources; a `sources.list` of comments does not count."""
    etc = root / "usr/etc/apt"
    listed, parts = etc / "sources.list", etc / "sources.list.d"
    found = []
    if listed.is_file() and any(
        line.strip() and not line.lstrip().startswith("#")
        for line in listed.read_text(errors="replace").splitlines()
    ):
        found.append(listed)
    if parts.is_dir():
        found += [p for p in parts.iterdir() if p.suffix in (".list", ".sources")]
    return found


def write_trim(root: Path, treefile: Treefile) -> None:
    """Tell the tree's own dpkg what the treefile leaves out, so that it stays out.

    dpkg reads it for packages that it unpacks itself, here and on every client (dpkg.cfg(5)).
    """
    lines = []
    if not treefile.documentation:
        lines += [
            f"path-exclude=/usr/share/{d}/*"
            for d in ("doc", "man", "info", "gtk-doc", "groff", "lintian", "linda")
        ]
        lines.append("path-include=/usr/share/doc/*/copyright")
        # update-alternatives makes links to manual pages there, missing or not.
        for section in range(1, 9):
            (root / f"usr/share/man/man{section}").mkdir(parents=True, exist_ok=True)
    if treefile.install_langs:
        lines += [
            "path-exclude=/usr/share/locale/*/*",
            "path-include=/usr/share/locale/locale.alias",
        ]
        for lang in treefile.install_langs:
            bare = lang.split(".")[0].split("@")[0]
            language = bare.split("_")[0]
            lines += [f"path-include=/usr/share/locale/{n}/*" for n in dict.fromkeys(
                (bare, language))]  # fmt: skip
    if lines:
        folder = root / "usr/etc/dpkg/dpkg.cfg.d"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "apt-ostree-trim"
        path.write_text("".join(f"{line}\n" for line in lines))
        os.chmod(path, 0o644)

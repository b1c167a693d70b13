"""Download .debs by their SHA-256, with apt's own methods."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from apt_ostree.apt import job
from apt_ostree.apt.root import AptRoot
from apt_ostree.errors import FetchError
from apt_ostree.model.plan import Archive
from apt_ostree.model.progress import Progress
from apt_ostree.system import failpoint, fs

_PARTIAL = ".partial-"


def fetch(
    root: AptRoot, archives: Sequence[Archive], dest: Path, progress: Progress
) -> dict[str, Path]:
    """Every archive as a file `dest/SHA256.deb`; the paths by SHA-256.

    Local archives (with `path`) are given as they lie, after their content was checked.  What is
    in `dest` already, and right, is not fetched again.  A short or wrong download raises
    FetchError naming package, expected and found, and is not kept; so does an unreachable source.
    """
    found: dict[str, Path] = {}
    missing: dict[str, Archive] = {}
    dest.mkdir(parents=True, exist_ok=True)
    fs.sweep(dest, _PARTIAL)
    for archive in archives:
        path = Path(archive.path) if archive.path else dest / f"{archive.sha256}.deb"
        if archive.path:
            _check(path, archive, Path(archive.path).name)
            found[archive.sha256] = path
        elif path.exists() and _is_right(path, archive):
            found[archive.sha256] = path
        else:
            missing[archive.sha256] = archive
    if missing:
        found.update(_download(root, list(missing.values()), dest, progress))
    return found


def _download(
    root: AptRoot, archives: Sequence[Archive], dest: Path, progress: Progress
) -> dict[str, Path]:
    for archive in archives:
        if not archive.uri:
            raise FetchError(
                f"no apt source has the package with checksum {archive.sha256} any more",
                hint="apt-ostree upgrade solves anew",
            )
    plural = "s" if len(archives) != 1 else ""
    size = human_size(sum(a.size_bytes for a in archives))
    progress.message(f"Will download: {len(archives)} package{plural} ({size})")
    found = {}
    with fs.temp_dir(dest, _PARTIAL) as partial:
        _give_to_apt(partial)
        wanted = [
            {"sha256": a.sha256, "size": a.size_bytes, "uri": a.uri, "source": a.source_id}
            for a in archives
        ]
        arguments = {"archives": wanted, "dest": str(partial)}
        got: dict[str, str] = job.call("fetch", root, arguments, progress)
        failpoint.reach("apt.before-archives-kept")
        for archive in archives:
            path = Path(got[archive.sha256])
            if path.parent == partial and not path.is_symlink():
                os.chown(path, os.geteuid(), os.getegid())
                os.chmod(path, 0o644)
            else:  # a local repository: apt fetches nothing, it says where the file is
                _check(path, archive, archive.uri.rpartition("/")[2])
                path = Path(shutil.copyfile(path, partial / f"{archive.sha256}.copy"))
            target = dest / f"{archive.sha256}.deb"
            os.rename(path, target)
            found[archive.sha256] = target
    failpoint.reach("apt.after-archives-kept")
    fs.sync_dir(dest)
    return found


def _give_to_apt(partial: Path) -> None:
    """Let the download methods, which run as the user _apt, write into `partial`."""
    if os.geteuid() == 0:
        with suppress(LookupError):  # no such user: libapt then downloads as root
            shutil.chown(partial, user="_apt")


def _is_right(path: Path, archive: Archive) -> bool:
    return path.stat().st_size == archive.size_bytes and sha256_of(path) == archive.sha256


def _check(path: Path, archive: Archive, name: str) -> None:
    try:
        checksum = sha256_of(path)
    except OSError as err:
        raise FetchError(f"cannot read package {path}: {err.strerror}") from err
    if checksum != archive.sha256:
        raise mismatch(name, archive.sha256, checksum)


def mismatch(name: str, expected: str, found: str) -> FetchError:
    return FetchError(
        f"Checksum mismatch for package {name}: expected {expected}, found {found}",
        hint="apt-ostree refresh-md fetches the current package lists",
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def human_size(size_bytes: int) -> str:
    """Decimal units as GLib's g_format_size prints them: `1.2 MB`."""
    if size_bytes < 1000:
        return f"{size_bytes} byte{'s' if size_bytes != 1 else ''}"
    value = float(size_bytes)
    units = ["kB", "MB", "GB", "TB"]
    while (value := value / 1000) >= 999.95 and len(units) > 1:
        units.pop(0)
    return f"{value:.1f} {units[0]}"

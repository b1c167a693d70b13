"""Values that a shell may offer: packages, deployments, refs, kernel arguments.

Read from files as they lie there, without libostree and libapt: somebody waits with a finger on
the key.  What cannot be read is not offered.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.model import origin as origins
from apt_ostree.model.origin import LocalPackage, Origin

_OURS = ("ostree/", "aptostree/")  # refs that are nobody's choice
_BOOT_LOADERS = ("ostree", "BOOT_IMAGE", "initrd")  # kernel arguments that are not the user's
_ENTRY_LINE = re.compile(r"^(version|options)\s+(.*)$", re.MULTILINE)
_FIELD = b"Package: "
_STAGED = Path("/run/ostree/staged-deployment")
_CMDLINE = Path("/proc/cmdline")


@dataclass(frozen=True, slots=True)
class Place:
    """What the command line so far says about where it works."""

    sysroot: Path = Path("/")
    repo: Path | None = None
    stateroot: str = ""

    @property
    def repository(self) -> Path:
        return self.repo or self.sysroot / "ostree/repo"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment by its directory; `kargs` are those of its boot entry."""

    directory: Path
    kargs: tuple[str, ...] = ()

    @property
    def stateroot(self) -> str:
        return self.directory.parent.parent.name

    @property
    def checksum(self) -> str:
        return self.directory.name.partition(".")[0]

    @property
    def id(self) -> str:
        return f"{self.stateroot}-{self.directory.name}"

    @property
    def origin(self) -> Origin:
        """Raises OriginError, OSError."""
        path = self.directory.with_name(f"{self.directory.name}.origin")
        return origins.parse(path.read_text(errors="replace"), source=str(path))


# -- deployments


def deployments(place: Place) -> list[Deployed]:
    """Deployments in the order of the boot menu, as `status` lists them."""
    root = place.sysroot / "ostree/deploy"
    there = [p for p in root.glob("*/deploy/*.[0-9]*") if p.is_dir()]
    entries = list(_entries(place.sysroot))
    known = {os.path.realpath(e.directory) for e in entries}
    rest = [Deployed(p) for p in there if os.path.realpath(p) not in known]
    if not entries:
        # No boot entries can be read, so let the newest come first.
        return sorted(rest, key=lambda d: d.directory.stat().st_ctime, reverse=True)
    is_staged = place.sysroot == Path("/") and _STAGED.exists()
    return [*(rest if is_staged else ()), *entries]


def _entries(sysroot: Path) -> Iterator[Deployed]:
    found: list[tuple[int, Deployed]] = []
    for path in (sysroot / "boot/loader/entries").glob("*.conf"):
        fields = dict(_ENTRY_LINE.findall(path.read_text(errors="replace")))
        words = tuple(fields.get("options", "").split())
        link = next((w for w in words if w.startswith("ostree=/")), "").removeprefix("ostree=/")
        target = Path(os.path.realpath(sysroot / link)) if link else None
        if target is not None and target.is_dir():
            version = fields.get("version", "")
            order = int(version) if version.isascii() and version.isdigit() else 0
            found.append((order, Deployed(target, words)))
    # libostree counts down from the default (ostree-bootloader.c, bls_config_key).
    return (entry for _, entry in sorted(found, key=lambda f: f[0], reverse=True))


def _chosen(place: Place) -> Deployed | None:
    """The deployment that a change starts from: the first of the stateroot."""
    return next((d for d in deployments(place) if place.stateroot in ("", d.stateroot)), None)


def _origin(place: Place) -> Origin:
    first = _chosen(place)
    return Origin() if first is None else first.origin


def ids(place: Place) -> Iterator[str]:
    return (d.id for d in deployments(place))


def checksums(place: Place) -> Iterator[str]:
    return (d.checksum for d in deployments(place))


def indices(place: Place) -> Iterator[str]:
    return (str(i) for i in range(len(deployments(place))))


def stateroots(place: Place) -> Iterator[str]:
    return (p.parent.name for p in (place.sysroot / "ostree/deploy").glob("*/var"))


def requested(place: Place) -> Iterator[str]:
    """What `uninstall` can take back."""
    origin = _origin(place)
    yield from origin.requested
    yield from _names((*origin.local, *origin.local_fileoverride))


def overridden(place: Place) -> Iterator[str]:
    """What `override reset` can take back."""
    origin = _origin(place)
    yield from origin.override_remove
    yield from _names(origin.override_local)
    for replacement in origin.override_remote:
        yield from replacement.packages


def _names(packages: Iterable[LocalPackage]) -> Iterator[str]:
    """`htop` of `htop-3.2.2-2.amd64`: a version begins with a digit (Policy 5.6.12)."""
    return (re.sub(r"-\d.*", "", p.nevra) for p in packages)


def tracked(place: Place) -> Iterator[str]:
    """Files of /etc in the initramfs."""
    return iter(_origin(place).initramfs_etc)


def kernel_arguments(place: Place) -> Iterator[str]:
    """Those of the deployment that a change starts from, else of the running kernel."""
    first = _chosen(place)
    words = first.kargs if first is not None else ()
    if not words and place.sysroot == Path("/"):
        words = tuple(_CMDLINE.read_text().split())
    return (w for w in words if w.partition("=")[0] not in _BOOT_LOADERS)


# -- commits


def refs(place: Place) -> Iterator[str]:
    """Branches in the repository, `REMOTE:BRANCH` for those of a remote."""
    for line in _lines("ostree", "refs", f"--repo={place.repository}"):
        if not line.startswith(_OURS):
            yield line


def remotes(place: Place) -> Iterator[str]:
    return iter(_lines("ostree", "remote", "list", f"--repo={place.repository}"))


def revisions(place: Place) -> Iterator[str]:
    """Branches and the commits that are deployed."""
    yield from refs(place)
    if place.repo is None:
        yield from checksums(place)


def _lines(*argv: str) -> list[str]:
    from apt_ostree.system.run import run  # most completions start nothing

    return run(argv, merge_stderr=False).output.split("\n")


# -- packages


def packages(place: Place, prefix: str) -> Iterator[str]:
    """Names in the lists that a refresh fetched; without any, what the host's apt knows."""
    if place.sysroot == Path("/"):
        folders = [Path("/var/cache/apt-ostree/lists")]
    else:
        folders = list((place.sysroot / "ostree/deploy").glob("*/var/cache/apt-ostree/lists"))
    files = [path for folder in folders for path in folder.glob("*_Packages")]
    for path in files:
        yield from _package_names(path, prefix)
    if not files:
        yield from _lines("apt-cache", "pkgnames", prefix)


def installed(place: Place, prefix: str) -> Iterator[str]:
    """Names of the packages of the first deployment."""
    first = _chosen(place)
    if first is not None:
        yield from _package_names(first.directory / "usr/lib/sysimage/dpkg/status", prefix)


def _package_names(path: Path, prefix: str) -> Iterator[str]:
    """Names in a file of stanzas.  Cost: 60 ms for the 57 MB of Debian 13; a regular expression
    takes 300, `apt-cache pkgnames` without its binary cache 700."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return  # nothing to map
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            for start in _starts(data, _FIELD + prefix.encode()):
                end = data.find(b"\n", start)
                line = data[start : end if end >= 0 else len(data)]
                yield line[len(_FIELD) :].decode(errors="replace").strip()


def _starts(data: mmap.mmap, key: bytes) -> Iterator[int]:
    """Where lines begin that begin with `key`."""
    if data[: len(key)] == key:
        yield 0
    at = data.find(b"\n" + key)
    while at >= 0:
        yield at + 1
        at = data.find(b"\n" + key, at + 1)


def readable(find: Callable[[], Iterable[str]]) -> Iterator[str]:
    """What `find` gives until it ends or something cannot be read."""
    with suppress(AptOstreeError, OSError):
        yield from find()

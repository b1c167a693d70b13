"""What the cache knows of one imported package, kept in its commit's metadata.

Everything an assembly needs before it looks at files is here, so that fifty packages are judged
without reading a tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from apt_ostree.apt.deb import Conffile
from apt_ostree.apt.debtar import Kind
from apt_ostree.model.package import Package
from apt_ostree.ostree.glib import Metadata
from apt_ostree.ostree.repo import Commit

# Raise it when an import of the same file would give another commit.
IMPORTER_VERSION = 5
TREE_DIR = "root"
ARCHIVE_NAME = "package.deb"


class Form(StrEnum):
    """Shapes in which a package's content is kept: files in place, or the .deb for dpkg."""

    TREE = "tree"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class StateRecord:
    """Something a package ships where a tree keeps nothing; `path` is below var or run.

    Directories are only recorded.  Files and links of /var are also at `usr/share/factory/PATH`.
    `target` is a link's text, or for `/opt` links the path in the tree.  Names are the archive's,
    empty when it has none.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    uname: str = ""
    gname: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """Result of reading a package's content once.

    `listed` is dpkg's `.list` file; `md5sums` the file that dpkg makes for a package without one
    (empty for others); `placed` maps paths in the tree to their kind, in archive
    order; `conffile_md5` maps absolute conffile paths to hex digests; `newest` is the latest
    member time (UNIX seconds); `obstacle` says why dpkg must unpack it, empty when nothing does.
    """

    listed: str
    placed: Mapping[str, Kind]
    state: tuple[StateRecord, ...]
    conffile_md5: Mapping[str, str]
    newest: int
    md5sums: str = ""
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One cached package; properties read single metadata values on demand."""

    package: Package
    commit: Commit
    sha256: str
    is_fast: bool
    forms: frozenset[Form]
    trim: str
    importer_version: int

    @classmethod
    def of(cls, commit: Commit) -> Self | None:
        """The entry of a package commit; None for any other commit."""
        names = commit.get("aptostree.package")
        if names is None:
            return None
        name, version, arch = names
        return cls(
            package=Package(name, arch, version),
            commit=commit,
            sha256=commit.get("aptostree.sha256"),
            is_fast=commit.get("aptostree.class") == "fast",
            forms=frozenset(Form(f) for f in commit.get("aptostree.forms")),
            trim=commit.get("aptostree.trim"),
            importer_version=commit.get("aptostree.importer-version"),
        )

    def _text(self, key: str) -> str:
        return str(self.commit.get(f"aptostree.{key}"))

    @property
    def checksum(self) -> str:
        return self.commit.checksum

    @property
    def size_bytes(self) -> int:
        """Of the .deb."""
        return int(self.commit.get("aptostree.size"))

    @property
    def reason(self) -> str:
        """Why the package is slow; empty when it is fast."""
        return self._text("class-reason")

    @property
    def control(self) -> str:
        """The control file as in the package."""
        return self._text("control")

    @property
    def stanza(self) -> str:
        """The status stanza `install ok unpacked` with real conffile digests."""
        return self._text("stanza")

    @property
    def source_id(self) -> str:
        return self._text("source-id")

    @property
    def triggers(self) -> str:
        """The control member `triggers`, empty when there is none."""
        return self._text("triggers")

    @property
    def info_prefix(self) -> str:
        """`NAME` or `NAME:ARCH`: the files are `usr/lib/sysimage/dpkg/info/PREFIX.MEMBER`."""
        return self._text("info-prefix")

    @property
    def info(self) -> tuple[str, ...]:
        """Names of the control members that dpkg keeps (`postinst`, `md5sums`, …)."""
        return tuple(self.commit.get("aptostree.info"))

    @property
    def conffiles(self) -> tuple[Conffile, ...]:
        return tuple(Conffile(*c) for c in self.commit.get("aptostree.conffiles"))

    @property
    def listed(self) -> tuple[str, ...]:
        """The package's paths as dpkg lists them (`/.`, `/bin/x`), in archive order."""
        return tuple(self._text("list").split("\n")[:-1])  # splitlines knows other line ends

    @property
    def placed(self) -> dict[str, Kind]:
        """Path in the tree (`usr/bin/x`) -> kind; trimmed paths are missing."""
        lines = self._text("paths").split("\n")[:-1]
        return {line[2:]: Kind(line[0]) for line in lines}

    @property
    def state(self) -> tuple[StateRecord, ...]:
        records = self.commit.get("aptostree.var")
        return tuple(StateRecord(path, Kind(kind), *rest) for path, kind, *rest in records)


def metadata_of(
    package: Package,
    contents: Contents,
    *,
    sha256: str,
    size_bytes: int,
    control: str,
    stanza: str,
    triggers: str,
    info: tuple[str, ...],
    info_prefix: str,
    conffiles: tuple[Conffile, ...],
    reason: str,
    forms: frozenset[Form],
    trim: str,
    source_id: str,
) -> Metadata:
    """The commit metadata that `Entry` reads back."""
    return {
        "aptostree.package": ("(sss)", (package.name, package.version, package.arch)),
        "aptostree.sha256": sha256,
        "aptostree.size": ("t", size_bytes),
        "aptostree.control": control,
        "aptostree.stanza": stanza,
        "aptostree.triggers": triggers,
        "aptostree.info": ("as", list(info)),
        "aptostree.info-prefix": info_prefix,
        "aptostree.conffiles": ("a(sb)", [(c.path, c.remove_on_upgrade) for c in conffiles]),
        "aptostree.class": "slow" if reason else "fast",
        "aptostree.class-reason": reason,
        "aptostree.forms": ("as", sorted(forms)),
        "aptostree.trim": trim,
        "aptostree.source-id": source_id,
        "aptostree.importer-version": ("u", IMPORTER_VERSION),
        "aptostree.list": contents.listed,
        "aptostree.paths": "".join(f"{kind} {path}\n" for path, kind in contents.placed.items()),
        "aptostree.var": ("a(ssuuusss)", [
            (s.path, str(s.kind), s.mode, s.uid, s.gid, s.uname, s.gname, s.target)
            for s in contents.state
        ]),
    }  # fmt: skip

"""One pass over a package's content: checked, placed, recorded, and written if it can be.

What dpkg's unpacking would do for a package on its own is done here; what depends on the tree it
goes to (diversions, statoverrides, Replaces) is the assembly's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from apt_ostree.apt.deb import Deb
from apt_ostree.apt.debtar import Kind, Member
from apt_ostree.assemble.entry import TREE_DIR, Contents, StateRecord
from apt_ostree.assemble.owners import fixed_owner
from apt_ostree.assemble.placement import FACTORY, Place, Policy, is_trimmed, place
from apt_ostree.assemble.sink import Readable, Sink
from apt_ostree.errors import PackageError

# Far in the future (year 2500): a forged time must not make an unreadable commit.
MAX_TIME = 16_725_225_600


class OnlyDpkg(Exception):
    """The content cannot be placed without dpkg; `args[0]` says why."""


@dataclass
class _Reading:
    """State of one pass.  `sink` is None when only the records are wanted."""

    deb: Deb
    policy: Policy
    sink: Sink | None
    conffiles: frozenset[str]
    hash_all: bool
    listed: list[str] = field(default_factory=list)
    listed_links: list[str] = field(default_factory=list)
    placed: dict[str, Kind] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)  # archive path -> tree path of a file
    links: dict[str, str] = field(default_factory=dict)  # tree path -> text
    attributes: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # of tree paths
    state: dict[str, StateRecord] = field(default_factory=dict)
    factory: dict[str, Member] = field(default_factory=dict)  # directories not yet written
    md5: dict[str, str] = field(default_factory=dict)
    newest: int = 0
    obstacle: str = ""


def read_contents(deb: Deb, policy: Policy, *, sink: Sink | None) -> Contents:
    """Read all of a package; with a `sink`, write its tree below `root/`.

    Raises PackageError for content that no tree can hold, OnlyDpkg (with a sink only) for content
    that needs the real dpkg.  Without a sink such content only sets `Contents.obstacle`.
    """
    # dpkg makes md5sums for packages that have none (unpack.c, write_filehash_except).
    hash_all = sink is not None and not any(i.name == "md5sums" for i in deb.info)
    conffiles = frozenset(c.path for c in deb.conffiles)
    reading = _Reading(deb, policy, sink, conffiles, hash_all)
    with deb.members() as members:
        for member, content in members:
            _read(reading, member, content)
    return Contents(
        # dpkg unpacks symbolic links after everything else (lib/dpkg/tarfn.c, tar_symlink_entry)
        listed="".join(f"{path}\n" for path in (*reading.listed, *reading.listed_links)),
        placed=reading.placed,
        state=tuple(reading.state.values()),
        conffile_md5={p: md5 for p, md5 in reading.md5.items() if p in conffiles},
        md5sums="".join(f"{md5}  {p[1:]}\n" for p, md5 in reading.md5.items() if hash_all),
        newest=min(reading.newest, MAX_TIME),
        obstacle=reading.obstacle,
    )


def _read(reading: _Reading, member: Member, content: Readable | None) -> None:
    listed = reading.listed_links if member.kind is Kind.LINK else reading.listed
    listed.append(member.listed)
    reading.newest = max(reading.newest, member.mtime)
    where = place(member.path, member.kind, reading.policy, package=reading.deb.package.nevra)
    if where.state is not None:
        _record(reading, member, where)
    if content is not None and (reading.hash_all or member.listed in reading.conffiles):
        digest = _Digesting(content)
        _store(reading, member, where, digest)
        reading.md5[member.listed] = digest.finish()
        return
    if member.kind is Kind.HARDLINK and f"/{member.target}" in reading.md5:
        reading.md5[member.listed] = reading.md5[f"/{member.target}"]
    _store(reading, member, where, content)


class _Digesting:
    """A reader that knows the md5 of what went through it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._md5 = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._md5.update(data)
        return data

    def finish(self) -> str:
        """Hex digest of the whole, whether or not someone read it."""
        while self.read(1 << 16):
            pass
        return self._md5.hexdigest()


def _store(reading: _Reading, member: Member, where: Place, content: Readable | None) -> None:
    if where.tree is None or is_trimmed(where.tree, member.kind, reading.policy):
        return
    owner = fixed_owner(member)
    if owner is None:
        _only_dpkg(reading, f"owner {member.uname}:{member.gname} of {member.listed} is dynamic")
        owner = (member.uid, member.gid)
    _write(reading, member, where.tree, content, owner)


def _only_dpkg(reading: _Reading, why: str) -> None:
    if reading.sink is not None:
        raise OnlyDpkg(why)
    reading.obstacle = reading.obstacle or why


def _record(reading: _Reading, member: Member, where: Place) -> None:
    assert where.state is not None
    target, kind = member.target, member.kind
    if where.tree is not None and where.state.startswith("var/opt/"):
        kind, target = Kind.LINK, where.tree
    elif kind is Kind.HARDLINK:
        kind, target = Kind.FILE, ""
    elif kind is Kind.DIRECTORY and where.state.startswith("var/"):
        reading.factory[where.state] = member
    reading.state.setdefault(where.state, StateRecord(
        where.state, kind, member.mode, member.uid, member.gid, member.uname, member.gname, target,
    ))  # fmt: skip


def _write(
    reading: _Reading,
    member: Member,
    path: str,
    content: Readable | None,
    owner: tuple[int, int],
) -> None:
    there = reading.placed.get(path)
    if there is not None:
        _check_twin(reading, member, path, there)
        return
    if not _has_real_parents(reading, path):
        _only_dpkg(reading, f"{member.listed} lies below a link of the package")
        return
    if path.startswith(f"{FACTORY}/var/"):
        _write_factory_parents(reading, path)
    kind, target = member.kind, member.target
    if kind is Kind.HARDLINK:
        found = reading.origins.get(target)
        if found is None:
            _only_dpkg(reading, f"{member.listed} is a hard link to something that is not placed")
            return
        target = found
        attributes = (member.mode, *owner)
        if reading.attributes.setdefault(target, attributes) != attributes:
            # dpkg gives the inode those of the last name (tarobject_set_perms)
            _only_dpkg(reading, f"{member.listed} and its hard link differ in mode or owner")
            return
        if (kind_there := reading.placed[target]) is Kind.LINK:
            kind, target = kind_there, reading.links[target]
    reading.placed[path] = Kind.FILE if kind is Kind.HARDLINK else kind
    if kind is Kind.LINK:
        reading.links[path] = target
    elif kind is Kind.FILE:
        reading.attributes[path] = (member.mode, *owner)
    if kind is not Kind.DIRECTORY:
        reading.origins[member.path] = target if kind is Kind.HARDLINK else path
    if reading.sink is not None:
        out = f"{TREE_DIR}/{path}"
        match kind:
            case Kind.DIRECTORY:
                reading.sink.directory(out, mode=_mode(member, reading.policy), owner=owner)
            case Kind.LINK:
                reading.sink.link(out, target, owner=owner)
            case Kind.HARDLINK:
                reading.sink.hardlink(out, f"{TREE_DIR}/{target}")
            case Kind.FILE:
                assert content is not None
                reading.sink.file(
                    out, content, size_bytes=member.size_bytes, owner=owner,
                    mode=_mode(member, reading.policy), capability=member.capability,
                )  # fmt: skip


def _mode(member: Member, policy: Policy) -> int:
    """Directories without u+w hinder whoever is not root (as rpm-ostree has it)."""
    if member.kind is Kind.DIRECTORY:
        return member.mode | 0o200
    if policy.readonly_executables and member.mode & 0o111:
        return member.mode & ~0o222
    return member.mode


def _has_real_parents(reading: _Reading, path: str) -> bool:
    """Whether no parent is a link or file of this package.  dpkg follows such links; we cannot."""
    parent = path.rpartition("/")[0]
    while parent:
        kind = reading.placed.get(parent)
        if kind is Kind.DIRECTORY:
            return True
        if kind is not None:
            return False
        parent = parent.rpartition("/")[0]
    return True


def _write_factory_parents(reading: _Reading, path: str) -> None:
    """Directories above a file of /var get their modes in the factory too, since tmpfiles' `C`
    copies them from there."""
    parts = path.removeprefix(f"{FACTORY}/").split("/")
    for depth in range(1, len(parts)):
        state = "/".join(parts[:depth])
        member = reading.factory.pop(state, None)
        if member is None or f"{FACTORY}/{state}" in reading.placed:
            continue
        owner = fixed_owner(member)
        if owner is None:
            _only_dpkg(reading, f"owner {member.uname}:{member.gname} of /{state} is dynamic")
            owner = (member.uid, member.gid)
        reading.placed[f"{FACTORY}/{state}"] = Kind.DIRECTORY
        if reading.sink is not None:
            target = f"{TREE_DIR}/{FACTORY}/{state}"
            reading.sink.directory(target, mode=_mode(member, reading.policy), owner=owner)


def _check_twin(reading: _Reading, member: Member, path: str, there: Kind) -> None:
    """The same tree path twice in one package, mostly /bin/x beside /usr/bin/x.

    Directories may repeat (the first one's mode counts, as with dpkg); files must be equal.
    """
    if member.kind is Kind.DIRECTORY and there is Kind.DIRECTORY:
        return
    names = {name for name, at in reading.origins.items() if at == path} | {member.path}
    if len(names) == 1 or not _are_equal(reading.deb, names):
        raise PackageError(
            f"package {reading.deb.package.nevra} has different content for /{path}: "
            + ", ".join(sorted(f"/{name}" for name in names))
        )


def _are_equal(deb: Deb, names: set[str]) -> bool:
    """Whether members have equal kind, mode, owner and content.  Reads the package again."""
    seen = set()
    with deb.members() as members:
        for member, content in members:
            if member.path in names:
                digest = hashlib.sha256()
                while content is not None and (chunk := content.read(1 << 16)):
                    digest.update(chunk)
                owner = (member.uid, member.gid)
                seen.add((member.kind, member.mode, owner, member.target, digest.digest()))
    return len(seen) == 1

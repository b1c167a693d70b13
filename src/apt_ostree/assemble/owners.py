"""Owners of packaged files as numbers, without looking at any machine's accounts.

dpkg gives a file to the account of the archive's *name* in the target tree and falls back to the
number (tarfn.c).  Names of base-passwd have the same number on every Debian system for ever, so
they need no look-up; any other name does, and then only dpkg itself can unpack the package.
"""

from __future__ import annotations

from apt_ostree.apt.debtar import Member

# base-passwd: passwd.master and group.master, without `_apt`, whose number depends on the release.
USERS = {
    "root": 0, "daemon": 1, "bin": 2, "sys": 3, "sync": 4, "games": 5, "man": 6, "lp": 7,
    "mail": 8, "news": 9, "uucp": 10, "proxy": 13, "www-data": 33, "backup": 34, "list": 38,
    "irc": 39, "nobody": 65534,
}  # fmt: skip
GROUPS = {
    "root": 0, "daemon": 1, "bin": 2, "sys": 3, "adm": 4, "tty": 5, "disk": 6, "lp": 7, "mail": 8,
    "news": 9, "uucp": 10, "man": 12, "proxy": 13, "kmem": 15, "dialout": 20, "fax": 21,
    "voice": 22, "cdrom": 24, "floppy": 25, "tape": 26, "sudo": 27, "audio": 29, "dip": 30,
    "www-data": 33, "backup": 34, "operator": 37, "list": 38, "irc": 39, "src": 40, "shadow": 42,
    "utmp": 43, "video": 44, "sasl": 45, "plugdev": 46, "staff": 50, "games": 60, "users": 100,
    "nogroup": 65534,
}  # fmt: skip


def fixed_owner(member: Member) -> tuple[int, int] | None:
    """(uid, gid) where they are the same in every tree, else None."""
    uid = member.uid if not member.uname else USERS.get(member.uname)
    gid = member.gid if not member.gname else GROUPS.get(member.gname)
    return None if uid is None or gid is None else (uid, gid)

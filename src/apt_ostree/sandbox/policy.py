"""What each kind of code may do in the sandbox: capabilities, time, processes, stand-ins."""

from __future__ import annotations

from dataclasses import dataclass

# Everything that is not named here is dropped.  Notably absent: CAP_SYS_ADMIN (mounts), CAP_MKNOD,
# CAP_SYS_PTRACE, CAP_NET_*, CAP_SYS_MODULE, CAP_DAC_READ_SEARCH (open_by_handle_at reaches files
# outside the mount namespace), CAP_LINUX_IMMUTABLE (`chattr +i` would make a tree undeletable).
CAPABILITY_REASONS = {
    "CAP_CHOWN": "dpkg and postinsts give files their owners",
    "CAP_DAC_OVERRIDE": "directories of service accounts are not accessible to root by mode",
    "CAP_FOWNER": "chmod, utime and xattrs on files already given to another account",
    "CAP_FSETID": "set-id bits survive a write or chown by dpkg",
    "CAP_KILL": "scripts stop helpers that they started under another account",
    "CAP_SETGID": "su, runuser, setpriv and dpkg-statoverride helpers",
    "CAP_SETUID": "su, runuser, setpriv",
    "CAP_SETPCAP": "setpriv and systemd tools drop their bounding set",
    "CAP_SYS_CHROOT": "postfix and other packages prepare chroot jails",
    "CAP_SETFCAP": "setcap in postinst (ping, mtr, gstreamer)",
}
_FILES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID")


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of one use of the sandbox.

    `timeout_s` is wall time of one run (None: unlimited), `process_limit` counts processes and
    threads alive at once, `tmp_bytes` bounds /tmp.  `has_intercepts` puts the stand-ins of
    `intercepts.py` before the real programs; `has_neutral_etc` hides the tree's own hosts
    and hostname.
    """

    name: str
    capabilities: tuple[str, ...]
    timeout_s: float | None
    process_limit: int
    has_intercepts: bool = False
    has_neutral_etc: bool = False
    tmp_bytes: int = 2 << 30
    env: tuple[tuple[str, str], ...] = ()


# One dpkg run holds the scripts of many packages, hence the long time.
MAINTAINER = Policy(
    "maintainer scripts",
    tuple(CAPABILITY_REASONS),
    timeout_s=3600,
    process_limit=4096,
    has_intercepts=True,
    has_neutral_etc=True,
)

# Written by the owner of the tree: may set hostname and hosts, and may call any real program.
POSTPROCESS = Policy(
    "postprocess scripts", tuple(CAPABILITY_REASONS), timeout_s=3600, process_limit=4096
)

# dracut 059 copies xattrs with `cp --preserve=xattr`, which fails on some overlay stores.
DRACUT = Policy(
    "dracut",
    (*_FILES, "CAP_SETFCAP", "CAP_SYS_CHROOT"),
    timeout_s=1800,
    process_limit=4096,
    tmp_bytes=8 << 30,
    env=(("DRACUT_NO_XATTR", "1"),),
)

TMPFILES = Policy("systemd-tmpfiles", (*_FILES, "CAP_SETFCAP"), timeout_s=120, process_limit=64)

# A compiler run by root; modules end in the tree, nothing else is needed.
DKMS = Policy("dkms", _FILES, timeout_s=7200, process_limit=8192, tmp_bytes=8 << 30)

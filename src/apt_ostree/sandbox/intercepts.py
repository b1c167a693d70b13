"""Programs that must not act while a tree is built, and what stands in for them.

One shell program plays all of them by the name it is called with.  It is never written into the
tree: it lies on the sandbox's own tmpfs, first in PATH, and is mounted over the programs' absolute
paths (scripts use both).  dpkg cannot replace or remove a file that is mounted over (EBUSY), so a
run that unpacks or removes packages gets the stand-ins through PATH only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from apt_ostree.sandbox.mountpoint import resolve

HOME = "/run/apt-ostree"  # inside the sandbox
BIN_DIR, REAL_DIR, PROGRAM, RECORD = (
    f"{HOME}/bin", f"{HOME}/real", f"{HOME}/intercept", f"{HOME}/requests"
)  # fmt: skip
SCRIPTS_DIR = f"{HOME}/scripts"
DIRECTORIES = (HOME, BIN_DIR, REAL_DIR, SCRIPTS_DIR)
RECORD_MAX_BYTES = 1 << 20


class Treatment(StrEnum):
    SUCCEED = "succeed"  # do nothing, exit 0
    FAIL = "fail"  # say why, exit 1
    DENY = "deny"  # exit 101: "action forbidden by policy" (invoke-rc.d(8))
    RECORD = "record"  # do nothing, note the call for `Sandbox.requests`
    WRAP = "wrap"  # decide by arguments, often running the real program


class Topic(StrEnum):
    """What a recorded call asked for."""

    INITRAMFS = "initramfs"
    BOOTLOADER = "bootloader"
    KERNEL = "kernel"
    MODULES = "modules"


@dataclass(frozen=True, slots=True)
class Intercept:
    """`shell` is the body for WRAP; it may call `record`, `succeed` and `real "$@"`."""

    program: str
    treatment: Treatment
    why: str
    topic: Topic | None = None
    shell: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A call that was recorded instead of made; the scripts' word, not to be trusted."""

    program: str
    arguments: str
    topic: Topic


# Enabling works on files and is real; starting and asking for states are not.  `--now` is refused
# by an offline systemctl, so it is dropped.
_SYSTEMCTL = """\
export SYSTEMD_OFFLINE=1
verb='' n=$#
while [ "$n" -gt 0 ]; do
    a=$1; shift; n=$((n - 1))
    [ "$a" = --now ] || set -- "$@" "$a"
    case $a in -*) ;; *) verb=${verb:-$a} ;; esac
done
case $verb in
    enable|disable|reenable|preset|preset-all|mask|unmask|is-enabled|link|revert) real "$@" ;;
    add-wants|add-requires|set-default|get-default|cat|'') real "$@" ;;
    is-active|is-failed) echo inactive; exit 3 ;;
    is-system-running) echo offline; exit 1 ;;
    status) exit 3 ;;
    *) succeed ;;
esac"""
# The kernel's hooks make an initramfs, boot entries and modules.  Their directories cannot be
# hidden instead: dpkg puts conffiles there while it configures.
_RUN_PARTS = """\
for a; do
    case ${a%/} in
        /etc/kernel/*.d|/usr/share/kernel/*.d|/etc/initramfs/*.d) record "$@"; succeed ;;
    esac
done
real "$@\""""
_DKMS = """\
case ${1-} in
    build|install|autoinstall|kernel_postinst.d_dkms) record "$@"; succeed ;;
esac
real "$@\""""
_UDEVADM = """\
case ${1-} in
    hwdb|verify|--version) real "$@" ;;
esac
succeed"""
_SYSCTL = """\
case " $* " in
    *' -w '*|*' -p'*|*' --load'*|*' --system '*|*' --write '*|*=*) succeed ;;
esac
real "$@\""""

_S, _F, _R, _W = Treatment.SUCCEED, Treatment.FAIL, Treatment.RECORD, Treatment.WRAP
TABLE: tuple[Intercept, ...] = (
    Intercept("policy-rc.d", Treatment.DENY, "invoke-rc.d and deb-systemd-invoke obey it"),
    Intercept("systemctl", _W, "no manager runs here; direct calls", shell=_SYSTEMCTL),
    Intercept("service", _S, "runs init scripts without asking policy-rc.d"),
    Intercept("start-stop-daemon", _S, "starts daemons"),
    Intercept("initctl", _S, "talks to init"),
    Intercept("telinit", _S, "talks to init"),
    Intercept("shutdown", _S, "talks to init"),
    Intercept("reboot", _S, "talks to init"),
    Intercept("halt", _S, "talks to init"),
    Intercept("poweroff", _S, "talks to init"),
    Intercept("update-initramfs", _R, "made once at the end", Topic.INITRAMFS),
    Intercept("dracut", _R, "made once at the end", Topic.INITRAMFS),
    Intercept("update-grub", _R, "boot entries are libostree's", Topic.BOOTLOADER),
    Intercept("update-grub2", _R, "boot entries are libostree's", Topic.BOOTLOADER),
    Intercept("grub-mkconfig", _R, "boot entries are libostree's", Topic.BOOTLOADER),
    Intercept("grub-install", _R, "the disk is not there", Topic.BOOTLOADER),
    Intercept("grub-multi-install", _R, "the disk is not there", Topic.BOOTLOADER),
    Intercept("bootctl", _R, "the ESP is not there", Topic.BOOTLOADER),
    Intercept("flash-kernel", _R, "the disk is not there", Topic.BOOTLOADER),
    Intercept("kernel-install", _R, "libostree places kernels", Topic.KERNEL),
    Intercept("run-parts", _W, "hooks of /etc/kernel", Topic.KERNEL, _RUN_PARTS),
    Intercept("linux-check-removal", _S, "would take the host's kernel for the tree's"),
    Intercept("linux-update-symlinks", _S, "makes /vmlinuz links, which nothing here reads"),
    Intercept("dkms", _W, "would build for the host's kernel", Topic.MODULES, _DKMS),
    Intercept("udevadm", _W, "no udevd runs here", shell=_UDEVADM),
    Intercept("sysctl", _W, "the kernel is the host's", shell=_SYSCTL),
    Intercept("modprobe", _S, "the kernel is the host's"),
    Intercept("dbus-send", _S, "no bus runs here"),
    Intercept("busctl", _S, "no bus runs here"),
    Intercept("systemd-run", _F, "no manager runs here"),
    Intercept("sss_cache", _S, "talks to a daemon"),
    Intercept("nscd", _S, "talks to a daemon"),
    Intercept("apt", _F, "the packages are decided before a tree is built"),
    Intercept("apt-get", _F, "the packages are decided before a tree is built"),
    Intercept("aptitude", _F, "the packages are decided before a tree is built"),
    Intercept("apt-key", _F, "keys belong into /etc/apt/keyrings"),
    Intercept("add-apt-repository", _F, "sources belong into /etc/apt/sources.list.d"),
)
# invoke-rc.d looks for it at this path only; no package ships it there.
POLICY_RC_D = "/usr/sbin/policy-rc.d"
_DIRECTORIES = ("/usr/bin", "/usr/sbin", "/bin", "/sbin")

_HEAD = f"""\
#!/bin/sh
# Stands in for programs that must not act while a tree is built (apt-ostree).
name=${{0##*/}}
succeed() {{ exit 0; }}
real() {{ exec "{REAL_DIR}/$name" "$@"; }}
record() {{ [ ! -w {RECORD} ] || printf '%s\\t%s\\n' "$name" "$*" >>{RECORD}; }}
case $name in
"""
_TAIL = 'esac\necho "$name: unknown to the sandbox" >&2\nexit 127\n'


def program_text() -> str:
    """The shell program that plays every program of the table."""
    return _HEAD + "".join(f"{i.program})\n{_body(i)}\n;;\n" for i in TABLE) + _TAIL


def _body(item: Intercept) -> str:
    match item.treatment:
        case Treatment.SUCCEED:
            return "succeed"
        case Treatment.DENY:
            return "exit 101"
        case Treatment.RECORD:
            return 'record "$@"; succeed'
        case Treatment.FAIL:
            return f'echo "$name: not possible while a tree is built: {item.why}" >&2; exit 1'
        case Treatment.WRAP:
            return item.shell


@dataclass(frozen=True, slots=True)
class Placed:
    """An intercept that the tree calls for; `paths` are regular files in the tree to cover,
    `real` is one of them, for stand-ins that run the real program."""

    item: Intercept
    paths: tuple[str, ...]
    real: str | None


def placed_in(root: Path) -> Iterator[Placed]:
    """The intercepts whose programs exist in the tree: a script that asks `command -v dracut` must
    get the right answer.  Links are not covered themselves; what they lead to is."""
    directories = [d for d in _DIRECTORIES if resolve(root, d) == d]
    for item in TABLE:
        paths = [f"{d}/{item.program}" for d in directories]
        found = [path for path in paths if os.path.lexists(f"{root}{path}")]
        files = tuple(p for p in found if stat.S_ISREG(os.lstat(f"{root}{p}").st_mode))
        real = files[0] if files else _target(root, found)
        if found:
            yield Placed(item, files, real)


def _target(root: Path, links: Sequence[str]) -> str | None:
    for link in links:
        path = resolve(root, link)
        if os.path.isfile(f"{root}{path}"):
            return path
    return None


def parse_requests(data: bytes) -> tuple[Request, ...]:
    """The recorded calls; lines that no stand-in wrote are skipped."""
    topics = {i.program: i.topic for i in TABLE if i.topic is not None}
    found = []
    for line in data[:RECORD_MAX_BYTES].decode(errors="replace").split("\n"):
        program, tab, arguments = line.partition("\t")
        topic = topics.get(program)
        if tab and topic is not None:
            found.append(Request(program, arguments, topic))
    return tuple(found)

"""The system call filter of the sandbox, compiled by libseccomp for every ABI of the machine.

Dropped capabilities already forbid mounting, and the PID and mount namespaces hide the host.  The
filter closes what capabilities do not cover: a new user namespace would hand root all of them
back (bwrap's --disable-userns works only inside a user namespace of its own, which would map a
single account and break chown), and kernel keyrings are not part of any namespace we make.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from functools import cache

from apt_ostree.errors import AptOstreeError, MissingToolError

CLONE_NEWUSER = 0x10000000

# name -> (errno, why)
REFUSED = {
    # flags lie behind a pointer that a filter cannot read; ENOSYS makes libc use clone(2)
    "clone3": (errno.ENOSYS, "could make a user namespace"),
    "setns": (errno.EPERM, "enters other namespaces"),
    "mount": (errno.EPERM, "mounts"),
    "umount": (errno.EPERM, "mounts"),
    "umount2": (errno.EPERM, "mounts"),
    "pivot_root": (errno.EPERM, "mounts"),
    "open_tree": (errno.EPERM, "mounts"),
    "open_tree_attr": (errno.EPERM, "mounts"),
    "move_mount": (errno.EPERM, "mounts"),
    "fsopen": (errno.EPERM, "mounts"),
    "fsconfig": (errno.EPERM, "mounts"),
    "fsmount": (errno.EPERM, "mounts"),
    "fspick": (errno.EPERM, "mounts"),
    "mount_setattr": (errno.EPERM, "mounts"),
    "open_by_handle_at": (errno.EPERM, "reaches files outside of the mount namespace"),
    "add_key": (errno.EPERM, "keyrings are shared with the host"),
    "keyctl": (errno.EPERM, "keyrings are shared with the host"),
    "request_key": (errno.EPERM, "keyrings are shared with the host"),
    "bpf": (errno.EPERM, "loads code into the kernel"),
    "perf_event_open": (errno.EPERM, "observes the kernel"),
    "userfaultfd": (errno.EPERM, "helps to exploit the kernel"),
    "init_module": (errno.EPERM, "loads code into the kernel"),
    "finit_module": (errno.EPERM, "loads code into the kernel"),
    "delete_module": (errno.EPERM, "changes the host's kernel"),
    "kexec_load": (errno.EPERM, "changes the host's kernel"),
    "kexec_file_load": (errno.EPERM, "changes the host's kernel"),
    "swapon": (errno.EPERM, "changes the host"),
    "swapoff": (errno.EPERM, "changes the host"),
    "reboot": (errno.EPERM, "changes the host"),
    "acct": (errno.EPERM, "changes the host"),
    "quotactl": (errno.EPERM, "changes the host"),
    "syslog": (errno.EPERM, "reads the host's kernel log"),
}
# Answered with success and not carried out.  dpkg syncs its database for each change of state, a
# thousand times for the Essential set; a tree that a crash interrupts is thrown away, and libostree
# syncs the files that it commits (ostree_repo_commit_transaction).
SKIPPED = ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "sync_file_range2")

# seccomp.h, stable ABI of libseccomp.so.2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_ATTR_BADARCH = 2
_CMP_MASKED_EQ = 7
_NR_ERROR = -1
# Second ABIs that run natively: machine -> AUDIT_ARCH tokens (linux/audit.h)
_MORE_ABIS = {"x86_64": (0x40000003,), "aarch64": (0x40000028,)}


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as err:
        raise MissingToolError(
            "'libseccomp' is not installed", hint="apt-get install libseccomp2"
        ) from err
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = (ctypes.c_uint32,)
    lib.seccomp_release.argtypes = (ctypes.c_void_p,)
    lib.seccomp_release.restype = None
    lib.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    lib.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    lib.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    lib.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
    )  # fmt: skip
    lib.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return lib


def _check(done: int, what: str) -> None:
    if done < 0 and done != -errno.EEXIST:
        raise AptOstreeError(f"building the system call filter: {what}: {os.strerror(-done)}")


def _forbid_user_namespaces(lib: ctypes.CDLL, context: int) -> None:
    # s390x swaps the first two arguments of clone(2)
    flags_at = 1 if platform.machine().startswith("s390") else 0
    for name, arg in (("clone", flags_at), ("unshare", 0)):
        test = _Comparison(arg, _CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)
        number = lib.seccomp_syscall_resolve_name(name.encode())
        _check(lib.seccomp_rule_add_array(
            context, _ERRNO | errno.EPERM, number, 1, ctypes.byref(test)), name)  # fmt: skip


@cache
def compiled_filter() -> bytes:
    """The filter as BPF, as `bwrap --seccomp` reads it.

    System calls that this libseccomp does not know are left out.  Raises MissingToolError without
    libseccomp: no package code runs unfiltered.
    """
    lib = _library()
    context = lib.seccomp_init(_ALLOW)
    try:
        _check(lib.seccomp_attr_set(context, _ATTR_BADARCH, _ERRNO | errno.ENOSYS), "abi")
        for token in _MORE_ABIS.get(platform.machine(), ()):
            _check(lib.seccomp_arch_add(context, token), "abi")
        answers = {name: number for name, (number, _why) in REFUSED.items()}
        answers |= dict.fromkeys(SKIPPED, 0)
        for name, number in answers.items():
            syscall = lib.seccomp_syscall_resolve_name(name.encode())
            if syscall != _NR_ERROR:
                done = lib.seccomp_rule_add_array(context, _ERRNO | number, syscall, 0, None)
                _check(done, name)
        _forbid_user_namespaces(lib, context)
        fd = os.memfd_create("seccomp")
        try:
            _check(lib.seccomp_export_bpf(context, fd), "export")
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
    finally:
        lib.seccomp_release(context)

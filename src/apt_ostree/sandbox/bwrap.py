"""The sandbox in which every line of package code runs: a tree as `/`, and nothing of the host.

What is not listed here does not exist inside.  Verified by hostile scripts in the tests.
"""

from __future__ import annotations

import os
import signal
import stat
import tempfile
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from apt_ostree.errors import AptOstreeError, CommandError, ScriptError
from apt_ostree.sandbox import intercepts, seccomp
from apt_ostree.sandbox.mountpoint import MountPoints, has_no_links, resolve
from apt_ostree.sandbox.policy import MAINTAINER, Policy
from apt_ostree.sandbox.process import Limits, LineSink, supervise
from apt_ostree.system.fs import scratch_dir
from apt_ostree.system.mount import bind, tmpfs
from apt_ostree.system.run import TAIL_LINES, Result

HOSTNAME = "localhost"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_MAX_LINES = 20_000  # older lines are dropped from Result.output, every line is passed on

# Debian Policy 3.9.1 and the manual pages of the programs that read them.
ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "SYSTEMD_OFFLINE": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "yes",
    "UCF_FORCE_CONFFNEW": "1",
    "NEEDRESTART_SUSPEND": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "INITRD": "No",
}
# Only over files that the tree has, so that no mount point is left behind.  Not resolv.conf, which
# does nothing without a network: systemd-resolved replaces it by a link, and a mount is in the way.
NEUTRAL_ETC = {
    "/etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    "/etc/hostname": f"{HOSTNAME}\n",
}
_SYS = ("block", "bus", "class", "dev", "devices")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_RUN_BYTES = 256 << 20


class Cover(Enum):
    """Where stand-ins are seen."""

    PATHS = "paths"  # first in PATH, and over the absolute paths
    NAMES = "names"  # only first in PATH: for runs that replace or remove files
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Bind:
    """`source` on the host appears at `target` in the sandbox.

    A source below the root must be reachable without links, since a package could have made one
    that leads to the host.
    """

    source: Path
    target: str
    read_only: bool = False


@dataclass(slots=True)
class Sandbox:
    """Runs programs in one tree; made by `target_root`."""

    root: Path
    policy: Policy
    environment: Mapping[str, str]
    binds: tuple[Bind, ...]
    has_ostree_booted: bool
    state: Path
    cancel: threading.Event | None = None
    _output: deque[str] = field(default_factory=lambda: deque(maxlen=OUTPUT_MAX_LINES))

    @property
    def requests(self) -> tuple[intercepts.Request, ...]:
        """What scripts asked for and did not get (an initramfs, boot entries), oldest first."""
        with (self.state / "requests").open("rb") as record:
            return intercepts.parse_requests(record.read(intercepts.RECORD_MAX_BYTES))

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ok: Collection[int] = (0,),
        binds: Sequence[Bind] = (),
        cover: Cover | None = None,
        on_line: LineSink | None = None,
        extra: Mapping[int, LineSink] | None = None,
        pass_fds: Collection[int] = (),
        timeout_s: float | None = None,
    ) -> Result:
        """Run a program of the tree to its end; stdin is empty, stderr goes into the output.

        When it returns or raises, every process it started is gone.  `cover` defaults to what the
        policy says, `timeout_s` likewise; `extra` maps descriptors to read to what takes their
        lines.  Raises CommandError when the status is not in `ok` (128 + N: killed by signal N),
        ScriptError when a limit was exceeded, CancelledError, AptOstreeError when the sandbox
        cannot be set up.
        """
        self._output.clear()
        chosen = cover or (Cover.PATHS if self.policy.has_intercepts else Cover.NONE)
        limits = Limits(timeout_s or self.policy.timeout_s, self.policy.process_limit, self.cancel)

        def sink(line: str) -> None:
            self._output.append(line)
            if on_line is not None:
                on_line(line)

        with ExitStack() as stack:
            points = MountPoints(self.root)
            stack.callback(points.remove)
            plan = _Arguments(self.root, points, stack)
            plan.base(self.policy, self.state, has_etc_defaults=_has_only_default_etc(self.root))
            for item in (*self.binds, *binds):
                plan.bind(item)
            plan.stand_ins(chosen, self.state / "requests")
            if self.has_ostree_booted:
                plan.file("/run/ostree-booted", b"", mode=0o644)
            plan.environment({**self.environment, **(env or {})}, has_bin=chosen is not Cover.NONE)
            try:
                status = supervise(
                    (*plan.argv, "--", *argv), limits=limits, on_line=sink, extra=extra,
                    pass_fds=(*plan.fds, *pass_fds),
                )  # fmt: skip
            except ScriptError as err:
                raise ScriptError(f"{argv[0]} {err.message}", details=self._tail()) from err
        if status not in ok:
            is_signal = 128 < status <= 128 + signal.NSIG
            shown = 128 - status if is_signal else status
            raise CommandError(argv, shown, self._tail())
        return Result(tuple(argv), status, "".join(f"{line}\n" for line in self._output))

    def _tail(self) -> list[str]:
        return list(self._output)[-TAIL_LINES:]


@contextmanager
def target_root(
    root: Path,
    *,
    policy: Policy = MAINTAINER,
    source_date_epoch: int | None = None,
    var_binds: Sequence[Bind] = (),
    env: Mapping[str, str] | None = None,
    has_ostree_booted: bool = True,
    cancel: threading.Event | None = None,
) -> Iterator[Sandbox]:
    """A sandbox over the complete tree `root`, which it may write to.

    `root/usr/etc` appears as /etc when the tree has no other.  `var_binds` put host paths (state
    that has its home elsewhere in the tree) at paths in the sandbox.  `cancel`, once set, stops
    the program that runs and refuses further ones.

    Makes mounts: call `system.mount.enter_private_namespace` first, so that they cannot outlive a
    process that is killed.
    """
    real_root = root.resolve(strict=True)
    environment = {**ENVIRONMENT, **dict(policy.env), **(env or {})}
    if source_date_epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(source_date_epoch)
    with ExitStack() as stack:
        state = stack.enter_context(scratch_dir("box", Path(tempfile.gettempdir())))
        record = state / "requests"
        record.touch()
        record.chmod(0o666)  # scripts may drop privileges before they call a stand-in
        stack.enter_context(_devices(state / "dev"))
        yield Sandbox(real_root, policy, environment, tuple(var_binds), has_ostree_booted,
                      state, cancel)  # fmt: skip


@contextmanager
def _devices(place: Path) -> Iterator[None]:
    """Device nodes of our own at `place`, on a read-only mount.

    bwrap would bind the host's (bubblewrap.c, setup_dev), where root in the sandbox could chmod
    and chown them for the host.  Its --remount-ro does not help, since it adds `nodev`.
    """
    place.mkdir()
    with ExitStack() as stack:
        stack.enter_context(tmpfs(place))
        for name in _DEVICES:
            number = os.stat(f"/dev/{name}").st_rdev
            try:
                os.mknod(place / name, stat.S_IFCHR | 0o666, number)
                os.chmod(place / name, 0o666)
            except PermissionError:  # in a container without CAP_MKNOD
                (place / name).touch()
                stack.enter_context(bind(Path("/dev", name), place / name, read_only=True))
        stack.enter_context(bind(place, place, read_only=True))
        yield


def _has_only_default_etc(root: Path) -> bool:
    defaults, etc = root / "usr/etc", root / "etc"
    if not defaults.is_dir() or not has_no_links(root, defaults):
        return False
    return not os.path.lexists(etc) or (has_no_links(root, etc) and not any(etc.iterdir()))


class _Arguments:
    """bwrap's command line in the making; the order of mounts is the order of calls."""

    def __init__(self, root: Path, points: MountPoints, stack: ExitStack) -> None:
        self.argv: list[str] = []
        self.fds: list[int] = []
        self._root, self._points, self._stack = root, points, stack

    def base(self, policy: Policy, state: Path, *, has_etc_defaults: bool) -> None:
        self.argv += [
            "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-uts",
            "--unshare-ipc", "--unshare-net", "--unshare-cgroup-try", "--hostname", HOSTNAME,
            "--chdir", "/", "--cap-drop", "ALL",
        ]  # fmt: skip
        for name in policy.capabilities:
            self.argv += ["--cap-add", name]
        self.argv += ["--seccomp", str(self._memory_file(seccomp.compiled_filter()))]
        self.argv += ["--bind", str(self._root), "/"]
        if has_etc_defaults:
            self.argv += ["--bind", f"{self._root}/usr/etc", self._points.directory("/etc")]
        # chmod on an entry of /proc would change it for the host, too (fs/proc/generic.c)
        proc, dev = self._points.directory("/proc"), self._points.directory("/dev")
        self.argv += ["--proc", proc, "--remount-ro", proc, "--dev", dev]
        for name in _DEVICES:
            self.argv += ["--dev-bind", str(state / "dev" / name), f"{dev}/{name}"]
        run, tmp = self._points.directory("/run"), self._points.directory("/tmp")
        self.argv += ["--perms", "0755", "--size", str(_RUN_BYTES), "--tmpfs", run]
        self.argv += ["--perms", "1777", "--dir", f"{run}/lock"]
        self.argv += ["--perms", "0755", "--dir", f"{run}/media"]  # /media leads there
        for directory in intercepts.DIRECTORIES:  # bwrap would make them 0700 on the way
            self.argv += ["--perms", "0755", "--dir", directory]
        self.argv += ["--perms", "1777", "--size", str(policy.tmp_bytes), "--tmpfs", tmp]
        self._sys()
        if policy.has_neutral_etc:
            for path, text in NEUTRAL_ETC.items():
                inside = f"/usr{path}" if has_etc_defaults else path
                source = f"{self._root}{inside}"
                if resolve(self._root, inside) == inside and os.path.isfile(source):
                    self.file(path, text.encode(), mode=0o644, is_bound=True)

    def _sys(self) -> None:
        sys = self._points.directory("/sys")
        self.argv += ["--tmpfs", sys]
        for name in _SYS:
            if os.path.isdir(f"/sys/{name}"):
                self.argv += ["--ro-bind", f"/sys/{name}", f"{sys}/{name}"]
        self.argv += ["--remount-ro", sys]

    def bind(self, item: Bind) -> None:
        """A bind of the caller; raises AptOstreeError for a source with links below the root."""
        source, target = item.source, item.target
        if source.is_relative_to(self._root) and not has_no_links(self._root, source):
            raise AptOstreeError(
                f"'{source.relative_to(self._root)}' in the tree is or passes a symbolic link",
                hint="the tree is damaged; start from a clean base",
            )
        if not target.startswith(("/run/", "/tmp/")):
            place = self._points.directory if source.is_dir() else self._points.file
            target = place(target)
        self.argv += ["--ro-bind" if item.read_only else "--bind", str(source), target]

    def file(self, path: str, data: bytes, *, mode: int, is_bound: bool = False) -> None:
        """Own content at `path`: a file on a tmpfs, or `is_bound` over a file of the tree."""
        how = "--ro-bind-data" if is_bound else "--file"
        self.argv += ["--perms", f"{mode:04o}", how, str(self._memory_file(data)), path]

    def stand_ins(self, cover: Cover, record: Path) -> None:
        if cover is Cover.NONE:
            return
        text = intercepts.program_text().encode()
        self.file(intercepts.PROGRAM, text, mode=0o755)
        self.argv += ["--bind", str(record), intercepts.RECORD]
        policy_rc_d = resolve(self._root, intercepts.POLICY_RC_D)
        if cover is Cover.PATHS or not os.path.lexists(f"{self._root}{policy_rc_d}"):
            place = self._points.file(policy_rc_d)
            self.file(place, text, mode=0o755, is_bound=True)
        for placed in intercepts.placed_in(self._root):
            name = placed.item.program
            self.argv += ["--symlink", intercepts.PROGRAM, f"{intercepts.BIN_DIR}/{name}"]
            if placed.real is not None and placed.item.treatment is intercepts.Treatment.WRAP:
                real = f"{self._root}{placed.real}"
                self.argv += ["--ro-bind", real, f"{intercepts.REAL_DIR}/{name}"]
            for path in placed.paths if cover is Cover.PATHS else ():
                if path != policy_rc_d:
                    self.file(path, text, mode=0o755, is_bound=True)

    def environment(self, values: Mapping[str, str], *, has_bin: bool) -> None:
        path = f"{intercepts.BIN_DIR}:{PATH}" if has_bin else PATH
        self.argv.append("--clearenv")
        for name, value in {"PATH": path, **values}.items():
            self.argv += ["--setenv", name, value]

    def _memory_file(self, data: bytes) -> int:
        fd = os.memfd_create("apt-ostree")
        self._stack.callback(os.close, fd)
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        self.fds.append(fd)
        return fd

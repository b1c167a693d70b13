"""One bwrap process from start to end: output, limits, cancelling, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import resource
import selectors
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from apt_ostree.errors import AptOstreeError, CancelledError, MissingToolError, ScriptError
from apt_ostree.sandbox.pidlimit import Limit, limited
from apt_ostree.system.run import KEEP_ENV, spawn

_START_S, _DEATH_S = 30.0, 30.0
_CHUNK = 1 << 16
_LINE_MAX = 1 << 13
_NO_PROGRAM = re.compile(r"execvp (.+?): No such file or directory")
# bwrap itself stays visible as PID 1: /proc/1/environ must not show our proxies and passwords
_NO_ENV = {name: "" for name in KEEP_ENV if name != "PATH"}

LineSink = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one run; `cancel` set means: stop now."""

    timeout_s: float | None
    process_limit: int
    cancel: threading.Event | None = None


@dataclass(slots=True)
class Lines:
    """Cuts a byte stream into lines; overlong lines are cut rather than kept in memory."""

    sink: LineSink
    rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        self.rest += data
        *whole, tail = self.rest.split(b"\n")
        for line in whole:
            self._give(line)
        while len(tail) > _LINE_MAX:
            self._give(tail[:_LINE_MAX])
            del tail[:_LINE_MAX]
        self.rest = tail

    def end(self) -> None:
        if self.rest:
            self._give(self.rest)
            self.rest = bytearray()

    def _give(self, line: bytearray) -> None:
        for start in range(0, max(len(line), 1), _LINE_MAX):
            text = line[start : start + _LINE_MAX].decode(errors="replace")
            self.sink(text.removesuffix("\r"))


class _Watch:
    """What is read while the sandbox runs; `extra` descriptors come before the output."""

    def __init__(self, output: int, on_line: LineSink, extra: Mapping[int, LineSink]) -> None:
        self._streams = {fd: Lines(sink) for fd, sink in extra.items()}
        self._streams[output] = Lines(on_line)
        self._selector = selectors.DefaultSelector()
        for fd in self._streams:
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)

    def wait(self, exit_fd: int, tick_s: float) -> bool:
        """Read what is there within `tick_s`; true when `exit_fd`, a pidfd, says it ended."""
        if exit_fd not in self._selector.get_map():
            self._selector.register(exit_fd, selectors.EVENT_READ)
        ready = {key.fd for key, _ in self._selector.select(tick_s)}
        for fd in self._streams:
            if fd in ready:
                self._read(fd)
        return exit_fd in ready

    def _read(self, fd: int) -> bool:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            self._streams[fd].feed(data)
            return True
        self._selector.unregister(fd)
        return False

    def drain(self) -> None:
        """Read the rest; every writer is dead by now."""
        for fd, lines in self._streams.items():
            if fd in self._selector.get_map():
                while self._read(fd):
                    pass
            lines.end()
        self._selector.close()


def supervise(
    argv: Sequence[str],
    *,
    limits: Limits,
    on_line: LineSink,
    extra: Mapping[int, LineSink] | None = None,
    pass_fds: Collection[int] = (),
) -> int:
    """Run bwrap (`argv` are its arguments after the program name) and return the exit status.

    When this returns or raises, no process of the sandbox is left.  `on_line` gets each line of
    output, the descriptors in `extra` (read ends) their lines.  Raises CancelledError, ScriptError
    for exceeded limits, AptOstreeError when the sandbox could not be set up.
    """
    if limits.cancel is not None and limits.cancel.is_set():
        raise CancelledError
    setup_said: list[str] = []

    def sink(line: str) -> None:
        if line.startswith("bwrap: "):
            setup_said.append(line)
        on_line(line)

    with ExitStack() as stack:
        limit = stack.enter_context(limited(limits.process_limit))
        theirs = stack.enter_context(ExitStack())  # descriptors that only the child needs
        report_r, report_w = _pipe(stack, theirs)
        gate_r, gate_w = _pipe(theirs, stack)
        stdin_r = _empty_stdin(theirs)
        command = ("bwrap", "--json-status-fd", str(report_w), "--block-fd", str(gate_r), *argv)
        fds = (report_w, gate_r, *pass_fds)
        running = spawn(command, env=_NO_ENV, stdin=stdin_r, pass_fds=fds, umask=0o022)
        child = stack.enter_context(running)
        theirs.close()
        assert child.stdout is not None
        watch = _Watch(child.stdout.fileno(), sink, extra or {})
        first = _first_process(report_r)
        if first is None:
            child.kill()
        else:
            with _killed_at_end(first) as first_fd:
                if _admit(first, limit):
                    with suppress(BrokenPipeError):
                        os.write(gate_w, b"x")
                _follow(watch, child.pid, limits, limit)
                _kill(first_fd)
        status = child.wait()
        watch.drain()
        if b"exit-code" not in os.read(report_r, _CHUNK):
            text = "; ".join(setup_said) or f"bwrap ended with status {status}"
            missing = _NO_PROGRAM.search(text)
            if missing is not None:
                raise MissingToolError(f"the tree has no program '{missing[1]}'")
            raise AptOstreeError(
                f"the sandbox cannot be set up: {text}",
                hint="run as root on a system that allows mount and PID namespaces",
            )
        return status


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end


def _empty_stdin(owner: ExitStack) -> int:
    """A descriptor at end of file.

    Not /dev/null: through an open descriptor root in the sandbox could chmod the host's device.
    """
    with ExitStack() as writer:
        read_end, _ = _pipe(owner, writer)
    return read_end


def _first_process(report: int) -> int | None:
    """The sandbox's PID 1 as we see it, from bwrap's first status line; None if it never began."""
    deadline = time.monotonic() + _START_S
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(report, selectors.EVENT_READ)
        while b"\n" not in text and time.monotonic() < deadline:
            if selector.select(deadline - time.monotonic()):
                data = os.read(report, 1024)
                if not data:
                    return None
                text += data
    return int(json.loads(text.splitlines()[0])["child-pid"]) if text else None


@contextmanager
def _killed_at_end(pid: int) -> Iterator[int | None]:
    """A pidfd of `pid`, None when that has ended already, as it does when the setup fails."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd
    finally:
        _kill(fd)
        os.close(fd)


def _admit(pid: int, limit: Limit) -> bool:
    """Put limits on the sandbox's first process; false when it has ended already."""
    try:
        limit.add(pid)
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    except ProcessLookupError:
        return False
    return True


def _kill(pidfd: int | None) -> None:
    """Kill a PID namespace by its first process and wait until its last member is gone.

    A namespace's first process is reported dead only after the kernel has killed and reaped all
    others (kernel/pid_namespace.c, zap_pid_ns_processes).
    """
    if pidfd is None:
        return
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    with selectors.DefaultSelector() as selector:
        selector.register(pidfd, selectors.EVENT_READ)
        if not selector.select(_DEATH_S):
            raise AptOstreeError(
                "processes of the sandbox cannot be killed",
                hint="they wait for a device; look at the kernel's log",
            )


def _follow(watch: _Watch, pid: int, limits: Limits, limit: Limit) -> None:
    """Until bwrap ends, which it does with the program that was asked for."""
    deadline = None if limits.timeout_s is None else time.monotonic() + limits.timeout_s
    exit_fd = os.pidfd_open(pid)
    try:
        next_look = time.monotonic() + limit.tick_s
        while not watch.wait(exit_fd, limit.tick_s):
            now = time.monotonic()
            if limits.cancel is not None and limits.cancel.is_set():
                raise CancelledError
            if deadline is not None and now >= deadline:
                raise ScriptError(f"did not end within {limits.timeout_s:g} s and was stopped")
            if now >= next_look:
                next_look = now + limit.tick_s
                if limit.is_exceeded():
                    raise ScriptError(f"started more than {limits.process_limit} processes "
                                      "and was stopped")  # fmt: skip
        if limit.is_exceeded():
            raise ScriptError(f"started more than {limits.process_limit} processes")
    finally:
        os.close(exit_fd)

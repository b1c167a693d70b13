"""Worker processes, as the daemon sees them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from apt_ostree.daemon import report
from apt_ostree.daemon.flow import Resume, Waiting
from apt_ostree.daemon.job import Job
from apt_ostree.daemon.report import Report
from apt_ostree.errors import AptOstreeError
from apt_ostree.system import run
from apt_ostree.wire.glib import GLib

GRACE_S = 20  # what a cancelled worker may take to unwind (a script of dpkg must be reaped)
_CHUNK = 65536


class Worker:
    """One job in a process of its own.

    `on_report` gets what it says, `on_end` the last word: a report of the kind `done` or `failed`,
    also when the process was killed.  The descriptors of the job are closed by whoever made them.
    """

    def __init__(
        self, job: Job, on_report: Callable[[Report], None], on_end: Callable[[Report], None]
    ) -> None:
        self._on_report = on_report
        self._on_end = on_end
        self._last: Report | None = None
        self._buffer = b""
        self._status: int | None = None
        self._is_read = False
        self._killer = 0
        self._pipe, theirs = os.pipe()
        stdin, feed = os.pipe()
        try:
            self._process = run.start(
                (sys.executable, "-m", "apt_ostree.daemon.worker", str(theirs)),
                env=_environment(), stdin=stdin, pass_fds=(theirs, *job.fds),
            )  # fmt: skip
        finally:
            os.close(theirs)
            os.close(stdin)
        with open(feed, "wb") as pipe, suppress(BrokenPipeError):
            pipe.write(job.to_json().encode())
        os.set_blocking(self._pipe, False)
        GLib.unix_fd_add_full(
            GLib.PRIORITY_DEFAULT,
            self._pipe,
            GLib.IOCondition.IN | GLib.IOCondition.HUP,
            self._read,
        )
        GLib.child_watch_add(GLib.PRIORITY_DEFAULT, self._process.pid, self._ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ask it to unwind; kill it with everything that it started when it does not."""
        if self._status is not None:
            return
        self._signal(signal.SIGTERM)
        if not self._killer:
            self._killer = GLib.timeout_add_seconds(GRACE_S, self._kill)

    def _kill(self) -> bool:
        self._killer = 0
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return bool(GLib.SOURCE_REMOVE)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _read(self, fd: int, _condition: GLib.IOCondition) -> bool:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return bool(GLib.SOURCE_CONTINUE)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if data:
            return bool(GLib.SOURCE_CONTINUE)
        os.close(fd)
        self._is_read = True
        self._finish()
        return bool(GLib.SOURCE_REMOVE)

    def _take(self, said: Report) -> None:
        if said["kind"] in ("done", "failed"):
            self._last = said
        else:
            self._on_report(said)

    def _ended(self, _pid: int, status: int) -> None:
        self._status = os.waitstatus_to_exitcode(status)
        self._process.returncode = self._status
        if self._killer:
            GLib.source_remove(self._killer)
            self._killer = 0
        self._finish()

    def _finish(self) -> None:
        """Both ends are needed: the pipe's, for all that was said, and the process's."""
        if self._status is None or not self._is_read:
            return
        if self._last is None:
            self._last = {"kind": "failed", "error": report.died(self._status)}
        self._on_end(self._last)


def _environment() -> dict[str, str]:
    """Ours: the unit's settings (proxies, debugging, failure points) are meant for the worker."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    return {**os.environ, "PYTHONPATH": top, "PYTHONDONTWRITEBYTECODE": "1"}


async def ask(job: Job) -> Any:
    """The result of a job that only looks; raises the AptOstreeError that it failed with."""

    def begin(resume: Resume) -> None:
        def on_end(last: Report) -> None:
            if last["kind"] == "done":
                resume(last["result"], None)
            else:
                error = last["error"]
                resume(None, AptOstreeError(report.whole_text(error), hint=error["hint"]))

        Worker(job, lambda _: None, on_end)

    return await Waiting(begin)

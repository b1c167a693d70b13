"""The apt process: one request from stdin, progress and one result to stdout (see job.py)."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from apt_ostree.apt.root import AptRoot
from apt_ostree.errors import AptOstreeError
from apt_ostree.system import fs

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class PipeProgress:
    """Progress that the parent shows."""

    def __init__(self, fd: int) -> None:
        self._out = os.fdopen(fd, "w", encoding="utf-8")

    def send(self, kind: str, value: Any) -> None:
        self._out.write(json.dumps([kind, value]) + "\n")
        self._out.flush()

    def message(self, text: str) -> None:
        self.send("message", text)

    def task_begin(self, text: str) -> None:
        self.send("begin", text)

    def task_end(self, suffix: str = "done") -> None:
        self.send("end", suffix)

    def percent(self, text: str, percent: int) -> None:
        self.send("percent", [text, percent])


def _send_failure(out: PipeProgress, err: AptOstreeError) -> None:
    out.send("error", {
        "class": type(err).__name__, "message": err.message, "hint": err.hint,
        "details": err.details,
    })  # fmt: skip


def _die_with_parent() -> None:
    """Ask for SIGKILL when the parent is killed: nobody would wait for the answer (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if str(os.getppid()) != os.environ.get("APT_OSTREE_PARENT"):  # it was killed before
        os._exit(1)


def main() -> int:
    # Ctrl-C reaches the parent, which ends this process; a traceback here would help nobody.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _die_with_parent()
    # stdout carries the answer; whatever libapt prints must not get between its lines.
    out = PipeProgress(os.dup(1))
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    from apt_ostree.apt import engine

    try:
        result = engine.run(
            request["job"],
            AptRoot.from_dict(request["root"]),
            Path(request["work"]),
            request["arguments"],
            out,
        )
    except AptOstreeError as err:
        _send_failure(out, err)
    except OSError as err:
        refusal = fs.refusal(err)
        if refusal is None:
            raise
        _send_failure(out, refusal)
    else:
        out.send("result", result)
    # Unmapping apt's cache and freeing Python's objects takes time that nobody needs.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

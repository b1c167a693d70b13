"""What a worker says while it works: one JSON object a line, through a pipe of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Outcome
from apt_ostree.model.plan import Plan

Report = Mapping[str, Any]


class Reporter:
    """A `Progress` (and `PlanWatcher`) that writes to a descriptor.

    The daemon may be gone; work that has begun goes on to its end or is killed, but does not fail
    because nobody listens.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _say(self, kind: str, **values: Any) -> None:
        data = (json.dumps({"kind": kind, **values}) + "\n").encode()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except BrokenPipeError:
            pass

    def message(self, text: str) -> None:
        self._say("message", text=text)

    def task_begin(self, text: str) -> None:
        self._say("task-begin", text=text)

    def task_end(self, suffix: str = "done") -> None:
        self._say("task-end", text=suffix)

    def percent(self, text: str, percent: int) -> None:
        self._say("percent", text=text, percent=percent)

    def plan_ready(self, plan: Plan) -> None:
        self._say("plan", plan=plan.as_dict())

    def done(self, result: Any) -> None:
        """The result of the verb, in JSON values."""
        self._say("done", result=result.as_dict() if isinstance(result, Outcome) else result)

    def failed(self, error: AptOstreeError) -> None:
        self._say("failed", error=error_json(error))


def error_json(error: AptOstreeError) -> dict[str, Any]:
    return {
        "message": error.message,
        "details": list(error.details),
        "hint": error.hint,
        "exit": error.exit_code,
        "type": type(error).__name__,
    }


def whole_text(error: Report) -> str:
    """An error as the one string that D-Bus has for it."""
    return "\n".join([error["message"], *error["details"]])


def died(status: int) -> dict[str, Any]:
    """The error of a worker that ended without saying how; `status` is of os.waitstatus."""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    hint = "journalctl -u apt-ostreed shows what it said"
    return error_json(AptOstreeError(f"the worker process {how}", hint=hint))

"""Run one piece of apt work in a process of its own, and be told what it says.

libapt's configuration is global to a process and its memory is never given back, so each job gets
a fresh interpreter.  The request goes in as JSON on stdin; on stdout come JSON lines: progress
(`message`, `begin`, `end`, `percent`) and, last, `result` or `error`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apt_ostree
from apt_ostree import errors
from apt_ostree.apt.root import AptRoot
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.progress import Progress
from apt_ostree.system import fs
from apt_ostree.system.run import spawn

_SOURCE_DIR = Path(apt_ostree.__file__).resolve().parent.parent


def call(
    job: str,
    root: AptRoot,
    arguments: Mapping[str, Any],
    progress: Progress,
    *,
    needs_sources: bool = True,
) -> Any:
    """The result of `engine.JOBS[job]` on `root`.

    A root without apt sources is an error unless the job can do without (`needs_sources`).

    An expected failure of the child is raised here as the same class with the same words; the
    child's death otherwise is an AptOstreeError with the last lines it said.  An exception here
    (Ctrl-C) kills the child and everything it started.
    """
    with fs.scratch_dir("apt", Path(tempfile.gettempdir())) as work:
        # apt's download methods run as the user _apt and read keys and keyrings from here.
        os.chmod(work, 0o755)
        request = {
            "job": job, "root": root.frozen(needs_sources=needs_sources).as_dict(),
            "work": str(work), "arguments": dict(arguments),
        }  # fmt: skip
        (work / "request.json").write_text(json.dumps(request))
        return _run(work, progress)


def _run(work: Path, progress: Progress) -> Any:
    argv = [sys.executable, "-m", "apt_ostree.apt.child"]
    env = {"PYTHONPATH": str(_SOURCE_DIR), "APT_OSTREE_PARENT": str(os.getpid())}
    with (
        (work / "request.json").open("rb") as stdin,
        (work / "stderr").open("w+b") as stderr,
        spawn(argv, env=env, stdin=stdin.fileno(), stderr=stderr.fileno()) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            kind, value = json.loads(line)
            if kind == "result":
                return value
            if kind == "error":
                raise _error_from(value)
            _report(progress, kind, value)
        status = child.wait()
        stderr.seek(0)
        said = stderr.read().decode(errors="replace").splitlines()
    raise AptOstreeError(
        f"the apt process ended unexpectedly (status {status})", details=said[-20:],
        hint="this is a bug; please report it with the lines above",
    )  # fmt: skip


def _report(progress: Progress, kind: str, value: Any) -> None:
    match kind:
        case "message":
            progress.message(value)
        case "begin":
            progress.task_begin(value)
        case "end":
            progress.task_end(value)
        case "percent":
            progress.percent(value[0], value[1])
        case _:
            raise ValueError(f"unknown line from the apt process: {kind}")


def _error_from(value: Mapping[str, Any]) -> AptOstreeError:
    kind = getattr(errors, value["class"], AptOstreeError)
    message, hint, details = value["message"], value["hint"], value["details"]
    if kind in (errors.CommandError, errors.TreefileError, errors.CancelledError):
        kind = AptOstreeError  # their constructors take other arguments
    made: AptOstreeError = kind(message, hint=hint, details=details)
    return made

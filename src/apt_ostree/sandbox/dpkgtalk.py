"""What dpkg says while it runs scripts: which script prints, and which one failed.

Three sources are read: the sentences on its output ("Setting up X"), the debug lines of
`--debug=2` ("fork/exec .../X.postinst ( configure  )"; src/main/script.c), which lie in order
between the lines that scripts print, and `--status-fd`, which names errors.  Scripts can forge the
first two, so they decide nothing but the label of a line.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

TAIL_LINES = 20
_RUNS_KEPT = 16  # abort and undo scripts may run between a failure and its report

_DEBUG = re.compile(r"D0000\d\d: ")
_FORK = re.compile(r"fork/exec (?P<path>\S+) \((?P<args>.*) \)$")
_STAGE = re.compile(
    r"(?:Unpacking|Setting up|Removing|Purging configuration files for|Processing triggers for) "
    r"(?P<package>[a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)? \(.*\) .*\.\.\.$"
)
_PREPARING = re.compile(r"Preparing to unpack (?P<path>\S+) \.\.\.$")
_REPORT = ("dpkg: error processing ", "dpkg: too many errors")
# of --debug, which the helper sees in its environment, and of --force-confmiss on new packages
_NOISE = re.compile(
    r"dpkg-maintscript-helper: (?:debug|info): "
    r"|Configuration file '.*', does not exist on system\.$"
    r"|Installing new config file as you requested\.$"
)
_SCRIPT_NAMES = {
    "pre-installation": "preinst",
    "post-installation": "postinst",
    "pre-removal": "prerm",
    "post-removal": "postrm",
}
# dpkg until 1.22: "installed X package post-installation script subprocess returned error exit
# status 1"; since 1.23: "old X package postinst maintainer script subprocess failed with exit
# status 1" (lib/dpkg/subproc.c, subproc_check).
_FAILED = re.compile(
    r"(?:installed|old|new) (?P<package>[^\s:]+)(?::\S+)? package (?P<script>\S+)"
    r"(?: maintainer)? script subprocess "
    r"(?:(?:returned error|failed with) exit status (?P<status>\d+)"
    r"|was (?P<how>killed by signal \([^)]*\)|interrupted))"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A script that failed: `status` is its exit status, `how` a sentence when it has none."""

    package: str
    script: str
    status: int | None
    how: str


def parse_failure(text: str) -> Failure | None:
    """The failed script that dpkg's error `text` is about; None when it is about something else."""
    found = _FAILED.search(text)
    if found is None:
        return None
    script = found["script"]
    status = int(found["status"]) if found["status"] else None
    how = f"failed with exit status {status}" if found["status"] else f"was {found['how']}"
    return Failure(found["package"], _SCRIPT_NAMES.get(script, script), status, how)


@dataclass(slots=True)
class ScriptRun:
    """One call of a script and the last lines it printed."""

    package: str
    script: str
    arguments: tuple[str, ...] = ()
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    @property
    def label(self) -> str:
        return f"{self.package}.{self.script}" if self.script else self.package


@dataclass(frozen=True, slots=True)
class Said:
    """A line of output, and who printed it: a script (`foo.postinst`), or `dpkg`."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class StatusError:
    subject: str  # a package, or the path of an archive
    message: str


class Talk:
    """Follows one dpkg run.  `packages` maps the archive paths dpkg was given to package names."""

    def __init__(self, packages: dict[str, str] | None = None) -> None:
        self._packages = packages or {}
        self._package = ""
        self._runs: deque[ScriptRun] = deque(maxlen=_RUNS_KEPT)
        self._is_script_speaking = False
        self.errors: list[StatusError] = []
        self.processed: list[tuple[str, str]] = []

    @property
    def current(self) -> ScriptRun | None:
        """The script that runs or ran last."""
        return self._runs[-1] if self._runs else None

    def run_of(self, failure: Failure) -> ScriptRun | None:
        for run in reversed(self._runs):
            if (run.package, run.script) == (failure.package, failure.script):
                return run
        return None

    def line(self, text: str) -> tuple[Said, ...]:
        """Take a line of output; what is worth logging of it."""
        debug = _DEBUG.search(text)
        if debug is not None:
            # dpkg's line follows an unfinished line of a script
            before = self._speak(text[: debug.start()]) if debug.start() else ()
            self._debug_line(text[debug.end() :])
            return before
        if self._is_new_stage(text):
            return (Said("dpkg", text),)
        return self._speak(text)

    def _speak(self, text: str) -> tuple[Said, ...]:
        if _NOISE.match(text):
            return ()
        run = self.current
        if text.startswith(_REPORT):
            self._is_script_speaking = False
        if not self._is_script_speaking or run is None:
            return (Said("dpkg", text),)
        run.tail.append(text)
        return (Said(run.label, text),)

    def _is_new_stage(self, text: str) -> bool:
        preparing = _PREPARING.match(text)
        stage = _STAGE.match(text)
        if preparing is not None:
            self._package = self._packages.get(preparing["path"], preparing["path"])
        elif stage is not None:
            self._package = stage["package"]
        else:
            return False
        self._is_script_speaking = False
        return True

    def _debug_line(self, text: str) -> None:
        fork = _FORK.match(text)
        self._is_script_speaking = fork is not None
        if fork is None:
            return
        name = fork["path"].rpartition("/")[2]
        package, dot, script = name.rpartition(".")
        if not dot:  # .../tmp.ci/preinst: of the archive being unpacked
            package = self._package
        arguments = tuple(fork["args"].split(" ")[1:])
        self._runs.append(ScriptRun(package.partition(":")[0], script, arguments))

    def status_line(self, text: str) -> tuple[str, str] | None:
        """Take a line of --status-fd; (action, package) when dpkg turns to a package.

        dpkg(1): `processing: ACTION: PACKAGE` and `status: SUBJECT : error : MESSAGE`.
        """
        head, _, rest = text.partition(": ")
        if head == "processing":
            action, _, package = rest.partition(": ")
            self.processed.append((action, package))
            return action, package
        if head == "status" and " : error : " in rest:
            subject, _, message = rest.partition(" : error : ")
            self.errors.append(StatusError(subject.strip(), message.strip()))
        return None

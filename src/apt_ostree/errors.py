"""Every failure that a user can see.

An expected failure is an `AptOstreeError`: a message saying what went wrong, a hint saying what
to do next, and the exit code.  Anything else that escapes is a bug and keeps its traceback in the
log.  Only `cli/main.py` (and later the daemon's main) turn these into output.
"""

from __future__ import annotations

from collections.abc import Sequence


class AptOstreeError(Exception):
    """Base class of expected failures.

    `message` is one line (lower case unless the contract fixes the text); `details` are further
    lines shown below it as they are; `hint` is one line naming the next step.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, hint: str | None = None, details: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)


class UsageError(AptOstreeError):
    """Wrong or missing arguments; the command line shows its help before the message."""


class TreefileError(AptOstreeError):
    """A treefile cannot be used.  `where` is `FILE:LINE` (or `FILE`)."""

    def __init__(self, message: str, *, where: str, hint: str | None = None) -> None:
        super().__init__(f"{where}: {message}", hint=hint)
        self.where = where


class LockfileError(AptOstreeError):
    """A lockfile is malformed or cannot be honoured."""


class OriginError(AptOstreeError):
    """A deployment's origin file is malformed."""


class OstreeError(AptOstreeError):
    """libostree refused; the message starts with what was being done."""


class CommandError(AptOstreeError):
    """A program ended with an unexpected status.

    `argv` is what ran, `status` its exit status (negative: killed by that signal), `tail` the last
    lines it printed.
    """

    def __init__(self, argv: Sequence[str], status: int, tail: Sequence[str] = ()) -> None:
        how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
        super().__init__(f"{argv[0]} {how}", details=tail)
        self.argv = tuple(argv)
        self.status = status
        self.tail = tuple(tail)


class MissingToolError(AptOstreeError):
    """A program that the work needs is not installed."""


class ScriptError(AptOstreeError):
    """A maintainer or treefile script failed, hung or was stopped by the sandbox.

    Where known: `package`, `script` (`postinst`), its `arguments`, and its exit `status`.
    """

    def __init__(
        self,
        message: str,
        *,
        package: str | None = None,
        script: str | None = None,
        arguments: Sequence[str] = (),
        status: int | None = None,
        hint: str | None = None,
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.package = package
        self.script = script
        self.arguments = tuple(arguments)
        self.status = status


class SolveError(AptOstreeError):
    """The requests cannot be satisfied together."""


class FetchError(AptOstreeError):
    """A download failed or did not have the promised content."""


class TrustError(AptOstreeError):
    """A signature is missing, wrong or too old."""


class PackageError(AptOstreeError):
    """A .deb cannot be used: malformed, or with content that no tree can hold."""


class SpaceError(AptOstreeError):
    """Not enough room; found before anything was written."""


class BusyError(AptOstreeError):
    """Another transaction holds the sysroot."""


class CancelledError(AptOstreeError):
    """The user stopped the work."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("Operation was cancelled")

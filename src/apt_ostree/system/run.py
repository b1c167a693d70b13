"""The one place that starts processes: argv lists, a scrubbed environment, no shell, no stdin."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import CommandError, MissingToolError

log = logging.getLogger(__name__)

TAIL_LINES = 20
# What a started program gets from our own environment; everything else is dropped.
KEEP_ENV = ("PATH", "TMPDIR", "SOURCE_DATE_EPOCH", "http_proxy", "https_proxy", "no_proxy",
            "OSTREE_GRUB2_EXEC", "OSTREE_SYSROOT_DEBUG", "FAILPOINTS", "SSL_CERT_FILE")  # fmt: skip
TOOL_PACKAGES = {
    "bwrap": "bubblewrap",
    "ostree": "ostree",
    "dpkg-deb": "dpkg",
    "dpkg": "dpkg",
    "mount": "mount",
    "umount": "mount",
    "gpgv": "gpgv",
}


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended; `output` is its stdout (with stderr merged in unless asked apart)."""

    argv: tuple[str, ...]
    status: int
    output: str


def base_env() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEEP_ENV if name in os.environ}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **kept, "LC_ALL": "C.UTF-8"}


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    ok: Collection[int] = (0,),
    cwd: Path | None = None,
    stdin: bytes | None = None,
    merge_stderr: bool = True,
    pass_fds: Collection[int] = (),
) -> Result:
    """Run a program to its end.

    Raises CommandError with its last lines when the status is not in `ok`, MissingToolError naming
    the Debian package when it is not installed.
    """
    cmd = tuple(str(a) for a in argv)
    log.debug("+ %s", shlex.join(cmd))
    try:
        done = subprocess.run(
            cmd, check=False, env={**base_env(), **(env or {})}, cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_stderr else subprocess.PIPE,
            pass_fds=tuple(pass_fds),
        )  # fmt: skip
    except FileNotFoundError as err:
        raise missing_tool(cmd[0]) from err
    output = done.stdout.decode(errors="replace")
    if done.returncode not in ok:
        said = output if merge_stderr else (done.stderr or b"").decode(errors="replace") + output
        raise CommandError(cmd, done.returncode, said.splitlines()[-TAIL_LINES:])
    return Result(cmd, done.returncode, output)


def missing_tool(program: str) -> MissingToolError:
    name = os.path.basename(program)
    package = TOOL_PACKAGES.get(name, name)
    return MissingToolError(f"'{name}' is not installed", hint=f"apt-get install {package}")


@contextmanager
def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.STDOUT,
    pass_fds: Collection[int] = (),
    umask: int = -1,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program for the time of the block; `umask` -1 keeps ours.

    Whatever ends the block early (an error, Ctrl-C) kills the program and its process group and
    reaps it, so that nothing outlives the work that started it.
    """
    cmd = tuple(str(a) for a in argv)
    log.debug("+ %s", shlex.join(cmd))
    try:
        child = subprocess.Popen(
            cmd, env={**base_env(), **(env or {})}, stdin=stdin, stdout=stdout, stderr=stderr,
            pass_fds=tuple(pass_fds), start_new_session=True, umask=umask,
        )  # fmt: skip
    except FileNotFoundError as err:
        raise missing_tool(cmd[0]) from err
    try:
        yield child
    finally:
        if child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def run_bytes(argv: Sequence[str | Path], *, stdin: bytes) -> bytes:
    """A filter: `stdin` through a program, its stdout back.  Errors as `run`."""
    cmd = tuple(str(a) for a in argv)
    log.debug("+ %s", shlex.join(cmd))
    try:
        done = subprocess.run(cmd, check=False, env=base_env(), input=stdin, capture_output=True)
    except FileNotFoundError as err:
        raise missing_tool(cmd[0]) from err
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").splitlines()
        raise CommandError(cmd, done.returncode, said[-TAIL_LINES:])
    return done.stdout


def start(
    argv: Sequence[str | Path], *, env: Mapping[str, str], stdin: int, pass_fds: Collection[int]
) -> subprocess.Popen[bytes]:
    """A process that lives as long as it wants, in a session of its own; the caller reaps it.

    For programs of ours only: `env` is all that it gets, and its output goes where ours does.
    """
    cmd = tuple(str(a) for a in argv)
    log.debug("+ %s", shlex.join(cmd))
    return subprocess.Popen(
        cmd, env=dict(env), stdin=stdin, pass_fds=tuple(pass_fds), start_new_session=True
    )

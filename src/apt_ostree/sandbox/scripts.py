"""dpkg in the sandbox: unpack, configure, triggers, purge; failures named by package and script."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError, CommandError, PackageError, ScriptError
from apt_ostree.sandbox import knownbad
from apt_ostree.sandbox.bwrap import Bind, Cover, Sandbox
from apt_ostree.sandbox.dpkgtalk import Failure, Talk, parse_failure

log = logging.getLogger(__name__)

# confnew, confmiss: the tree's /etc is the vendor's default, and nobody is there to be asked.
# unsafe-io: a tree that a crash interrupts is thrown away, so nothing needs to be synced.
_OPTIONS = ("--force-confnew,confmiss", "--force-unsafe-io", "--log=/dev/null", "--abort-after=1",
            "--no-pager", "--debug=2")  # fmt: skip
_DEBUG_OUTPUT = "D000002: "  # tells which script runs when (`dpkgtalk`)
_DEBS = "/run/debs"
# One round settles what packages activate; more happen when trigger scripts activate others.
_TRIGGER_ROUNDS_MAX = 10

StepSink = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Dpkg:
    """Runs the tree's own dpkg in `box`.

    `on_step` is told (action, package) as dpkg turns to each: install, configure, trigproc,
    remove, purge.  `is_journaled` says that the log goes to the journal, so that errors may point
    there.  Lines of scripts are logged with SYSLOG_IDENTIFIER `apt-ostree(PACKAGE.SCRIPT)`.

    All methods raise ScriptError for a script that failed or hung, and PackageError for what dpkg
    itself refuses; both carry the last lines of output.  The tree is then to be thrown away.
    """

    box: Sandbox
    on_step: StepSink | None = None
    is_journaled: bool = False

    def unpack(self, debs: Sequence[Path], *, force: Sequence[str] = ()) -> None:
        """`dpkg --unpack` in the given order.  `force` are names of --force-things to add."""
        if not debs:
            return
        inside = {f"{_DEBS}/{n}.deb": deb for n, deb in enumerate(debs)}
        binds = [Bind(deb, path, read_only=True) for path, deb in inside.items()]
        self._run(["--no-triggers", "--unpack", *inside], cover=Cover.NAMES, force=force,
                  binds=binds, debs=inside)  # fmt: skip

    def configure(self, keys: Sequence[str] | None = None, *, force: Sequence[str] = ()) -> None:
        """`dpkg --configure` of the packages (`name` or `name:arch`), or of all that are unpacked.

        Triggers are left pending, see `triggers`; for that reason not `--configure -a`, which would
        process those that are pending already.
        """
        chosen = self._unconfigured() if keys is None else keys
        if chosen:
            self._run(["--no-triggers", "--configure", *chosen], force=force,
                      binds=self._known_bad())  # fmt: skip

    def _unconfigured(self) -> list[str]:
        """Packages that are unpacked or half-configured, as dpkg names them."""
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${binary:Package}\\n"]
        pairs = (line.partition(" ") for line in self.box.run(query).output.splitlines())
        return [name for state, _, name in pairs if state in ("unpacked", "half-configured")]

    def triggers(self) -> None:
        """Process pending triggers until there are none.  ScriptError if that has no end."""
        for _ in range(_TRIGGER_ROUNDS_MAX):
            did = self._run(["--triggers-only", "-a"], binds=self._known_bad()).processed
            did = did + self._run(["--configure", "-a"], binds=self._known_bad()).processed
            if not did:
                return
        raise ScriptError(f"triggers are still pending after {_TRIGGER_ROUNDS_MAX} rounds",
                          details=self.audit())  # fmt: skip

    def purge(self, keys: Sequence[str], *, force: Sequence[str] = ()) -> None:
        if keys:
            self._run(["--no-triggers", "--purge", *keys], cover=Cover.NAMES, force=force)

    def audit(self) -> tuple[str, ...]:
        """What `dpkg --audit` complains about, as lines; none when the database is in order."""
        result = self.box.run(["dpkg", "--audit"], cover=Cover.NONE, ok=(0, 1))
        return tuple(result.output.splitlines())

    def _known_bad(self) -> tuple[Bind, ...]:
        return knownbad.binds(self.box.root, self.box.state)

    def _run(
        self,
        args: Sequence[str],
        *,
        cover: Cover = Cover.PATHS,
        force: Sequence[str] = (),
        binds: Sequence[Bind] = (),
        debs: dict[str, Path] | None = None,
    ) -> Talk:
        inside = debs or {}
        talk = Talk({path: deb.name.partition("_")[0] for path, deb in inside.items()})

        def on_line(text: str) -> None:
            for said in talk.line(text):
                name = f"apt-ostree({said.label})"
                log.info("%s: %s", said.label, said.text, extra={"SYSLOG_IDENTIFIER": name})

        def on_status(text: str) -> None:
            step = talk.status_line(text)
            if step is not None and self.on_step is not None:
                self.on_step(*step)

        with ExitStack() as stack:
            status_r, status_w = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, status_r)
            stack.callback(os.close, status_w)
            forced = [f"--force-{name}" for name in force]
            argv = ["dpkg", *_OPTIONS, *forced, "--status-fd", str(status_w), *args]
            chosen = cover if self.box.policy.has_intercepts else Cover.NONE
            try:
                self.box.run(argv, cover=chosen, binds=binds, on_line=on_line,
                             extra={status_r: on_status}, pass_fds=(status_w,))  # fmt: skip
            except CommandError as err:
                raise self._error(talk, err, inside) from err
            except ScriptError as err:
                raise self._stopped(talk, err) from err
        return talk

    def _error(self, talk: Talk, err: CommandError, debs: dict[str, Path]) -> AptOstreeError:
        for error in talk.errors:
            failure = parse_failure(error.message)
            if failure is not None:
                return self._failed(talk, failure)
        tail = tuple(_with_names(s, debs) for s in err.tail if not s.startswith(_DEBUG_OUTPUT))
        for error in talk.errors:
            text = _with_names(f"{error.subject}: {error.message}", debs)
            return PackageError(text, details=tail, hint=_hint(error.message))
        fatal = [line for line in tail if line.startswith("dpkg: error: ")]
        if fatal:
            return PackageError(fatal[0].removeprefix("dpkg: error: "), details=tail)
        if err.status < 0 and talk.current is not None:
            return self._stopped(talk, ScriptError(f"was killed by signal {-err.status}"))
        return err

    def _failed(self, talk: Talk, failure: Failure) -> ScriptError:
        run = talk.run_of(failure)
        arguments = run.arguments if run is not None else ()
        label = f"{failure.package}.{failure.script}"
        call = _call(failure.script, arguments)
        return ScriptError(
            f"package {failure.package}: {call} {failure.how}",
            package=failure.package, script=failure.script, arguments=arguments,
            status=failure.status, hint=self._journal_hint(label),
            details=[f"{label}: {line}" for line in (run.tail if run is not None else ())],
        )  # fmt: skip

    def _stopped(self, talk: Talk, err: ScriptError) -> ScriptError:
        """A limit was exceeded: the script that ran at that time is to blame."""
        run = talk.current
        if run is None:
            return err
        reason = err.message.removeprefix("dpkg ")
        return ScriptError(
            f"package {run.package}: {_call(run.script, run.arguments)} {reason}",
            package=run.package, script=run.script, arguments=run.arguments,
            hint=self._journal_hint(run.label),
            details=[f"{run.label}: {line}" for line in run.tail],
        )  # fmt: skip

    def _journal_hint(self, label: str) -> str | None:
        if not self.is_journaled:
            return None
        return f"run `journalctl -t 'apt-ostree({label})'` for more information"


def _call(script: str, arguments: Sequence[str]) -> str:
    return " ".join((script, *(a or "''" for a in arguments)))


def _with_names(text: str, debs: dict[str, Path]) -> str:
    for path, deb in debs.items():
        text = text.replace(path, deb.name)
    return text


def _hint(message: str) -> str | None:
    if message.startswith("trying to overwrite"):
        return "the packages do not fit together; leave one of them out"
    if "dependency problems" in message:
        return "a package that it needs is missing or failed"
    return None

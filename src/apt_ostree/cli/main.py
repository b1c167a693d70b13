"""The program: find the command, parse, run it, and turn whatever happens into an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from apt_ostree import __version__
from apt_ostree.cli import registry
from apt_ostree.cli.command import (
    GLOBAL,
    PROGRAM,
    Command,
    Family,
    command_help,
    group_help,
    usage_line,
)
from apt_ostree.cli.options import Args, HelpRequested, OptionError, parse, split_command
from apt_ostree.cli.render.output import Output
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, CancelledError, UsageError
from apt_ostree.system.signals import unwinding

FEATURES = ("compose",)
STATUS_SIGPIPE = 141  # what a shell shows for a program that its reader left


def main(argv: Sequence[str]) -> int:
    """Run the program with `argv` (its name first) and return the exit status."""
    env = dict(os.environ)
    out = Output.standard(env)
    try:
        code = _guarded(list(argv[1:]), out, env)
        out.flush()
    except BrokenPipeError:
        # `apt-ostree list | head`: the reader has what it wants.
        _let_go(sys.stdout, sys.stderr)
        return STATUS_SIGPIPE
    except OSError as err:
        _let_go(sys.stdout)
        out.error(f"writing the result: {err.strerror}")
        return 1
    return code


def _let_go(*streams: TextIO) -> None:
    """The interpreter flushes its streams once more at exit; let that go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _guarded(words: list[str], out: Output, env: Mapping[str, str]) -> int:
    try:
        return _as_failures(words, out, env)
    except AptOstreeError as err:
        out.error(err.message or str(err), details=err.details, hint=err.hint)
        return err.exit_code
    except (BrokenPipeError, SystemExit):
        raise
    except Exception as err:
        if env.get("APTOSTREE_DEBUG") or err is out.write_error:
            raise
        if isinstance(err, OSError) and (refusal := _refusal(err)) is not None:
            out.error(refusal.message, hint=refusal.hint)
            return refusal.exit_code
        out.error(
            f"internal error: {type(err).__name__}: {err}",
            hint="This is a bug in apt-ostree; APTOSTREE_DEBUG=1 shows where it happened.",
        )
        return 1


def _refusal(err: OSError) -> AptOstreeError | None:
    from apt_ostree.system import fs  # only on failure: start-up counts

    return fs.refusal(err)


def _as_failures(words: list[str], out: Output, env: Mapping[str, str]) -> int:
    """Give every expected ending but success one type."""
    try:
        for word in words:
            _check_utf8(word)
        if env.get("APTOSTREE_DEBUG"):
            _log_to_stderr()
        return dispatch(words, out, env)
    except KeyboardInterrupt:
        raise CancelledError from None
    except ExceptionGroup as group:
        raise _join(group) from group


def _check_utf8(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        shown = word.encode(errors="surrogateescape").decode(errors="replace")
        raise AptOstreeError(f"Argument is invalid UTF-8: {shown}") from None


def dispatch(words: list[str], out: Output, env: Mapping[str, str]) -> int:
    """Find the command in `words` and run it."""
    name, rest = split_command(words)
    group = registry.group(name) if name else None
    path = ""
    if group is not None:
        path = group.same_as or group.name
        if path == "ex":
            out.note("NOTICE: Experimental commands are subject to change.")
        name, rest = split_command(rest)
    full = f"{path} {name or ''}".strip()
    if full in registry.UNAVAILABLE:
        raise AptOstreeError(f"'{full}' is not available: {registry.UNAVAILABLE[full]}")
    entry = registry.ENTRIES.get(full) if name else None
    if entry is None:
        return _no_command(path, name, rest, out)
    return _run(entry, rest, Session(out, env, tuple(words), is_root=os.geteuid() == 0))


def _no_command(path: str, name: str | None, rest: list[str], out: Output) -> int:
    text = group_help(path, registry.visible_rows(path))
    try:
        args = parse(GLOBAL, rest)
    except HelpRequested:
        if name is None:
            out.text(text)
            return 0
        args = parse(GLOBAL, ())
    if args.flag("version"):
        out.text(version_text())
        return 0
    out.help_on_error(text)
    if not path:
        raise AptOstreeError(f"Unknown command '{name}'" if name else "No command specified")
    raise AptOstreeError(
        f'Unknown "{path}" subcommand "{name}"' if name else f'No "{path}" subcommand specified'
    )


def _run(entry: registry.Entry, rest: list[str], session: Session) -> int:
    command = entry.load()
    out = session.out
    try:
        args = parse(command.all_options, rest)
        _check_required(command, args)
        if args.flag("version"):
            out.text(version_text())
            return 0
        out.is_quiet = args.flag("quiet")
        session.check(command, args)
        with unwinding(out.note):
            return command.run(args, session)
    except HelpRequested:
        out.text(command_help(entry.name, entry.summary, command))
        return 0
    except OptionError as err:
        if command.family is Family.GOPTION:
            raise
        return _clap_error(entry.name, command, err, out)
    except UsageError as err:
        out.help_on_error(command_help(entry.name, entry.summary, command))
        raise AptOstreeError(f"usage error: {err.message}", hint=err.hint) from err


def _check_required(command: Command, args: Args) -> None:
    """clap counts positional arguments itself; GOption leaves that to the command."""
    if command.family is not Family.CLAP:
        return
    if missing := command.required[len(args.rest) :]:
        raise OptionError(
            "the following required arguments were not provided:",
            details=[f"  <{name}>" for name in missing],
        )
    if len(args.rest) > len(command.required):
        raise OptionError(f"unexpected argument '{args.rest[len(command.required)]}' found")


def _clap_error(name: str, command: Command, err: OptionError, out: Output) -> int:
    message = err.message
    if (option := message.removeprefix("Unknown option ")) != message:
        message = f"unexpected argument '{option}' found"
    elif (option := message.removeprefix("Missing argument for ")) != message:
        message = f"a value is required for '{option}' but none was supplied"
    hints = ("", f"Usage: {usage_line(name, command)}", "", "For more information, try '--help'.")
    out.error(message, details=(*err.details, *hints))
    return Family.CLAP.usage_status


def _join(group: ExceptionGroup[Exception]) -> BaseException:
    """Several faults found at once (treefiles) are one failure with a line for each."""
    faults = _flatten(group)
    if not all(isinstance(f, AptOstreeError) for f in faults):
        return next(f for f in faults if not isinstance(f, AptOstreeError))
    known = [f for f in faults if isinstance(f, AptOstreeError)]
    if len(known) == 1:
        return known[0]
    lines = [f"  {k.message}" + (f" ({k.hint})" if k.hint else "") for k in known]
    joined = AptOstreeError(f"{group.message}:", details=lines)
    joined.exit_code = max(k.exit_code for k in known)
    return joined


def _flatten(group: ExceptionGroup[Exception]) -> list[Exception]:
    faults: list[Exception] = []
    for fault in group.exceptions:
        faults += _flatten(fault) if isinstance(fault, ExceptionGroup) else [fault]
    return faults


def version_text() -> str:
    """YAML, as rpm-ostree prints it: scripts load it."""
    features = "".join(f"  - {f}\n" for f in FEATURES)
    return f"{PROGRAM}:\n Version: '{__version__}'\n Features:\n{features}"


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s", stream=sys.stderr)

"""apt-ostree kargs: show and change the kernel command line of a deployment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from apt_ostree.cli import backend, common, editor, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change, KargsEdit
from apt_ostree.model.kargs import KernelArgs

OPTIONS = (
    *common.STATEROOT,
    Opt("deploy-index", metavar="INDEX",
        help="Modify the kernel args from a specific deployment based on index"),
    common.LONG_REBOOT,
    Opt("append", metavar="KEY=VALUE", is_repeatable=True,
        help="Append kernel argument; useful with e.g. console= that can be used multiple times"),
    Opt("replace", metavar="KEY=VALUE=NEWVALUE", is_repeatable=True,
        help="Replace existing kernel argument"),
    Opt("delete", metavar="KEY=VALUE", is_repeatable=True, help="Delete a kernel argument"),
    Opt("append-if-missing", metavar="KEY=VALUE", is_repeatable=True,
        help="Like --append, but does nothing if the key is already present"),
    Opt("delete-if-present", metavar="KEY=VALUE", is_repeatable=True,
        help="Like --delete, but does nothing if the key is already missing"),
    common.UNCHANGED_77,
    Opt("import-proc-cmdline", help="Instead of modifying old kernel arguments, modify the ones "
        "of the running system"),
    Opt("editor", help="Use an editor to modify the kernel arguments"),
    common.LOCK,
    common.DRY_RUN,
    *common.TRANSACTION,
)  # fmt: skip
PROC_CMDLINE = Path("/proc/cmdline")
_EDITS = ("append", "replace", "delete", "append-if-missing", "delete-if-present")
_REQUIRED_HERE = ("ostree", "BOOT_IMAGE", "initrd")  # the boot loader's, not the user's


def run(args: Args, session: Session) -> int:
    _check(args)
    edit = KargsEdit(
        delete=args.many("delete"),
        replace=args.many("replace"),
        append=args.many("append"),
        append_if_missing=args.many("append-if-missing"),
        delete_if_present=args.many("delete-if-present"),
    )
    if is_query(args):
        return _show(args, session)
    if args.flag("editor"):
        final = _edit(args, session)
        if final is None:
            return common.STATUS_UNCHANGED
        edit = KargsEdit(final=final.words)
    elif args.flag("import-proc-cmdline"):
        edit = KargsEdit(final=_running().apply(edit).words)
    return transaction.carry_out(
        session,
        args,
        Change(kargs=edit, kargs_base_index=_index(args)),
        ending=transaction.Ending(shows_diff=False, exits_77=args.flag("unchanged-exit-77")),
        cache_only=True,
    )


def is_query(args: Args) -> bool:
    return not args.flag("editor") and not any(map(args.many, _EDITS))


def _check(args: Args) -> None:
    if args.flag("editor") and any(args.many(name) for name in _EDITS):
        raise AptOstreeError(
            "Cannot specify --editor with --replace, --delete, --append, --delete-if-present "
            "or --append-if-missing"
        )
    if args.many("delete") and args.many("replace"):
        raise AptOstreeError("Cannot specify both --delete and --replace")
    if args.flag("import-proc-cmdline"):
        if args.text("deploy-index") is not None:
            raise AptOstreeError(
                "Cannot specify both --import-from-proc-cmdline and --deploy-index"
            )
        if args.text("stateroot"):
            raise AptOstreeError("Cannot specify both osname and --import-from-proc-cmdline")
    if args.flag("reboot") and is_query(args):
        raise AptOstreeError("Cannot reboot when kernel arguments not changed")


def _index(args: Args) -> int | None:
    text = args.text("deploy-index")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise AptOstreeError(f"Invalid deployment index {text}, must be a number and >= 0")
    return int(text)


def _current(args: Args, session: Session) -> str:
    if args.flag("import-proc-cmdline"):
        return PROC_CMDLINE.read_text().strip()
    return backend.kernel_arguments(session.sysroot(args), common.stateroot(args), _index(args))


def _running() -> KernelArgs:
    args = KernelArgs.parse(PROC_CMDLINE.read_text())
    for key in _REQUIRED_HERE:
        args = args.without(key)
    return args


def _show(args: Args, session: Session) -> int:
    line = _current(args, session)
    if args.flag("json"):
        session.out.json({"options": line, "arguments": list(KernelArgs.parse(line).words)})
    else:
        session.out.line(line)
    return 0


def _edit(args: Args, session: Session) -> KernelArgs | None:
    """What the user made of the arguments; None when the exit status is to say "unchanged"."""
    before = _current(args, session)
    shown = KernelArgs.parse(before).editable()
    text = editor.edit(editor.TEMPLATE + "\n".join(shown.words) + "\n", editor_of(session.env))
    after = KernelArgs.parse(" ".join(editor.content(text)))
    if after.without("ostree") != after:
        raise AptOstreeError(
            "You have an 'ostree' argument in your input, that is not going to be handled"
        )
    if not after.args:
        raise AptOstreeError("The kernel arguments can not be empty")
    if after == shown:
        if args.flag("unchanged-exit-77"):
            session.out.line("No changes.")
            return None
        raise AptOstreeError("The kernel arguments remained the same")
    if _current(args, session) != before:
        raise AptOstreeError(
            f"Conflict: bootloader configuration changed. Saved kernel arguments: \n{after}"
        )
    return after


def editor_of(env: Mapping[str, str]) -> str:
    """The user's editor; without a capable terminal only a named one will do."""
    for name in ("OSTREE_EDITOR", "VISUAL", "EDITOR"):
        if program := env.get(name):
            return program
    if env.get("TERM", "dumb") == "dumb" or not os.isatty(0):
        raise AptOstreeError(
            "Terminal is dumb, but EDITOR unset", hint="EDITOR=vi apt-ostree kargs --editor"
        )
    return "vi"


COMMAND = Command(run, options=OPTIONS, needs_root=True, is_query=is_query)

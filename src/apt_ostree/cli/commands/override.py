"""apt-ostree override: other versions of base packages, base packages left out, and back."""

from __future__ import annotations

from apt_ostree.cli import common, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import texts
from apt_ostree.model.change import Change

_COMMON = (
    *common.STATEROOT,
    common.REBOOT,
    common.DRY_RUN,
    common.LOCK,
    common.CACHE_ONLY,
    *common.TRANSACTION,
    *common.PACKAGES,
)
# -r is --from in `replace`, since it comes first.
REPLACE_OPTIONS = (
    Opt("from", "r", metavar="KIND=NAME", is_hidden=True,
        help="Take the packages from an apt source (repo=ID) or a suite (suite=NAME)"),
    Opt("freeze", help="Keep this exact version", is_hidden=True),
    Opt("experimental", help="Allow experimental options", is_hidden=True),
    Opt("remove", metavar="PKG", is_repeatable=True, help="Remove a package"),
    *_COMMON,
)  # fmt: skip
REMOVE_OPTIONS = (
    Opt("replace", metavar="DEB", is_repeatable=True, help="Replace a package"),
    *_COMMON,
)
RESET_OPTIONS = (Opt("all", "a", help="Reset all active overrides"), *_COMMON)

_KINDS = ("repo", "suite")
_UNDO = 'Use "apt-ostree override reset" to undo overrides'
_CHANGED = transaction.Ending(lines=(_UNDO, transaction.REBOOT_LINE))
_RESET = transaction.Ending(lines=(transaction.REBOOT_LINE,))
_NO_PACKAGE = "At least one PACKAGE must be specified"


def replace(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError(_NO_PACKAGE)
    source = args.text("from")
    if (source or args.flag("freeze")) and not args.flag("experimental"):
        raise AptOstreeError("Must specify --experimental to use --freeze or --from")
    if args.flag("freeze"):
        raise AptOstreeError(
            "'--freeze' is not available in this version",
            hint="download the .deb and name the file: apt-get download PACKAGE",
        )
    if source is not None:
        _check_source(source)
    with requests.gathered(session, args, (*args.rest, *args.many("install"))) as found:
        wanted, extra = _apart(found, args.rest)
        if source is None and wanted.names:
            raise AptOstreeError(
                texts.REPLACEMENT_BY_NAME,
                hint="name .deb files, or use --experimental --from=repo=ID",
            )
        edit = Change(
            override_replace_local=wanted.files,
            override_replace_from=((source, wanted.names),) if source and wanted.names else (),
            override_remove=args.many("remove"),
            install=extra.names,
            install_local=extra.files,
            uninstall=args.many("uninstall"),
        )
        return transaction.carry_out(session, args, edit, ending=_CHANGED)


def _apart(
    found: requests.Requests, first: tuple[str, ...]
) -> tuple[requests.Requests, requests.Requests]:
    """Split what was gathered in one go: `first` words and the rest."""
    names = sum(not requests.is_local(w) for w in first)
    files = len(first) - names
    return (
        requests.Requests(found.names[:names], found.files[:files]),
        requests.Requests(found.names[names:], found.files[files:]),
    )


def _check_source(source: str) -> None:
    kind, equals, name = source.partition("=")
    if not equals:
        why = "Not in KIND=NAME format"
    elif kind not in _KINDS:
        why = f"Invalid kind '{kind}'"
    elif not name:
        why = "Empty name"
    else:
        return
    raise AptOstreeError(
        f"Parsing override source '{source}': {why}", hint="use repo=ID or suite=NAME"
    )


def remove(args: Args, session: Session) -> int:
    if not args.rest:
        raise UsageError(_NO_PACKAGE)
    replacements = args.many("replace")
    with requests.gathered(session, args, (*replacements, *args.many("install"))) as found:
        wanted, extra = _apart(found, replacements)
        if wanted.names:
            raise AptOstreeError(texts.REPLACEMENT_BY_NAME, hint="--replace takes .deb files")
        edit = Change(
            override_remove=args.rest,
            override_replace_local=wanted.files,
            install=extra.names,
            install_local=extra.files,
            uninstall=args.many("uninstall"),
        )
        return transaction.carry_out(session, args, edit, ending=_CHANGED)


def reset(args: Args, session: Session) -> int:
    if args.rest and args.flag("all"):
        raise UsageError("Cannot specify PACKAGEs with --all")
    if not args.rest and not args.flag("all"):
        raise UsageError(_NO_PACKAGE)
    with requests.gathered(session, args, args.many("install")) as found:
        edit = Change(
            override_reset=args.rest,
            no_overrides=args.flag("all"),
            install=found.names,
            install_local=found.files,
            uninstall=args.many("uninstall"),
        )
        return transaction.carry_out(
            session, args, edit, ending=_RESET, cache_only=not args.many("install")
        )


REPLACE = Command(replace, usage="PACKAGE [PACKAGE...]", options=REPLACE_OPTIONS, needs_root=True)
REMOVE = Command(remove, usage="PACKAGE [PACKAGE...]", options=REMOVE_OPTIONS, needs_root=True)
RESET = Command(reset, usage="[PACKAGE...]", options=RESET_OPTIONS, needs_root=True)

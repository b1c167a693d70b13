"""Options that several commands share, and what they mean."""

from __future__ import annotations

from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Options

STATEROOT = (
    Opt("os", metavar="OSNAME", dest="stateroot", is_hidden=True),
    Opt("stateroot", metavar="STATEROOT", help="Operate on provided STATEROOT", dest="stateroot"),
)
REBOOT = Opt("reboot", "r", help="Initiate a reboot after operation is complete")
LONG_REBOOT = Opt("reboot", help="Initiate a reboot after operation is complete")
DRY_RUN = Opt("dry-run", "n", help="Exit after printing the transaction")
LONG_DRY_RUN = Opt("dry-run", help="Exit after printing the transaction")
JSON = Opt("json", help="Print the result as JSON")
TIMING = Opt("timing", help="Print how long each phase took, on standard error")
CACHE_ONLY = Opt("cache-only", "C", help="Do not download latest ostree and package data")
DOWNLOAD_ONLY = Opt("download-only", help="Just download latest ostree and package data")
LOCK = Opt("lock-finalization", help="Prevent automatic deployment finalization on shutdown")
HIDDEN_LOCK = Opt("lock-finalization", is_hidden=True)
UNCHANGED_77 = Opt("unchanged-exit-77", help="If no new deployment made, exit 77")
BYPASS_DRIVER = Opt("bypass-driver", help="Force the operation even if an updates driver is there")
DEPLOYMENT = Opt("deployment", metavar="ID", help="Look at deployment ID, as `status` names it")

SOURCES = (
    Opt("enablerepo", metavar="ID", is_repeatable=True,
        help="Enable the apt source ID for this run (several: ID,ID)"),
    Opt("disablerepo", metavar="ID", is_repeatable=True,
        help="Disable the apt source ID for this run; * is all of them"),
    Opt("releasever", metavar="RELEASEVER", is_repeatable=True,
        help="Prefer packages of the suite RELEASEVER in this run"),
)  # fmt: skip

_PACKAGES = "Package Options"
INSTALL = Opt("install", metavar="PKG", is_repeatable=True, group=_PACKAGES,
              help="Layer an additional package")  # fmt: skip
UNINSTALL = Opt("uninstall", metavar="PKG", is_repeatable=True, group=_PACKAGES,
                help="Remove layered package")  # fmt: skip
PACKAGES = (INSTALL, UNINSTALL)

WAIT = Opt("wait", help="Wait for a transaction that is under way instead of failing")

# Every command that makes something takes RESULT, every one that makes a deployment TRANSACTION.
RESULT = (JSON, TIMING)
TRANSACTION = (*RESULT, WAIT)

STATUS_UNCHANGED = 77


def stateroot(args: Args) -> str | None:
    return args.text("stateroot") or None


def options(args: Args, session: Session, *, allow_downgrade: bool = False) -> Options:
    """What the shared options say about how to carry a change out."""

    def flag(name: str) -> bool:
        return args.has(name) and args.flag(name)

    if flag("cache-only") and flag("download-only"):
        raise AptOstreeError("Can't specify cache-only and download-only")
    if flag("dry-run") and flag("download-only"):
        raise AptOstreeError("Can't specify dry-run and download-only")
    return Options(
        dry_run=flag("dry-run"),
        cache_only=flag("cache-only"),
        download_only=flag("download-only"),
        allow_inactive=flag("allow-inactive"),
        idempotent=flag("idempotent"),
        allow_downgrade=allow_downgrade,
        lock_finalization=flag("lock-finalization"),
        command_line=session.command_line,
        enable_sources=_sources(args, "enablerepo"),
        disable_sources=_sources(args, "disablerepo"),
        release=args.many("releasever")[-1] if _given(args, "releasever") else None,
    )


def _given(args: Args, name: str) -> bool:
    return args.has(name) and bool(args.many(name))


def _sources(args: Args, name: str) -> tuple[str, ...]:
    """Ids may be given one by one or with commas between them."""
    words = args.many(name) if _given(args, name) else ()
    return tuple(part for word in words for part in word.split(",") if part)

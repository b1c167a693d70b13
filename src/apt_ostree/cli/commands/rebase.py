"""apt-ostree rebase: another branch, another remote, another repository."""

from __future__ import annotations

from apt_ostree.cli import common, driver, requests, transaction
from apt_ostree.cli.command import Command
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model import texts
from apt_ostree.model.change import Change

OPTIONS = (
    *common.STATEROOT,
    Opt("branch", "b", metavar="BRANCH", help="Rebase to branch BRANCH; use --remote to change "
        "remote as well"),
    Opt("remote", "m", metavar="REMOTE", help="Rebase to current branch name using REMOTE"),
    common.REBOOT,
    Opt("skip-purge", help="Keep previous refspec after rebase"),
    common.CACHE_ONLY,
    common.DOWNLOAD_ONLY,
    Opt("custom-origin-description", metavar="DESC", help="Human-readable description of custom "
        "origin"),
    Opt("custom-origin-url", metavar="URL", help="Machine-readable description of custom origin"),
    Opt("experimental", help="Accepted for compatibility"),
    Opt("disallow-downgrade", help="Forbid deployment of chronologically older trees"),
    common.LOCK,
    common.BYPASS_DRIVER,
    common.DRY_RUN,
    *common.TRANSACTION,
    *common.PACKAGES,
)  # fmt: skip
_OSTREE_SCHEME = "ostree://"


def run(args: Args, session: Session) -> int:
    edit = _change(args)
    driver.check(args, session)
    with requests.gathered(session, args, args.many("install")) as found:
        import dataclasses

        edit = dataclasses.replace(
            edit,
            install=found.names,
            install_local=found.files,
            uninstall=args.many("uninstall"),
        )
        return transaction.carry_out(
            session,
            args,
            edit,
            ending=transaction.Ending(),
            allow_downgrade=not args.flag("disallow-downgrade"),
        )


def _change(args: Args) -> Change:
    if len(args.rest) > 2:
        raise UsageError("Too many arguments")
    revision = args.rest[1] if len(args.rest) > 1 else None
    refspec = _refspec(args)
    if refspec.startswith("/"):
        _check_local(refspec, revision)
    return Change(
        pull_base=True,
        refspec=refspec,
        skip_purge=args.flag("skip-purge"),
        revision=revision,
        custom_origin=_custom_origin(args),
    )


def _refspec(args: Args) -> str:
    """`REMOTE:BRANCH` as typed or put together; `REMOTE:` keeps the branch."""
    branch, remote = args.text("branch"), args.text("remote")
    if args.rest:
        refspec = args.rest[0].removeprefix(_OSTREE_SCHEME)
    elif branch and remote:
        refspec = f"{remote}:{branch}"
    elif remote:
        refspec = f"{remote}:"
    elif branch:
        refspec = branch
    else:
        raise UsageError("Must specify refspec, or -b branch or -m remote")
    if not refspec:
        raise AptOstreeError("Refspec is empty")
    return refspec


def _check_local(refspec: str, revision: str | None) -> None:
    """`/path/to/repo:REF` takes the commit from a repository on this machine."""
    _, colon, ref = refspec.partition(":")
    if not colon:
        raise AptOstreeError("Missing ':' in LOCALPATH:REF rebase")
    if not ref:
        raise AptOstreeError("Missing REF in LOCALPATH:REF rebase")
    if revision is not None:
        raise AptOstreeError(texts.REVISION_OF_LOCAL_REPO)


def _custom_origin(args: Args) -> tuple[str, str] | None:
    url, description = args.text("custom-origin-url"), args.text("custom-origin-description")
    if url is None:
        return None
    if description is None:
        raise AptOstreeError(
            "--custom-origin-description must be supplied with --custom-origin-url"
        )
    return url, description


COMMAND = Command(run, usage="REFSPEC [REVISION]", options=OPTIONS, needs_root=True)

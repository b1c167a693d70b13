"""Which base commit an origin stands for now, and which one it shall stand for."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.host.target import Target
from apt_ostree.model.change import Change, Options
from apt_ostree.model.origin import CHECKSUM, Origin
from apt_ostree.model.progress import Progress, task
from apt_ostree.ostree import pull
from apt_ostree.ostree.repo import Repo

# What a plan on a base needs of it: packages, apt's configuration and keys, how it was laid out.
CHECKED = (
    "/usr/lib/sysimage/dpkg", "/usr/etc/apt", "/usr/share/keyrings", "/usr/share/apt-ostree",
    "/usr/etc/apt-ostreed.conf",
)  # fmt: skip
_LOCAL_REPO = re.compile(r"(/[^:]*):(.*)\Z")


def import_local(target: Target, refspec: str, options: Options, progress: Progress) -> str | None:
    """For `/path/to/repo:REF`: copy that commit here and return its checksum, else None.

    The origin is then pinned to the commit: the repository may be gone tomorrow.
    """
    if not refspec.startswith("/"):
        return None
    match = _LOCAL_REPO.match(refspec)
    if match is None:
        raise AptOstreeError("Missing ':' in LOCALPATH:REF rebase")
    if not match[2]:
        raise AptOstreeError("Missing REF in LOCALPATH:REF rebase")
    if options.dry_run:
        raise AptOstreeError(
            "a dry run cannot rebase to another repository",
            hint=f"copy the commit first: ostree pull-local {match[1]} {match[2]}",
        )
    return pull.local(target.repo, Path(match[1]), match[2], progress=progress)


def resolve(
    target: Target, origin: Origin, change: Change, options: Options, progress: Progress
) -> tuple[Origin, str]:
    """The base commit of the edited `origin`, pulled if need be, and the origin to record.

    Without a new refspec, revision or upgrade it is the base that is deployed.
    """
    is_moving = change.refspec is not None or change.pull_base or change.revision is not None
    if not is_moving and target.pending is not None:
        return origin, target.base_checksum
    if origin.unconfigured_state is not None:
        raise AptOstreeError(f"origin unconfigured-state: {origin.unconfigured_state}")
    if origin.refspec is None:
        raise AptOstreeError(
            "a container image cannot be the base yet", hint="rebase to an ostree branch"
        )
    if change.revision is not None:
        return _revision(target, origin, change, options, progress)
    if origin.is_checksum:
        _require(target.repo, origin.refspec, options)
        tip = origin.refspec
    else:
        tip = _tip(target, origin, options, progress)
    _check_age(target, tip, options)
    return origin, tip


def _require(repo: Repo, checksum: str, options: Options) -> None:
    if not repo.has_commit(checksum):
        raise AptOstreeError(
            f"commit {checksum} is not in the repository",
            hint="pull it first: ostree pull REMOTE CHECKSUM",
        )
    if repo.is_partial(checksum) and not (options.only_check or options.dry_run):
        raise AptOstreeError(
            f"commit {checksum} is known, but not downloaded",
            hint="run it once without --cache-only, or with --download-only",
        )


def _is_offline(origin: Origin, options: Options) -> bool:
    return origin.remote is None or options.cache_only or options.dry_run


def _tip(target: Target, origin: Origin, options: Options, progress: Progress) -> str:
    """The newest commit of the branch, here with what the change needs of it."""
    if _is_offline(origin, options):
        checksum = target.repo.resolve(str(origin.refspec))
        _require(target.repo, checksum, options)
        return checksum
    return _pull(target, origin, options, progress)


def _pull(
    target: Target,
    origin: Origin,
    options: Options,
    progress: Progress,
    checksum: str | None = None,
) -> str:
    assert origin.remote is not None
    assert origin.branch is not None
    return pull.remote(
        target.repo, origin.remote, origin.branch, progress=progress, checksum=checksum,
        paths=CHECKED if options.only_check else (),
    )  # fmt: skip


def _ancestry(target: Target, origin: Origin, options: Options) -> list[str]:
    """The commits of the branch, newest first: all of them, of which only the objects are here."""
    if not _is_offline(origin, options):
        assert origin.remote is not None
        assert origin.branch is not None
        pull.commits_only(target.repo, origin.remote, origin.branch)
    return pull.history(target.repo, target.repo.resolve(str(origin.refspec)))


def _check_age(target: Target, new: str, options: Options) -> None:
    """Upgrades do not go back in time unless allowed; `deploy` and `rebase` do unless told not
    to."""
    if target.pending is None or options.allow_downgrade:
        return
    repo, old = target.repo, target.base_checksum
    if old == new:
        return
    before, after = repo.commit(old), repo.commit(new)
    if after.timestamp < before.timestamp:
        raise AptOstreeError(
            f"Upgrade target revision '{new}' with timestamp '{after.timestamp}' is "
            f"chronologically older than current revision '{old}' with timestamp "
            f"'{before.timestamp}'; use --allow-downgrade to permit"
        )


def _revision(
    target: Target, origin: Origin, change: Change, options: Options, progress: Progress
) -> tuple[Origin, str]:
    assert change.revision is not None
    kind, text = parse_revision(change.revision)
    repo = target.repo
    if kind == "version":
        checksum = _version(target, origin, text, options, progress)
    else:
        checksum = text
        if not change.skip_branch_check and not origin.is_checksum:
            _check_branch(target, origin, checksum, options, progress)
    is_here = repo.has_commit(checksum) and not repo.is_partial(checksum)
    if not is_here and not _is_offline(origin, options):
        _pull(target, origin, options, progress, checksum)
    _require(repo, checksum, options)
    _check_age(target, checksum, options)
    return replace(origin, override_commit=checksum), checksum


def parse_revision(text: str) -> tuple[str, str]:
    """`revision=C`, `version=V`, 64 hex digits, or a version: (`checksum`|`version`, value)."""
    head, equals, rest = text.partition("=")
    if equals and head.lower() == "revision":
        if not CHECKSUM.match(rest):
            raise AptOstreeError(f"'{rest}' is not a checksum", hint="give all 64 hex digits")
        return "checksum", rest
    if equals and head.lower() == "version":
        return "version", rest
    return ("checksum" if CHECKSUM.match(text) else "version"), text


def _version(
    target: Target, origin: Origin, version: str, options: Options, progress: Progress
) -> str:
    if origin.is_checksum:
        raise AptOstreeError("Cannot look up version while pinned to commit")
    with task(progress, f"Resolving version '{version}'"):
        for checksum in _ancestry(target, origin, options):
            if target.repo.commit(checksum).version == version:
                return checksum
    where = "cached" if options.cache_only else "found"
    raise AptOstreeError(
        f"Version {version} not {where} in {origin.refspec}",
        hint=f"ostree log {origin.refspec} lists the versions",
    )


def _check_branch(
    target: Target, origin: Origin, checksum: str, options: Options, progress: Progress
) -> None:
    with task(progress, f"Validating checksum '{checksum}'"):
        if checksum not in _ancestry(target, origin, options):
            raise AptOstreeError(
                f"Checksum {checksum} not found in {origin.refspec}",
                hint="--skip-branch-check accepts a commit of another branch",
            )

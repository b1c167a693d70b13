"""apt-ostree db: the packages of commits, without a deployment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from apt_ostree.cli import backend, common
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render import diff as diffs
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import Advisory

SYSTEM_REPO = Path("/sysroot/ostree/repo")
_REPO = Opt("repo", "r", metavar="PATH", help=f"Path to OSTree repository (default: {SYSTEM_REPO})")
_ADVISORIES = Opt("advisories", "a", help="Also list advisories")
FORMATS = ("diff", "block", "json")
LIST_OPTIONS = (_REPO, _ADVISORIES, common.JSON)
VERSION_OPTIONS = (_REPO,)
DIFF_OPTIONS = (
    _REPO,
    Opt("format", "F", metavar="FORMAT", help='Output format: "diff", "json" or "block" (default)'),
    Opt("changelogs", "c", help="Also output package changelogs"),
    Opt("sysroot", metavar="SYSROOT", help="Use system root SYSROOT (default: /)"),
    Opt("base", help="Diff against deployments' base, not layered commits"),
    _ADVISORIES,
)


def repo_of(args: Args) -> Path:
    if path := args.text("repo"):
        return Path(path)
    root = args.text("sysroot") if args.has("sysroot") else None
    return Path(root) / "ostree/repo" if root else SYSTEM_REPO


def resolved(repo: Path, rev: str) -> str:
    checksum = backend.resolve(repo, rev)
    if checksum is None:
        raise AptOstreeError(
            f"Refspec '{rev}' not found", hint=f"ostree refs --repo={repo} lists what is there"
        )
    return checksum


def described(rev: str, checksum: str) -> str:
    return rev if rev == checksum else f"{rev} ({checksum})"


def list_packages(args: Args, session: Session) -> int:
    """`REV… [GLOB…]`: the first word that is no revision starts the globs."""
    repo = repo_of(args)
    revs: list[tuple[str, str]] = []
    words = list(args.rest)
    while words and (checksum := backend.resolve(repo, words[0])) is not None:
        revs.append((words.pop(0), checksum))
    if words and not revs:
        resolved(repo, words[0])
    out = session.out
    records = []
    for rev, checksum in revs:
        packages = [p for p in sorted(backend.packages_of(repo, checksum)) if _fits(p, words)]
        if args.flag("json"):
            records.append({"rev": rev, "commit": checksum,
                            "packages": [p.as_dict() for p in packages]})  # fmt: skip
            continue
        out.line(f"ostree commit: {described(rev, checksum)}")
        for package in packages:
            out.line(f" {package.nevra}")
        if args.flag("advisories"):
            _print_advisories(session, backend.advisories(repo, checksum))
    if args.flag("json"):
        out.json(records)
    return 0


def _fits(package: Package, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(package.name, p) for p in patterns)


def version(args: Args, session: Session) -> int:
    repo = repo_of(args)
    for rev in args.rest:
        checksum = resolved(repo, rev)
        packages = backend.packages_of(repo, checksum)
        session.out.line(f"ostree commit: {described(rev, checksum)}")
        session.out.line(f"  rpmdbv is: {database_version(packages):>66}")
    return 0


def database_version(packages: Sequence[Package]) -> str:
    """`COUNT:SHA256` over the sorted `name=version/arch` of all packages."""
    digest = hashlib.sha256()
    for text in sorted(f"{p.name}={p.version}/{p.arch}" for p in packages):
        digest.update(f"{text}\n".encode())
    return f"{len(packages)}:{digest.hexdigest()}"


def diff(args: Args, session: Session) -> int:
    form = _checked_format(args)
    repo = repo_of(args)
    before, after = _sides(args, repo)
    out = session.out
    if form == "json":
        advisories = backend.advisories(repo, after[1], since=before[1])
        out.json(
            {
                "ostree-commit-from": before[1],
                "ostree-commit-to": after[1],
                "pkgdiff": backend.package_diff(repo, before[1], after[1]).as_list(),
                "advisories": [a.as_tuple() for a in advisories],
            }
        )
        return 0
    out.line(f"ostree diff commit from: {described(*before)}")
    out.line(f"ostree diff commit to:   {described(*after)}")
    if form == "diff":
        lines = diffs.lines(backend.package_diff(repo, before[1], after[1]))
    else:
        found = backend.shown_diff(repo, before[1], after[1])
        if args.flag("changelogs"):
            lines = diffs.with_changelogs(found, backend.changelogs(repo, found, after[1]))
        else:
            lines = diffs.block(found)
    for line in lines:
        out.line(line)
    if args.flag("advisories"):
        _print_advisories(session, backend.advisories(repo, after[1], since=before[1]))
    return 0


def _print_advisories(session: Session, advisories: Sequence[Advisory]) -> None:
    lines = [f"  {line}" for line, _ in diffs.advisory_rows(advisories, width=0)]
    for line in ("", "SecAdvisories:", *lines) if lines else ():
        session.out.line(line)


def _checked_format(args: Args) -> str:
    form = args.text("format") or "block"
    if len(args.rest) > 2:
        raise UsageError('"apt-ostree db diff" takes at most 2 arguments')
    if form == "json" and args.flag("changelogs"):
        raise UsageError("json format and --changelogs not supported")
    if form == "diff" and args.flag("advisories"):
        raise UsageError("diff format and --advisories not supported")
    if form not in FORMATS:
        raise UsageError("Format argument is invalid, pick one of: diff, block, json")
    return form


def _sides(args: Args, repo: Path) -> tuple[tuple[str, str], tuple[str, str]]:
    """(description, checksum) of what is compared with what."""
    if len(args.rest) == 2:
        first, second = args.rest
        return (first, resolved(repo, first)), (second, resolved(repo, second))
    found = backend.deployments(Path(args.text("sysroot") or "/"))
    key = "base-checksum" if args.flag("base") else "checksum"
    commits: list[str] = [d[key] if key in d else d["checksum"] for d in found]
    booted = next((at for at, d in enumerate(found) if d["booted"]), None)
    if booted is None:
        return _offline_sides(args, repo, found, commits)
    running = ("booted deployment", commits[booted])
    if args.rest:
        return running, (args.rest[0], resolved(repo, args.rest[0]))
    if booted > 0:
        return running, ("pending deployment", commits[0])
    osname = found[booted]["osname"]
    for at in range(booted + 1, len(found)):
        if found[at]["osname"] == osname:
            return ("rollback deployment", commits[at]), running
    raise AptOstreeError("No pending or rollback deployment to diff against")


def _offline_sides(
    args: Args, repo: Path, found: list[dict[str, Any]], commits: list[str]
) -> tuple[tuple[str, str], tuple[str, str]]:
    """On a sysroot that nothing runs from, what boots next is pending, and the one after it what
    it was made from."""
    if not found:
        raise AptOstreeError(
            "Not booted into any deployment", hint="name two commits: apt-ostree db diff FROM TO"
        )
    pending = ("pending deployment", commits[0])
    if args.rest:
        return pending, (args.rest[0], resolved(repo, args.rest[0]))
    for at in range(1, len(found)):
        if found[at]["osname"] == found[0]["osname"]:
            return ("current deployment", commits[at]), pending
    raise AptOstreeError("No pending or rollback deployment to diff against")


LIST = Command(
    list_packages, usage="REV... [PREFIX-PKGNAME...]", options=LIST_OPTIONS, target=Target.LOCAL
)
VERSION = Command(version, usage="COMMIT...", options=VERSION_OPTIONS, target=Target.LOCAL)
DIFF = Command(diff, usage="[FROM_REV] [TO_REV]", options=DIFF_OPTIONS, target=Target.LOCAL)

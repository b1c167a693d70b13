"""What the compose commands share: options, requests, and how they end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from apt_ostree import __version__
from apt_ostree.cli import backend, common
from apt_ostree.cli.options import Args, Opt
from apt_ostree.cli.render.plan import explanation
from apt_ostree.cli.render.table import timings
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError, UsageError
from apt_ostree.model.compose import CommitRequest, Composed, InstallRequest

UNIFIED = (
    Opt("unified-core", help="Accepted for compatibility: the only way there is"),
    Opt("ex-unified-core", is_hidden=True),
)
REPO = (
    Opt("repo", "r", metavar="REPO", help="Path to OSTree repository"),
    Opt("layer-repo", metavar="REPO", help="Path to OSTree repository for ostree-layers"),
)
INSTALL = (
    Opt("force-nocache", help="Always create a new OSTree commit, even if nothing appears to have "
        "changed"),
    Opt("cache-only", help="Assume cache is present, do not attempt to update it"),
    Opt("cachedir", metavar="CACHEDIR", help="Cached state"),
    Opt("source-root", metavar="PATH", help="Use the apt sources and keys of the root at PATH"),
    Opt("download-only", help="Like --dry-run, but download and import packages as well; requires "
        "--cachedir"),
    Opt("download-only-rpms", help="Like --dry-run, but download packages as well; requires "
        "--cachedir"),
    Opt("proxy", metavar="PROXY", help="HTTP proxy"),
    common.DRY_RUN,
    Opt("print-only", help="Just expand any includes and print treefile"),
    Opt("disable-selinux", help="Accepted for compatibility: trees are not labelled"),
    Opt("touch-if-changed", metavar="FILE", help="Update the modification time on FILE if a new "
        "commit was created"),
    Opt("previous-commit", metavar="COMMIT", help="Use this commit for change detection"),
    Opt("previous-inputhash", metavar="DIGEST", help="Use this input hash for change detection"),
    Opt("previous-version", metavar="VERSION", help="Use this version number for automatic version "
        "numbering"),
    Opt("workdir", metavar="WORKDIR", help="Working directory"),
    Opt("workdir-tmpfs", help="Use tmpfs for working state", is_hidden=True),
    Opt("ex-write-lockfile-to", metavar="FILE", help="Write lockfile to FILE"),
    Opt("ex-lockfile", metavar="FILE", is_repeatable=True, help="Read lockfile from FILE"),
    Opt("ex-lockfile-strict", help="With --ex-lockfile, only allow installing locked packages"),
)  # fmt: skip
COMMIT = (
    Opt("add-metadata-string", metavar="KEY=VALUE", is_repeatable=True,
        help="Append given key and value (in string format) to metadata"),
    Opt("add-metadata-from-json", metavar="JSON", is_repeatable=True,
        help="Parse the given JSON file as object, convert to GVariant, append to OSTree commit"),
    Opt("write-commitid-to", metavar="FILE", help="File to write the composed commitid to instead "
        "of updating the ref"),
    Opt("write-composejson-to", metavar="FILE", help="Write JSON to FILE containing information "
        "about the compose run"),
    Opt("no-parent", help="Always commit without a parent"),
    Opt("parent", metavar="REV", help="Commit with specific parent"),
)  # fmt: skip
NO_TREEFILE = "TREEFILE must be specified"


def path_of(args: Args, name: str) -> Path | None:
    text = args.text(name)
    return None if text is None else Path(os.path.abspath(text))


def install_request(args: Args, session: Session, treefile: str) -> InstallRequest:
    """The install options as a value; notes about options without an effect go to stderr.

    Raises AptOstreeError for combinations that cannot work.
    """
    if args.flag("workdir-tmpfs"):
        session.out.note("note: --workdir-tmpfs is deprecated and will be ignored")
    for name in ("download-only", "download-only-rpms"):
        if args.flag(name) and args.text("cachedir") is None:
            raise AptOstreeError(f"--{name} can only be used with --cachedir")
    return InstallRequest(
        treefile=existing(treefile),
        repo=path_of(args, "repo"),
        layer_repo=path_of(args, "layer-repo"),
        cachedir=path_of(args, "cachedir"),
        source_root=path_of(args, "source-root"),
        workdir=path_of(args, "workdir"),
        proxy=args.text("proxy"),
        force_nocache=args.flag("force-nocache"),
        cache_only=args.flag("cache-only"),
        download_only=args.flag("download-only"),
        download_only_debs=args.flag("download-only-rpms"),
        dry_run=args.flag("dry-run"),
        touch_if_changed=path_of(args, "touch-if-changed"),
        previous_commit=args.text("previous-commit"),
        previous_inputhash=args.text("previous-inputhash"),
        previous_version=args.text("previous-version"),
        lockfiles=tuple(existing(p) for p in args.many("ex-lockfile")),
        lockfile_strict=args.flag("ex-lockfile-strict"),
        write_lockfile_to=path_of(args, "ex-write-lockfile-to"),
        command_line=session.command_line,
    )


def commit_request(args: Args) -> CommitRequest:
    repo = path_of(args, "repo")
    if repo is None:
        raise UsageError("--repo must be specified")
    metadata: list[tuple[str, Any]] = []
    for word in args.many("add-metadata-string"):
        key, equals, value = word.partition("=")
        if not equals:
            raise AptOstreeError(f"Missing '=' in KEY=VALUE metadata '{word}'")
        metadata.append((key, value))
    return CommitRequest(
        repo=repo,
        layer_repo=path_of(args, "layer-repo"),
        metadata=tuple(metadata),
        metadata_files=tuple(_json_object(p) for p in args.many("add-metadata-from-json")),
        write_commitid_to=path_of(args, "write-commitid-to"),
        write_composejson_to=path_of(args, "write-composejson-to"),
        no_parent=args.flag("no-parent"),
        parent=args.text("parent"),
    )


def existing(word: str) -> Path:
    """A file that must be there; said before minutes of work."""
    path = Path(os.path.abspath(word))
    if not path.is_file():
        raise AptOstreeError(f"'{word}' is not a file")
    return path


def _json_object(word: str) -> Path:
    path = existing(word)
    try:
        value = json.loads(path.read_bytes())
    except ValueError as err:
        raise AptOstreeError(f"Parsing {word}: {err}") from err
    if not isinstance(value, dict):
        raise AptOstreeError(f"Parsing {word}: not a JSON object")
    return path


def announce(session: Session) -> None:
    session.out.note(f"apt-ostree version: {__version__}")


def finish(session: Session, args: Args, made: Composed) -> int:
    """Statistics and the last line: `REF => COMMIT`, `Wrote commit: COMMIT` or `rootfs: PATH`."""
    out = session.out
    if args.has("timing") and args.flag("timing"):
        for line in timings(made.timings):
            out.note(line)
    if args.has("json") and args.flag("json"):
        out.json(composed_json(made, is_dry_run=args.has("dry-run") and args.flag("dry-run")))
        return 0
    if args.has("dry-run") and args.flag("dry-run"):
        _finish_dry_run(session, args, made)
        return 0
    for name, count in made.statistics.items():
        out.line(f"{name}: {count}")
    if made.commit is not None:
        out.line(f"{made.ref} => {made.commit}" if made.ref else f"Wrote commit: {made.commit}")
    elif made.root is not None:
        out.line(f"rootfs: {made.root}")
    return 0


def _finish_dry_run(session: Session, args: Args, made: Composed) -> None:
    if made.plan is not None and not session.out.is_quiet:
        for line in explanation(made.plan):
            session.out.line(line)
    touched = args.text("touch-if-changed") if args.has("touch-if-changed") else None
    if touched and made.changed:
        session.out.line(f"--dry-run complete, updating --touch-if-changed={touched}; exiting")
    else:
        session.out.line("--dry-run complete; exiting")


def finish_check(session: Session, args: Args, treefile: Path | None) -> int:
    """A dry run of a step without a plan of its own: the arguments and the treefile are good."""
    if treefile is not None:
        backend.treefile_json(treefile)
    return finish(session, args, Composed(changed=True))


def composed_json(made: Composed, *, is_dry_run: bool) -> dict[str, Any]:
    plan = None if made.plan is None else made.plan.as_dict()
    if is_dry_run and plan is not None:
        return plan
    return {
        "changed": made.changed,
        "ref": made.ref,
        "commit": made.commit,
        "rootfs": None if made.root is None else str(made.root),
        "plan": plan,
        "statistics": dict(made.statistics),
        "timings": dict(made.timings),
    }

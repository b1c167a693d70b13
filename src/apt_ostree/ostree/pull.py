"""Bring commits into a repository: from a configured remote, verified, or from another directory.

What a remote demands (`gpg-verify`, on unless its configuration says otherwise) is checked by
libostree before a ref moves; a commit that fails leaves only objects that pruning removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apt_ostree.errors import OstreeError
from apt_ostree.model.progress import Progress, task
from apt_ostree.ostree.glib import GLib, OSTree, translate
from apt_ostree.ostree.repo import Repo


def has_remote(repo: Repo, name: str) -> bool:
    return name in repo.handle.remote_list()


def remote(
    repo: Repo,
    name: str,
    ref: str,
    *,
    progress: Progress,
    checksum: str | None = None,
    timestamp_from: str | None = None,
    paths: Sequence[str] = (),
) -> str:
    """Pull `ref` (or one commit of it) from a remote; returns the commit's checksum.

    With `paths` only what is there is fetched, and the commit stays partial (`Repo.is_partial`)
    unless it is here already.

    `timestamp_from` is a commit that the new one may not be older than
    (`timestamp-check-from-rev`).  Raises TrustError, FetchError-like OstreeError.
    """
    if not has_remote(repo, name):
        raise OstreeError(f'Remote "{name}" not found', hint=f"ostree remote add {name} URL")
    options: dict[str, GLib.Variant] = {
        "refs": GLib.Variant("as", [ref]),
        "flags": GLib.Variant("i", int(OSTree.RepoPullFlags.NONE)),
    }
    if checksum is not None:
        options["override-commit-ids"] = GLib.Variant("as", [checksum])
    if paths:
        options["subdirs"] = GLib.Variant("as", list(paths))
    if timestamp_from is not None:
        options["timestamp-check-from-rev"] = GLib.Variant("s", timestamp_from)
    with task(progress, f"Updating from: {name}:{ref}"), translate(f"While pulling {ref}"):
        repo.handle.pull_with_options(name, GLib.Variant("a{sv}", options), None, None)
    return repo.resolve(checksum or f"{name}:{ref}")


def commits_only(repo: Repo, name: str, ref: str) -> None:
    """Pull the commit objects of a remote's ref and of all that came before, without content."""
    if not has_remote(repo, name):
        raise OstreeError(f'Remote "{name}" not found', hint=f"ostree remote add {name} URL")
    options = {
        "refs": GLib.Variant("as", [ref]),
        "depth": GLib.Variant("i", -1),
        "flags": GLib.Variant("i", int(OSTree.RepoPullFlags.COMMIT_ONLY)),
    }
    with translate(f"While pulling {ref}"):
        repo.handle.pull_with_options(name, GLib.Variant("a{sv}", options), None, None)


def local(repo: Repo, source: Path, rev: str, *, progress: Progress, is_own: bool = False) -> str:
    """Copy a commit with its content from the repository at `source`; returns its checksum.

    Objects of an own repository (`is_own`: written by this process) are taken over by hardlink
    where possible; others are checked one by one.
    """
    checksum = Repo.open(source).resolve(rev)
    flags = OSTree.RepoPullFlags.NONE if is_own else OSTree.RepoPullFlags.UNTRUSTED
    options = {
        "refs": GLib.Variant("as", [checksum]),
        "flags": GLib.Variant("i", int(flags)),
    }
    with (
        task(progress, f"Pulling {rev} from local repository"),
        translate(f"Pulling commit {rev} from local repo"),
    ):
        repo.handle.pull_with_options(
            f"file://{source}", GLib.Variant("a{sv}", options), None, None
        )
    return checksum


def history(repo: Repo, checksum: str) -> list[str]:
    """A commit and those of its ancestors that are here, newest first."""
    found = []
    at: str | None = checksum
    while at is not None and repo.has_commit(at):
        found.append(at)
        at = repo.commit(at).parent
    return found

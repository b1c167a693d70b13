"""Account numbers of a composed tree: stable from commit to commit, and checked."""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.assemble import accounts, idcheck, ids
from apt_ostree.assemble.accounts import FILES, Accounts
from apt_ostree.errors import AptOstreeError, TreefileError
from apt_ostree.model.progress import Progress
from apt_ostree.ostree.repo import Repo
from apt_ostree.treefile import files
from apt_ostree.treefile.schema import Treefile
from apt_ostree.treefile.values import AccountCheck


def of_commit(repo: Repo, checksum: str) -> Accounts:
    """The accounts that a commit has in its default `/etc`."""
    found = {name: repo.read_file(checksum, f"usr/etc/{name}") for name in FILES}
    return Accounts.parse({n: data for n, data in found.items() if data is not None})


def settle(
    root: Path,
    upper: Path,
    treefile: Treefile,
    *,
    previous: Accounts | None,
    day: int,
    progress: Progress,
) -> Accounts:
    """Give the accounts of a tree the numbers they had (`preserve-passwd`), and write sysusers.d.

    `day` (since 1970-01-01) is the last change of passwords.
    """
    ledger = ids.Ledger()
    if treefile.preserve_passwd and previous is not None:
        ledger = ids.Ledger.of(previous)
    settled = ids.settle(
        root, upper, base=Accounts.parse({}), ledger=ledger, reserved=ids.Ledger(), day=day
    )
    for conflict in settled.conflicts:
        progress.message(f"warning: {conflict}")
    accounts.write_sysusers(root, settled.accounts)
    return settled.accounts


def check(
    treefile: Treefile, current: Accounts, *, previous: Accounts | None, progress: Progress
) -> None:
    """`check-passwd` and `check-groups`.

    Raises TreefileError with the line of the rule, naming the account and both numbers.
    """
    for key, rule, compare, ignored in (
        ("check-passwd", treefile.check_passwd, idcheck.check_users, treefile.ignore_removed_users),
        ("check-groups", treefile.check_groups, idcheck.check_groups,
         treefile.ignore_removed_groups),
    ):  # fmt: skip
        try:
            lines = compare(_rule(rule), current, previous=previous, ignore_removed=ignored)
        except AptOstreeError as err:
            failure = TreefileError(err.message, where=treefile.where_of(key), hint=err.hint)
            failure.details = err.details
            raise failure from err
        for line in lines:
            progress.message(line)


def _rule(given: AccountCheck) -> idcheck.Rule:
    text = b""
    if given.file is not None:
        with files.opened(given.file) as (fd, _), os.fdopen(os.dup(fd), "rb") as stream:
            text = stream.read()
    return idcheck.Rule(idcheck.Against(given.type), dict(given.entries), text)

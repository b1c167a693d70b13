"""The treefile's `check-passwd` and `check-groups`: a compose must not change account numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from apt_ostree.assemble.accounts import Accounts
from apt_ostree.errors import AptOstreeError

IdPair = tuple[int, int]


class Against(StrEnum):
    NONE = "none"
    PREVIOUS = "previous"
    FILE = "file"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Rule:
    """`entries` for `data`: name -> id, or (uid, gid) for users; `text` is the content of the
    passwd or group file for `file`."""

    against: Against = Against.PREVIOUS
    entries: Mapping[str, int | IdPair] = field(default_factory=dict)
    text: bytes = b""


def check_users(
    rule: Rule,
    current: Accounts,
    *,
    previous: Accounts | None,
    ignore_removed: Collection[str] = (),
    is_owner: Callable[[int], bool] = lambda _: True,
) -> tuple[str, ...]:
    """Compare the users of a tree with what the rule names; returns lines to show.

    `is_owner` says whether files of the tree belong to a uid: a user that is gone and owns nothing
    does no harm.  `*` in `ignore_removed` stands for all.  Raises AptOstreeError naming the user,
    the old and the new number.
    """
    match rule.against:
        case Against.NONE:
            return ()
        case Against.PREVIOUS:
            if previous is None:  # the first compose
                return ()
            known = previous.users
        case Against.FILE:
            known = Accounts.parse({"passwd": rule.text}).users
        case Against.DATA:
            known = {}
    expected = {u.name: (u.uid, u.gid) for u in known.values()}
    for name, value in rule.entries.items() if rule.against is Against.DATA else ():
        expected[name] = value if isinstance(value, tuple) else (value, value)
    have = {u.name: (u.uid, u.gid) for u in current.users.values()}
    for name in sorted(expected.keys() & have.keys()):
        for label, old, new in zip(("UID", "GID"), expected[name], have[name], strict=True):
            if old != new:
                raise _changed(f"passwd {label} changed: {name} ({old} to {new})")
    removed = {name: expected[name][0] for name in expected.keys() - have.keys()}
    notes = _missing("user", "passwd", removed, ignore_removed, is_owner)
    new_names = sorted(have.keys() - expected.keys())
    return (*notes, *([f"New passwd entries: {', '.join(new_names)}"] if new_names else []))


def check_groups(
    rule: Rule,
    current: Accounts,
    *,
    previous: Accounts | None,
    ignore_removed: Collection[str] = (),
    is_owner: Callable[[int], bool] = lambda _: True,
) -> tuple[str, ...]:
    """As `check_users`, for groups."""
    match rule.against:
        case Against.NONE:
            return ()
        case Against.PREVIOUS:
            if previous is None:
                return ()
            known = previous.groups
        case Against.FILE:
            known = Accounts.parse({"group": rule.text}).groups
        case Against.DATA:
            known = {}
    expected = {g.name: g.gid for g in known.values()}
    for name, value in rule.entries.items() if rule.against is Against.DATA else ():
        expected[name] = value[-1] if isinstance(value, tuple) else value
    have = {g.name: g.gid for g in current.groups.values()}
    for name in sorted(expected.keys() & have.keys()):
        if expected[name] != have[name]:
            raise _changed(f"group GID changed: {name} ({expected[name]} to {have[name]})")
    removed = {name: expected[name] for name in expected.keys() - have.keys()}
    notes = _missing("group", "group", removed, ignore_removed, is_owner)
    new_names = sorted(have.keys() - expected.keys())
    return (*notes, *([f"New group entries: {', '.join(new_names)}"] if new_names else []))


def _changed(message: str) -> AptOstreeError:
    return AptOstreeError(
        message, hint="keep the number with preserve-passwd, or accept it with check-passwd and "
        "check-groups",
    )  # fmt: skip


def _missing(
    kind: str,
    file: str,
    removed: Mapping[str, int],
    ignore_removed: Collection[str],
    is_owner: Callable[[int], bool],
) -> list[str]:
    notes = []
    for name in sorted(removed):
        if name in ignore_removed or "*" in ignore_removed:
            notes.append(f"Ignored {kind} missing from new {file} file: {name}")
        elif not is_owner(removed[name]):
            notes.append(f"Unused {kind} removed from new {file} file: {name}")
        else:
            raise AptOstreeError(
                f"{kind.capitalize()} missing from new {file} file: {name}",
                hint=f"add it to ignore-removed-{kind}s if no machine needs it",
                details=(f"it had the id {removed[name]}",),
            )
    return notes

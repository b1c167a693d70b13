"""Numbers of accounts that stay the same from one build to the next.

Debian gives system accounts their numbers in the order of installation (100-999), so a rebuild in
another order, or after a package went, gives other numbers, and files below /var then belong to a
stranger.  After the scripts ran, every account that they made gets the number it had before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from apt_ostree.assemble import accounts as files
from apt_ostree.assemble import inodes
from apt_ostree.assemble.accounts import Accounts, Row
from apt_ostree.errors import AptOstreeError

# Policy 9.2.2: 100-999 system accounts, 1000-59999 ordinary ones; the rest is allocated for ever.
SYSTEM = range(100, 1000)
ORDINARY = range(1000, 60000)
# adduser takes the first free number from 100 up (adduser.conf), useradd -r and systemd-sysusers
# from 999 down; which one made an account shows in the half its number is in.
UPWARD_BELOW = 550


@dataclass(frozen=True, slots=True)
class Ledger:
    """Which name has which number."""

    users: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, accounts: Accounts) -> Self:
        return cls(
            {u.name: u.uid for u in accounts.users.values()},
            {g.name: g.gid for g in accounts.groups.values()},
        )

    @classmethod
    def loads(cls, data: bytes, *, source: str) -> Self:
        """Read what `dumps` wrote.  Raises AptOstreeError naming `source`."""
        try:
            raw = json.loads(data)
            kinds = raw["users"], raw["groups"]
            if raw["version"] != 1 or not all(
                isinstance(name, str) and type(number) is int and number >= 0
                for kind in kinds
                for name, number in kind.items()
            ):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise AptOstreeError(
                f"{source} is not a table of account numbers",
                hint="remove the file; it is made again from /etc/passwd and /etc/group",
            ) from err
        return cls(*kinds)

    def dumps(self) -> bytes:
        table = {"version": 1, "users": self.users, "groups": self.groups}
        return json.dumps(table, indent=1, sort_keys=True).encode() + b"\n"


def union(*ledgers: Ledger) -> Ledger:
    """All entries; an earlier ledger wins where names or numbers collide.

    So the account files of the machine come first and what is only remembered later.
    """
    return Ledger(_merged(one.users for one in ledgers), _merged(one.groups for one in ledgers))


def _merged(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    out: dict[str, int] = {}
    numbers: set[int] = set()
    for name, number in (item for table in tables for item in table.items()):
        if name not in out and number not in numbers:
            out[name] = number
            numbers.add(number)
    return out


@dataclass(frozen=True, slots=True)
class Settlement:
    """`accounts` with their final numbers; `ledger` to remember; `uids` and `gids` map the numbers
    given by the scripts to the final ones (only those that differ); `conflicts` are sentences
    about accounts that could not get the number they had."""

    accounts: Accounts
    ledger: Ledger
    uids: Mapping[int, int]
    gids: Mapping[int, int]
    conflicts: tuple[str, ...]


@dataclass(slots=True)
class _Pool:
    """Numbers of one kind: `fixed` are in the base, `own` what the scripts gave (one name for
    each number), `wanted` what names had before or have on the machine."""

    kind: str
    fixed: Mapping[int, str]
    own: Mapping[str, int]
    wanted: Mapping[str, int]
    given: dict[str, int] = field(default_factory=dict)
    used: dict[int, str] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.used = {number: name for name, number in self.wanted.items()} | dict(self.fixed)

    def is_free(self, number: int, name: str) -> bool:
        return self.used.get(number, name) == name

    def give(self, name: str, number: int) -> None:
        self.given[name] = number
        self.used[number] = name

    def give_wanted(self) -> None:
        for name in sorted(self.own):
            number = self.wanted.get(name)
            if number is None:
                continue
            if self.is_free(number, name):
                self.give(name, number)
            else:
                self.conflicts.append(
                    f"{self.kind} '{name}' had id {number}, which is '{self.used[number]}' "
                    f"in this tree"
                )

    def pending(self) -> list[str]:
        return sorted(self.own.keys() - self.given.keys(), key=lambda n: (self.own[n], n))

    def is_allocated(self, number: int) -> bool:
        """Whether the number is one of those that Policy 9.2.2 hands out for ever."""
        return number not in SYSTEM and number not in ORDINARY

    def keep_allocated(self) -> None:
        for name in self.pending():
            number = self.own[name]
            if not self.is_allocated(number):
                continue
            if not self.is_free(number, name):
                self.conflicts.append(
                    f"{self.kind} '{name}' has the fixed id {number}, which belongs to "
                    f"'{self.used[number]}'"
                )
            self.give(name, number)


def candidates(number: int, *, kind: str) -> Iterator[int]:
    """Numbers to try in place of `number`: on in the direction of the tool, then the other way.

    Raises AptOstreeError when they are used up.
    """
    area = SYSTEM if number in SYSTEM else ORDINARY
    up, down = range(number, area.stop), range(number - 1, area.start - 1, -1)
    if area is SYSTEM and number >= UPWARD_BELOW:
        up, down = range(number, area.start - 1, -1), range(number + 1, area.stop)
    yield from up
    yield from down
    raise AptOstreeError(
        f"no free {kind} id between {area.start} and {area.stop - 1}",
        hint="remove accounts that nothing uses any more",
    )


def assign(base: Accounts, after: Accounts, ledger: Ledger, *, reserved: Ledger) -> Settlement:
    """Decide the numbers of the accounts that `after` has and `base` has not.  Pure.

    A name gets the number that `reserved` (the machine's accounts) or else `ledger` has for it.
    A new name keeps what the scripts gave unless that is another name's in the base, the ledger
    or among the reserved; then it gets the next free one of its range.  A user and a group of
    one name with one number move together.
    """
    new_users, new_groups = files.created(base, after)
    wanted = union(reserved, ledger)
    kept_users = {u.uid: u.name for u in after.users.values() if u.name not in new_users}
    kept_groups = {g.gid: g.name for g in after.groups.values() if g.name not in new_groups}
    users = _Pool(
        "user", base.user_names() | kept_users,
        _own({u.name: u.uid for u in after.users.values()}, new_users, kept_users), wanted.users,
    )  # fmt: skip
    groups = _Pool(
        "group", base.group_names() | kept_groups,
        _own({g.name: g.gid for g in after.groups.values()}, new_groups, kept_groups),
        wanted.groups,
    )  # fmt: skip
    for pool in (users, groups):
        pool.give_wanted()
        pool.keep_allocated()
    _give_rest(users, groups)
    uids = {users.own[n]: i for n, i in users.given.items() if users.own[n] != i}
    gids = {groups.own[n]: i for n, i in groups.given.items() if groups.own[n] != i}
    settled = renumbered(after, uids, gids)
    fresh = Ledger(
        {n: u.uid for n, u in settled.users.items() if n in new_users},
        {n: g.gid for n, g in settled.groups.items() if n in new_groups},
    )
    conflicts = tuple(users.conflicts + groups.conflicts)
    return Settlement(settled, union(fresh, ledger), uids, gids, conflicts)


def _own(
    numbers: Mapping[str, int], new: frozenset[str], kept: Mapping[int, str]
) -> dict[str, int]:
    """One name for each new number; aliases (`useradd -o`) follow the number, not the name."""
    out: dict[int, str] = {}
    for name, number in numbers.items():
        if name in new and number not in kept:
            out.setdefault(number, name)
    return {name: number for number, name in out.items()}


def _give_rest(users: _Pool, groups: _Pool) -> None:
    """Names without a number so far: first those that can keep theirs, then the others."""
    for may_move in (False, True):
        for name in users.pending():
            number = users.own[name]
            is_pair = groups.own.get(name) == number and name not in groups.given
            # The group of this name may have got its old number already: then follow it.
            start = groups.given.get(name, number) if groups.own.get(name) == number else number
            if users.is_allocated(start) or not users.is_free(start, name):
                start = number
            pools = (users, groups) if is_pair else (users,)
            _give_first(pools, name, start, may_move=may_move)
        for name in groups.pending():
            if (
                not may_move
                and name in users.own
                and users.own[name] == groups.own[name]
                and (name not in users.given)
            ):
                continue  # moves with its user
            start = groups.own[name]
            if users.own.get(name) == start and groups.is_free(users.given[name], name):
                start = users.given[name]
            _give_first((groups,), name, start, may_move=may_move)


def _give_first(pools: tuple[_Pool, ...], name: str, start: int, *, may_move: bool) -> None:
    """Give `name` the first number that is free in all pools, or only `start` itself."""
    for number in candidates(start, kind=pools[0].kind) if may_move else (start,):
        if all(pool.is_free(number, name) for pool in pools):
            for pool in pools:
                pool.give(name, number)
            return


def renumbered(accounts: Accounts, uids: Mapping[int, int], gids: Mapping[int, int]) -> Accounts:
    """The account files with all numbers mapped at once (so that two can change places)."""

    def mapped(row: Row, *fields: tuple[int, Mapping[int, int]]) -> Row:
        out = list(row)
        for index, table in fields:
            if index < len(row) and row[index].isdecimal():
                number = int(row[index])
                out[index] = str(table[number]) if number in table else row[index]
        return tuple(out)

    rows = accounts.rows
    return Accounts(
        {
            **rows,
            "passwd": tuple(mapped(row, (2, uids), (3, gids)) for row in rows["passwd"]),
            "group": tuple(mapped(row, (2, gids)) for row in rows["group"]),
        }
    )


def settle(
    root: Path, upper: Path, *, base: Accounts, ledger: Ledger, reserved: Ledger, day: int
) -> Settlement:
    """Give the accounts that the scripts made in `root` their final numbers, on disk.

    Changes the account files and the owners of every inode in `upper`, through the merged `root`
    (equal to `upper` where there is no overlay), and normalises the shadow lines of the new
    accounts to `day` (days since 1970-01-01).  Owners below the upper cannot be new accounts:
    packages whose files belong to dynamic accounts are unpacked by dpkg.  Numbers written inside
    other files stay; dpkg-statoverride's database has names.
    """
    settlement = assign(base, files.load(root / files.ETC), ledger, reserved=reserved)
    new_users, _ = files.created(base, settlement.accounts)
    locked = files.lock(settlement.accounts, new_users, day=day)
    locked = files.without_idle_groups(locked)
    files.store(root, locked)
    inodes.renumber(root, upper, uids=settlement.uids, gids=settlement.gids)
    return replace(settlement, accounts=locked)


def strangers(tree: Accounts, machine: Accounts) -> tuple[str, ...]:
    """Sentences about accounts of a tree whose number is another one on the machine.

    systemd-sysusers silently takes another number then, and the image's files belong to a
    stranger; so it is said before the tree is deployed.
    """
    out = []
    for kind, have, there in (
        ("user", Ledger.of(tree).users, Ledger.of(machine).users),
        ("group", Ledger.of(tree).groups, Ledger.of(machine).groups),
    ):
        holders = {number: name for name, number in there.items()}
        for name, number in sorted(have.items()):
            if there.get(name, number) != number:
                out.append(f"{kind} '{name}' has id {number} in the image, {there[name]} here")
            elif name not in there and number in holders:
                out.append(f"{kind} '{name}' has id {number} in the image, here that is "
                           f"'{holders[number]}'")  # fmt: skip
    return tuple(out)

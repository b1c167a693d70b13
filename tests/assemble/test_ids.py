"""Numbers of accounts stay the same from build to build."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apt_ostree.assemble import accounts, ids
from apt_ostree.assemble.accounts import EMPTY, Accounts
from apt_ostree.assemble.ids import Ledger
from apt_ostree.errors import AptOstreeError

NOTHING = Ledger()


def tree_of(
    users: dict[str, tuple[int, int]], groups: dict[str, int], extra: dict[str, bytes] | None = None
) -> Accounts:
    passwd = "".join(f"{n}:x:{u}:{g}::/:/bin/false\n" for n, (u, g) in users.items())
    group = "".join(f"{n}:x:{g}:\n" for n, g in groups.items())
    return Accounts.parse({"passwd": passwd.encode(), "group": group.encode(), **(extra or {})})


BASE = tree_of({"root": (0, 0), "bar": (101, 101)}, {"root": 0, "bar": 101})


def after(users: dict[str, tuple[int, int]], groups: dict[str, int]) -> Accounts:
    return tree_of({"root": (0, 0), "bar": (101, 101), **users}, {"root": 0, "bar": 101, **groups})


@pytest.mark.parametrize(
    ("users", "groups", "ledger", "reserved", "expected_users", "expected_groups"),
    [
        # nothing known: the scripts' numbers stay
        ({"a": (105, 105)}, {"a": 105}, NOTHING, NOTHING, {"a": 105}, {"a": 105}),
        # the number from before comes back
        ({"a": (105, 105)}, {"a": 105}, Ledger({"a": 120}, {"a": 121}), NOTHING,
         {"a": 120}, {"a": 121}),
        # two change places
        ({"a": (105, 105), "b": (106, 106)}, {"a": 105, "b": 106},
         Ledger({"a": 106, "b": 105}, {"a": 106, "b": 105}), NOTHING,
         {"a": 106, "b": 105}, {"a": 106, "b": 105}),
        # a new name gives way to a remembered one that is not there, upwards like adduser
        ({"a": (105, 105)}, {"a": 105}, Ledger({"gone": 105}, {"gone": 105}), NOTHING,
         {"a": 106}, {"a": 106}),
        # downwards like systemd-sysusers and useradd -r
        ({"a": (998, 998)}, {"a": 998}, Ledger({"gone": 998}, {}), NOTHING, {"a": 997}, {"a": 997}),
        # a person on the machine has the number
        ({"a": (1000, 1000)}, {"a": 1000}, NOTHING, Ledger({"me": 1000}, {"me": 1000}),
         {"a": 1001}, {"a": 1001}),
        # pair moves together: 106 is free for the user but not for the group
        ({"a": (105, 105)}, {"a": 105}, Ledger({"x": 105}, {"y": 106}), NOTHING,
         {"a": 107}, {"a": 107}),
        # what the machine has wins over what is remembered
        ({"a": (105, 105)}, {"a": 105}, Ledger({"a": 130}, {"a": 130}),
         Ledger({"a": 140}, {"a": 140}), {"a": 140}, {"a": 140}),
        # only the group is known: the user follows it
        ({"a": (105, 105)}, {"a": 105}, Ledger({}, {"a": 150}), NOTHING, {"a": 150}, {"a": 150}),
        # a fixed number of base-passwd is never moved
        ({"www-data": (33, 33)}, {"www-data": 33}, Ledger({"x": 33}, {}), NOTHING,
         {"www-data": 33}, {"www-data": 33}),
        # a remembered number is another name's in the base
        ({"a": (105, 105)}, {"a": 105}, Ledger({"a": 101}, {}), NOTHING, {"a": 105}, {"a": 105}),
        # new and old compete: the old one gets it
        ({"a": (105, 105), "b": (106, 106)}, {"a": 105, "b": 106},
         Ledger({"b": 105}, {"b": 105}), NOTHING, {"a": 106, "b": 105}, {"a": 106, "b": 105}),
    ],
)  # fmt: skip
def test_assign(users, groups, ledger, reserved, expected_users, expected_groups):
    done = ids.assign(BASE, after(users, groups), ledger, reserved=reserved)
    found = Ledger.of(done.accounts)
    assert {n: found.users[n] for n in users} == expected_users
    assert {n: found.groups[n] for n in groups} == expected_groups
    assert (found.users["bar"], found.groups["bar"]) == (101, 101)
    for name in users:
        assert done.accounts.users[name].gid == expected_groups[name]
        assert done.ledger.users[name] == expected_users[name]


def test_the_ledger_remembers_removed_accounts():
    ledger = Ledger({"gone": 105}, {"gone": 105})
    first = ids.assign(BASE, after({"a": (105, 105)}, {"a": 105}), ledger, reserved=NOTHING)
    again = ids.assign(
        BASE,
        after({"gone": (105, 105), "a": (106, 106)}, {"gone": 105, "a": 106}),
        first.ledger,
        reserved=NOTHING,
    )
    assert again.ledger == first.ledger
    assert (again.uids, again.gids) == ({}, {})


def test_conflicts_are_told():
    done = ids.assign(
        BASE,
        after({"a": (105, 105)}, {"a": 105}),
        Ledger({"a": 101}, {"a": 101}),
        reserved=NOTHING,
    )
    assert done.conflicts == (
        "user 'a' had id 101, which is 'bar' in this tree",
        "group 'a' had id 101, which is 'bar' in this tree",
    )


def test_aliases_follow_their_number():
    tree = after({"a": (105, 105), "alias": (105, 105), "bar2": (101, 101)}, {"a": 105})
    done = ids.assign(BASE, tree, Ledger({"a": 120}, {}), reserved=NOTHING)
    users = Ledger.of(done.accounts).users
    assert (users["a"], users["alias"], users["bar2"]) == (120, 120, 101)


def test_a_full_range_is_an_error_with_a_way_out():
    full = Ledger({f"u{i}": i for i in range(100, 1000)}, {})
    with pytest.raises(AptOstreeError, match="no free user id between 100 and 999") as error:
        ids.assign(BASE, after({"a": (105, 105)}, {"a": 105}), full, reserved=NOTHING)
    assert error.value.hint


names = st.sampled_from([f"n{i}" for i in range(8)])
numbers = st.integers(100, 112) | st.integers(990, 999) | st.integers(1, 99)
tables = st.dictionaries(names, numbers, max_size=6)


def unique(table: dict[str, int], taken: set[int]) -> dict[str, int]:
    out: dict[str, int] = {}
    for name, number in table.items():
        if number not in taken and number not in out.values():
            out[name] = number
    return out


@given(tables, tables, tables, tables, tables, tables)
@settings(max_examples=300, deadline=None)
def test_no_two_names_share_a_number_and_known_names_keep_theirs(u, g, lu, lg, ru, rg):
    users, groups = unique(u, {101}), unique(g, {101})
    tree = after({n: (i, i) for n, i in users.items()}, groups)
    ledger = ids.union(Ledger(lu, lg))
    reserved = ids.union(Ledger(ru, rg))
    done = ids.assign(BASE, tree, ledger, reserved=reserved)
    for made, own, known in (
        (Ledger.of(done.accounts).users, users, ids.union(reserved, ledger).users),
        (Ledger.of(done.accounts).groups, groups, ids.union(reserved, ledger).groups),
    ):
        fixed = {n for n in own if own[n] < 100}
        moving = [made[n] for n in own if n not in fixed]
        assert len(set(moving)) == len(moving)
        assert 101 not in moving
        for name in own.keys() & known.keys():
            if known[name] != 101 and name not in fixed:
                assert made[name] == known[name]
        others = {i for n, i in known.items() if n not in own}
        assert not others & set(moving)
    again = ids.assign(BASE, done.accounts, done.ledger, reserved=reserved)
    assert (again.uids, again.gids) == ({}, {})


def test_ledger_survives_a_file():
    ledger = Ledger({"a": 5}, {"b": 6})
    assert Ledger.loads(ledger.dumps(), source="x") == ledger


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"version": 2, "users": {}, "groups": {}}',
     b'{"version": 1, "users": {"a": "5"}, "groups": {}}', b'{"version": 1, "users": [], "groups": {}}',
     b'{"version": 1, "users": {"a": -1}, "groups": {}}', b"\xff"],
)  # fmt: skip
def test_a_broken_ledger_is_one_clear_error(data):
    with pytest.raises(AptOstreeError, match=r"ids.json is not a table of account numbers"):
        Ledger.loads(data, source="/var/lib/apt-ostree/ids.json")


def test_union_prefers_the_first_for_names_and_numbers():
    both = ids.union(Ledger({"a": 1}, {}), Ledger({"a": 2, "b": 1, "c": 3}, {"g": 9}))
    assert both == Ledger({"a": 1, "c": 3}, {"g": 9})


def test_strangers_names_both_ways_to_collide():
    image = after({"a": (105, 105), "b": (106, 106)}, {})
    machine = tree_of({"a": (110, 110), "me": (106, 106)}, {})
    assert ids.strangers(image, machine) == (
        "user 'a' has id 105 in the image, 110 here",
        "user 'b' has id 106 in the image, here that is 'me'",
    )
    assert ids.strangers(image, image) == ()


@pytest.mark.root
def test_settle_after_the_real_tools(tmp_path):
    """groupadd and useradd make accounts; both get the numbers that a former build gave."""
    etc = tmp_path / "usr/etc"
    etc.mkdir(parents=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        shutil.copy(f"/etc/{name}", etc / name)
    base = accounts.load(etc)
    os.symlink("usr/etc", tmp_path / "etc")
    for name in ("zork", "quux"):
        subprocess.run(
            ["useradd", "--prefix", str(tmp_path), "-r", "-U", "-d", "/nonexistent", name],
            check=True,
            capture_output=True,
        )
    made = accounts.load(etc)
    zork, quux = made.users["zork"], made.users["quux"]
    owned = tmp_path / "usr/lib/zork"
    owned.parent.mkdir()
    owned.write_text("x")
    os.chown(owned, zork.uid, quux.gid)
    # a former build had them the other way round
    ledger = Ledger({"zork": quux.uid, "quux": zork.uid}, {"zork": quux.gid, "quux": zork.gid})
    done = ids.settle(tmp_path, tmp_path, base=base, ledger=ledger, reserved=NOTHING, day=19000)
    now = accounts.load(etc)
    assert (now.users["zork"].uid, now.users["zork"].gid) == (quux.uid, quux.gid)
    assert (owned.stat().st_uid, owned.stat().st_gid) == (quux.uid, zork.gid)
    shadow = {row[0]: row[1:3] for row in now.rows["shadow"]}
    assert shadow["zork"] == ("!*", "19000")
    assert done.conflicts == ()
    assert now == done.accounts


def test_everything_is_new_on_an_empty_base():
    done = ids.assign(EMPTY, BASE, Ledger({"bar": 777}, {"bar": 777}), reserved=NOTHING)
    assert Ledger.of(done.accounts) == Ledger({"root": 0, "bar": 777}, {"root": 0, "bar": 777})


def test_paths(tmp_path: Path):
    """A tree without account files has no accounts to settle."""
    (tmp_path / "usr/etc").mkdir(parents=True)
    done = ids.settle(tmp_path, tmp_path, base=EMPTY, ledger=NOTHING, reserved=NOTHING, day=0)
    assert done.accounts == EMPTY
    assert list((tmp_path / "usr/etc").iterdir()) == []

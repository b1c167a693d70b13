"""check-passwd and check-groups."""

from __future__ import annotations

import pytest

from apt_ostree.assemble.accounts import Accounts
from apt_ostree.assemble.idcheck import Against, Rule, check_groups, check_users
from apt_ostree.errors import AptOstreeError


def tree(**users: int) -> Accounts:
    return Accounts.parse(
        {
            "passwd": "".join(f"{n}:x:{i}:{i}::/:/bin/sh\n" for n, i in users.items()).encode(),
            "group": "".join(f"{n}:x:{i}:\n" for n, i in users.items()).encode(),
        }
    )


DATA = Rule(Against.DATA, {"a": 1, "b": (2, 2)})


@pytest.mark.parametrize(
    ("rule", "current", "previous", "error"),
    [
        (Rule(), tree(a=1), tree(a=2), "passwd UID changed: a (2 to 1)"),
        (Rule(), tree(b=1), tree(a=2), "User missing from new passwd file: a"),
        (DATA, tree(a=1, b=3), None, "passwd UID changed: b (2 to 3)"),
        (Rule(Against.DATA, {"a": (1, 9)}), tree(a=1), None, "passwd GID changed: a (9 to 1)"),
        (Rule(Against.FILE, text=b"a:x:7:7::/:\n"), tree(a=1), None,
         "passwd UID changed: a (7 to 1)"),
    ],
)  # fmt: skip
def test_changed_users_stop_the_compose(rule, current, previous, error):
    with pytest.raises(AptOstreeError) as caught:
        check_users(rule, current, previous=previous)
    assert caught.value.message == error
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rule", "current", "previous", "error"),
    [
        (Rule(), tree(a=1), tree(a=2), "group GID changed: a (2 to 1)"),
        (Rule(), tree(), tree(a=2), "Group missing from new group file: a"),
        (DATA, tree(a=5, b=2), None, "group GID changed: a (1 to 5)"),
        (Rule(Against.FILE, text=b"a:x:7:\n"), tree(a=1), None, "group GID changed: a (7 to 1)"),
    ],
)
def test_changed_groups_stop_the_compose(rule, current, previous, error):
    with pytest.raises(AptOstreeError) as caught:
        check_groups(rule, current, previous=previous)
    assert caught.value.message == error


@pytest.mark.parametrize(
    ("rule", "previous", "lines"),
    [
        (Rule(Against.NONE), tree(z=9), ()),
        (Rule(), None, ()),
        (Rule(), tree(a=1), ("New passwd entries: b",)),
        (Rule(), tree(a=1, b=2), ()),
        (DATA, None, ()),
    ],
)
def test_what_is_fine_is_at_most_told(rule, previous, lines):
    assert check_users(rule, tree(a=1, b=2), previous=previous) == lines


@pytest.mark.parametrize("ignored", [["gone"], ["*"]])
def test_ignored_removals(ignored):
    old, new = tree(a=1, gone=2), tree(a=1)
    assert check_users(Rule(), new, previous=old, ignore_removed=ignored) == (
        "Ignored user missing from new passwd file: gone",
    )
    assert check_groups(Rule(), new, previous=old, ignore_removed=ignored) == (
        "Ignored group missing from new group file: gone",
    )


def test_a_removed_user_that_owns_nothing_is_only_told():
    lines = check_users(Rule(), tree(), previous=tree(a=4), is_owner=lambda uid: uid != 4)
    assert lines == ("Unused user removed from new passwd file: a",)

"""Kernel arguments: libostree's rules and texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.model.change import KargsEdit
from apt_ostree.model.kargs import KargsError, KernelArgs, split

LINE = 'root=UUID=a-b rw console=tty0 console=ttyS0,115200 quiet opt="a b=c" empty='
WORD = st.text(alphabet='ab=,"_.', min_size=1, max_size=8).filter(lambda w: w.count('"') % 2 == 0)


def test_quotes_order_and_duplicates_are_kept():
    args = KernelArgs.parse(f"  {LINE} ")
    assert str(args) == LINE
    assert [a.key for a in args.args] == [
        "root", "rw", "console", "console", "quiet", "opt", "empty",
    ]  # fmt: skip
    assert [a.value for a in args.args[4:]] == [None, '"a b=c"', ""]


@pytest.mark.parametrize(
    ("method", "text", "before", "after"),
    [
        ("append", "console=tty0", "console=tty0", "console=tty0 console=tty0"),
        ("replace", "quiet=1", "a quiet b", "a quiet=1 b"),
        ("replace", "root=LABEL=x", "root=LABEL", "root=x"),
        ("replace", "c=2=3", "c=1 c=2", "c=1 c=3"),
        ("replace", "c=1=", "c=1", "c="),
        ("replace", "c", "c=1", "c"),
        ("delete", "quiet", "a quiet b", "a b"),
        ("delete", "c", "c=1", ""),
        ("delete", "c=2", "c=1 x c=2", "c=1 x"),
        ("delete", "c", "c=1 c", "c=1"),
        ("delete", "c=", "c=1 c=", "c=1"),
        ("delete", "c=2", "c=1 c=2 c=2", "c=1 c=2"),
    ],
)
def test_edits(method, text, before, after):
    assert str(getattr(KernelArgs.parse(before), method)(text)) == after


@pytest.mark.parametrize(
    ("method", "text", "before", "message"),
    [
        ("replace", "x=1", "a", "No key 'x' found"),
        ("replace", "c=9=3", "c=1 c=2", "No karg 'c=9' found"),
        ("replace", "c=9", "c=1 c=2", "Multiple values for key 'c' found"),
        ("delete", "x", "a", "No key 'x' found"),
        ("delete", "c=9", "c=1", "No karg 'c=9' found"),
        ("delete", "c=9", "c=1 c=2", "No karg 'c=9' found"),
        ("delete", "c", "c=1 c=2", "Multiple values for key 'c' found"),
    ],
)
def test_errors(method, text, before, message):
    with pytest.raises(KargsError) as caught:
        getattr(KernelArgs.parse(before), method)(text)
    assert caught.value.message == message


def test_all_edits_in_the_order_of_the_contract():
    edit = KargsEdit(
        delete=("quiet",),
        replace=("root=b",),
        append=("x=1", "x=1"),
        append_if_missing=("rw", "y"),
        delete_if_present=("rw", "absent", "x=1"),
    )
    # x=1 was not there before, so delete-if-present leaves it
    assert str(KernelArgs.parse("root=a rw quiet").apply(edit)) == "root=b x=1 x=1 y"


def test_delete_if_present_after_delete_is_no_error():
    edit = KargsEdit(delete=("a",), delete_if_present=("a",))
    assert str(KernelArgs.parse("a b").apply(edit)) == "b"


def test_the_editor_replaces_everything():
    assert str(KernelArgs.parse("a b").apply(KargsEdit(final=("c", "d")))) == "c d"


def test_ostree_is_hidden_from_the_user():
    assert str(KernelArgs.parse("a ostree=/ostree/boot.1 b").without("ostree")) == "a b"


@given(st.text(max_size=60))
def test_splitting_keeps_all_but_blanks_outside_quotes(line):
    words = split(line)
    assert split(" ".join(words)) == words
    assert all(words)


@given(st.lists(WORD, max_size=6))
def test_parse_and_print_are_inverse(words):
    assert KernelArgs.parse(" ".join(words)).words == tuple(words)


@given(st.lists(WORD, max_size=6), WORD)
def test_append_then_contains_and_delete_exact(words, word):
    args = KernelArgs.of(words).append(word)
    assert word in args
    if "=" in word:
        assert len(args.delete(word).args) == len(words)

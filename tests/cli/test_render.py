"""Small pieces of output: grammar, units, progress, streams."""

import io
import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.cli.render import diff as diffs
from apt_ostree.cli.render.history import entry
from apt_ostree.cli.render.json import pretty
from apt_ostree.cli.render.output import Output, Style, is_utf8, stream_style
from apt_ostree.cli.render.progress import Quiet, Terminal, Text, watching
from apt_ostree.cli.render.text import quote, value_list, wrap
from apt_ostree.cli.render.units import ago, size, timestamp
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import PackageDiff
from apt_ostree.model.plan import Plan


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"),
     (999_950, "1.0 MB"), (999_949, "999.9 kB"), (5_000_000_000, "5.0 GB"), (-1500, "-1.5 kB")],
)  # fmt: skip
def test_size(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s ago"), (59, "59s ago"), (60, "1min ago"), (61, "1min 1s ago"), (3600, "1h ago"),
     (16_320, "4h 32min ago"), (86_400, "1 day ago"), (3 * 86_400 + 5, "3 days ago"),
     (604_800, "1 week ago"), (3_000_000, "1 month 4 days ago"), (31_557_600, "1 year ago"),
     (2 * 31_557_600 + 2_629_800, "2 years 1 month ago"), (-5, "in the future")],
)  # fmt: skip
def test_ago(seconds, text):
    assert ago(1_000_000_000 - seconds, 1_000_000_000.0) == text


def test_timestamp():
    assert timestamp(1767225600) == "2026-01-01T00:00:00Z"
    assert timestamp(2**63) == timestamp(None) == "(invalid timestamp)"


@pytest.mark.parametrize(
    ("word", "shown"),
    [("a/b_c-1.0:x=y", "a/b_c-1.0:x=y"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"),
     ("*", "'*'"), ("é", "'é'")],
)  # fmt: skip
def test_quote(word, shown):
    assert quote(word) == shown


@given(st.text(max_size=12))
def test_quoting_is_what_a_shell_undoes(word):
    import shlex

    assert shlex.split(quote(word)) == [word]


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=30)), st.integers(1, 40))
def test_wrapping_keeps_the_items_and_the_width(items, limit):
    lines = list(wrap(items, limit))
    assert " ".join(lines).split() == items
    assert all(len(line) <= limit or " " not in line for line in lines)


def test_list_is_sorted_without_case():
    assert list(value_list("K", ["b", "A", "C"], Style())) == [f"{'K':>25}: A b C"]


def test_json_shape():
    assert pretty({"a": [1, None], "b": {}, "c": []}) == (
        '{\n  "a" : [\n    1,\n    null\n  ],\n  "b" : {},\n  "c" : []\n}'
    )


@pytest.mark.parametrize(
    ("env", "expected"),
    [({}, False), ({"LANG": "de_DE.UTF-8"}, True), ({"LC_ALL": "C", "LANG": "C.UTF-8"}, False),
     ({"LC_ALL": "", "LC_CTYPE": "C.utf8"}, True), ({"LANG": "de_DE@euro"}, False)],
)  # fmt: skip
def test_locale(env, expected):
    assert is_utf8(env) is expected


def test_style_of_a_terminal_and_of_a_pipe():
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal, os.fdopen(leader, "rb"):
        assert stream_style(terminal, {"TERM": "xterm"}).has_colour
        assert not stream_style(terminal, {"TERM": "xterm", "NO_COLOR": "1"}).has_colour
        assert stream_style(terminal, {}).columns > 0
    assert stream_style(io.StringIO(), {}) == Style(is_unicode=False)


def test_errors_are_red_on_a_terminal_only():
    for has_colour, start in ((True, "\x1b[31m\x1b[1merror: \x1b[0mno"), (False, "error: no")):
        err = io.StringIO()
        Output(io.StringIO(), err, err_style=Style(has_colour=has_colour)).error("no")
        assert err.getvalue().startswith(start)


def work(progress):
    progress.message("Enabled apt sources: a")
    progress.task_begin("Importing")
    progress.task_end()
    progress.task_begin("outer")
    progress.task_begin("inner")
    progress.task_end("2 packages")
    progress.message("note")
    progress.task_end()
    for percent in (0, 50, 50, 100):
        progress.percent("Committing", percent)
    progress.task_end()  # of nothing


def test_progress_without_a_terminal():
    stream = io.StringIO()
    work(Text(stream, Style(), lambda plan: None))
    assert stream.getvalue().splitlines() == [
        "Enabled apt sources: a",
        "Importing...done",
        "outer...",
        "inner...2 packages",
        "note",
        "outer...done",
        "Committing...done",
    ]


def shown_by_a_terminal(text):
    """What stays on the screen: every clearing drops what its line held."""
    return [line.rpartition("\r\x1b[K")[2] for line in text.split("\n")[:-1]]


def test_progress_on_a_terminal():
    stream = io.StringIO()
    work(Terminal(stream, Style(is_terminal=True), lambda plan: None))
    assert "Committing...  50% [##########          ]" in stream.getvalue()
    assert stream.getvalue().count("50%") == 1
    assert shown_by_a_terminal(stream.getvalue()) == [
        "Enabled apt sources: a",
        "Importing... done",
        "inner... 2 packages",
        "note",
        "outer... done",
        "Committing... done",
    ]


def test_an_error_starts_on_its_own_line():
    stream = io.StringIO()
    with (
        pytest.raises(RuntimeError),
        watching(stream, Style(), is_quiet=False, show_plan=print) as progress,
    ):
        progress.task_begin("Unpacking")
        raise RuntimeError
    assert stream.getvalue() == "Unpacking...\n"


def test_quiet_and_plan():
    shown = []
    stream = io.StringIO()
    with watching(stream, Style(), is_quiet=True, show_plan=shown.append) as progress:
        work(progress)
        assert isinstance(progress, Quiet)
    with watching(stream, Style(), is_quiet=False, show_plan=shown.append) as progress:
        progress.plan_ready(Plan())
    assert (stream.getvalue(), shown) == ("", [Plan()])


DIFF = PackageDiff.between(
    [Package("a", "amd64", "1"), Package("gone", "all", "1-1")],
    [Package("a", "amd64", "2"), Package("new", "amd64", "1:3")],
    compare=lambda a, b: (a > b) - (a < b),
)


def test_diff_forms():
    assert list(diffs.block(DIFF)) == [
        "Upgraded:", "  a 1 -> 2", "Removed:", "  gone-1-1.all", "Added:", "  new-1:3.amd64",
    ]  # fmt: skip
    assert list(diffs.lines(DIFF)) == [
        "!a-1.amd64", "=a-2.amd64", "-gone-1-1.all", "+new-1:3.amd64",
    ]  # fmt: skip
    assert diffs.summary(DIFF) == "1 upgraded, 1 removed, 1 added"
    assert (list(diffs.block(PackageDiff())), diffs.summary(PackageDiff())) == ([], "")
    entries = {"a": ["Thu Jan 01 2026 Ann <a@x>\n* fix\n\n* more"]}
    assert list(diffs.with_changelogs(DIFF, entries))[:7] == [
        "Upgraded:", "  a 1.amd64 -> 2.amd64", "    * Thu Jan 01 2026 Ann <a@x>", "    * fix", "",
        "    * more", "",
    ]  # fmt: skip


def test_history_entry(golden):
    deployment = {
        "id": "debian-abc.0", "osname": "debian", "serial": 0, "checksum": "a" * 64,
        "booted": False, "staged": False, "pinned": False, "unlocked": "none",
        "timestamp": 1767225600, "version": "1", "origin": "o:b",
    }  # fmt: skip
    raw = {
        "deployment": deployment, "deployment-create-timestamp": 1767225600,
        "deployment-create-command-line": "install htop", "boot-count": 4,
        "first-boot-timestamp": 1767225700, "last-boot-timestamp": 1767312000,
    }  # fmt: skip
    once = {
        "deployment-create-timestamp": 2**70,
        "boot-count": 1,
        "last-boot-timestamp": 1767312000,
    }
    never = {**raw, "boot-count": 0}
    del never["deployment-create-command-line"]
    lines = [line for e in (raw, once, never) for line in entry(e, Style(), now=1767600000.0)]
    golden("history", "\n".join(lines) + "\n")

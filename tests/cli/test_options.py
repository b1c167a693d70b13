"""The parser: what GOption accepts, and its errors word for word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.cli.options import HelpRequested, Opt, OptionError, parse, split_command

OPTIONS = (
    Opt("from", "r", metavar="KIND=NAME"),
    Opt("reboot", "r"),
    Opt("dry-run", "n"),
    Opt("assumeyes", "y"),
    Opt("install", metavar="PKG", is_repeatable=True),
    Opt("os", metavar="NAME", dest="stateroot", is_hidden=True),
    Opt("stateroot", metavar="NAME", dest="stateroot"),
    Opt("limit", "l", metavar="N", is_integer=True),
)


@pytest.mark.parametrize(
    ("argv", "given", "rest"),
    [
        ([], {}, ()),
        (["a", "--dry-run", "b"], {"dry-run": ("dry-run",)}, ("a", "b")),
        (["-ny"], {"dry-run": ("dry-run",), "assumeyes": ("assumeyes",)}, ()),
        (["--install", "x", "--install=y"], {"install": ("x", "y")}, ()),
        (["--install", "--dry-run"], {"install": ("--dry-run",)}, ()),
        (["--install="], {"install": ("",)}, ()),
        (["-nrrepo=x"], {"dry-run": ("dry-run",), "from": ("repo=x",)}, ()),
        (["-nr", "repo=x"], {"dry-run": ("dry-run",), "from": ("repo=x",)}, ()),
        (["--reboot"], {"reboot": ("reboot",)}, ()),
        (["--os=a", "--stateroot", "b"], {"stateroot": ("a", "b")}, ()),
        (["-l7"], {"limit": ("7",)}, ()),
        (["-", "--", "-n", "--"], {}, ("-", "-n", "--")),
    ],
)
def test_accepted_spellings(argv, given, rest):
    args = parse(OPTIONS, argv)
    assert (args.given, args.rest) == (given, rest)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--dry"], "Unknown option --dry"),
        (["--dry-run=yes"], "Unknown option --dry-run=yes"),
        (["-nX"], "Unknown option -nX"),
        (["--install"], "Missing argument for --install"),
        (["-nr"], "Missing argument for -r"),
        (["--limit=x"], "Cannot parse integer value “x” for --limit"),
        (["-l", "99999999999"], "Integer value “99999999999” for -l out of range"),
    ],
)
def test_errors(argv, message):
    with pytest.raises(OptionError) as caught:
        parse(OPTIONS, argv)
    assert caught.value.message == message


def test_last_value_wins_and_undeclared_options_are_bugs():
    args = parse(OPTIONS, ["--os=a", "--stateroot=b"])
    assert args.text("stateroot") == "b"
    assert args.number("limit") is None
    with pytest.raises(KeyError):
        args.flag("json")


@pytest.mark.parametrize("argv", [["-h"], ["-nh"], ["x", "--help"], ["--help", "--bogus"], ["-?"]])
def test_help_is_met_in_order(argv):
    with pytest.raises(HelpRequested):
        parse(OPTIONS, argv)


def test_mistake_before_help_is_reported():
    with pytest.raises(OptionError):
        parse(OPTIONS, ["--bogus", "--help"])


@pytest.mark.parametrize(
    ("argv", "name", "rest"),
    [
        ([], None, []),
        (["-h", "status"], "status", ["-h"]),
        (["install", "a", "-n"], "install", ["a", "-n"]),
        (["--sysroot", "/x", "status"], "/x", ["--sysroot", "status"]),
        (["-q", "--", "status"], None, ["-q", "--", "status"]),
    ],
)
def test_command_is_the_first_word(argv, name, rest):
    assert split_command(argv) == (name, rest)


@given(st.lists(st.text(alphabet="-=nyrlx7é", max_size=6), max_size=6))
def test_any_words_give_args_or_a_known_error(argv):
    try:
        args = parse(OPTIONS, argv)
    except (OptionError, HelpRequested):
        return
    assert all(word in argv for word in args.rest)

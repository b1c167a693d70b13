"""Every command can be loaded, helps itself, and stands in the manual with all its options."""

import re
from pathlib import Path

import pytest

from apt_ostree.cli import registry
from apt_ostree.cli.command import GLOBAL, SYSROOT, Target

PAGE = Path(__file__).parents[2] / "docs" / "man" / "apt-ostree.1.md"
VISIBLE = sorted(name for name, entry in registry.ENTRIES.items() if not entry.is_hidden)
OPTION_LINE = re.compile(r"^(?:\*\*-(\w)\*\*, )?\*\*--([\w-]+)\*\*(?:=\*([^*]+)\*)?$", re.MULTILINE)


def sections():
    """Heading -> text; commands without the arguments that follow them in the heading."""
    parts = re.split(r"^##? (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        words = heading.split()
        if words[0].isupper() and len(words) < 3:
            found[heading] = text
            continue
        depth = 2 if registry.group(words[0]) else 1
        found[" ".join(words[:depth])] = text
    return found


def spellings(text):
    return {(long, short, value) for short, long, value in OPTION_LINE.findall(text)}


@pytest.mark.parametrize("name", sorted(registry.ENTRIES))
def test_help_names_every_visible_option(run, name):
    command = registry.ENTRIES[name].load()
    code, out, _ = run(*name.split(), "--help")
    assert code == 0
    assert out.startswith(f"Usage:\n  apt-ostree {name} [OPTION...]")
    for option in command.all_options:
        assert (f"  {option.spelling}" in out) is not option.is_hidden, option.long
    assert all(len(line) <= 130 for line in out.splitlines())


@pytest.mark.parametrize("name", VISIBLE)
def test_options_are_well_formed(name):
    options = registry.ENTRIES[name].load().all_options
    longs = [o.long for o in options]
    assert len(longs) == len(set(longs))
    shorts = [o.short for o in options if o.short]
    allowed = ["r"] if name == "override replace" else []  # -r is --from there, not --reboot
    assert [s for s in set(shorts) if shorts.count(s) > 1] == allowed
    for option in options:
        assert option.help or option.is_hidden
        assert option.metavar or not (option.is_repeatable or option.is_integer)


@pytest.mark.parametrize("name", VISIBLE)
def test_what_changes_something_can_be_tried_dry(name):
    command = registry.ENTRIES[name].load()
    if command.needs_root:
        assert "dry-run" in {o.long for o in command.options}


@pytest.mark.parametrize("name", VISIBLE)
def test_the_manual_has_every_option_and_no_other(name):
    text = sections()[name]
    command = registry.ENTRIES[name].load()
    wanted = {(o.long, o.short, o.metavar) for o in command.options if not o.is_hidden}
    assert spellings(text) == wanted
    mentioned = set(re.findall(r"\*\*--([\w-]+)", text))
    assert mentioned <= {o.long for o in command.all_options}


def test_the_manual_has_no_other_command_and_the_common_options():
    found = sections()
    commands = {name for name in found if not name.isupper()}
    assert commands == set(VISIBLE)
    wanted = {(o.long, o.short, o.metavar) for o in (*GLOBAL, *SYSROOT)}
    assert spellings(found["OPTIONS"]) == wanted | {("help", "h", "")}


def test_unavailable_commands_are_not_offered():
    assert not set(registry.UNAVAILABLE) & set(registry.ENTRIES)
    offered = {name for group in ("", "compose", "db", "override") for name, _ in
               registry.visible_rows(group)}  # fmt: skip
    assert not {n for n in registry.UNAVAILABLE if " " not in n} & offered


def test_sysroot_commands_accept_sysroot():
    for entry in registry.ENTRIES.values():
        command = entry.load()
        longs = {o.long for o in command.all_options}
        assert ("sysroot" in longs) is (
            command.target is Target.SYSROOT or entry.name in ("db diff", "start-daemon")
        ), entry.name

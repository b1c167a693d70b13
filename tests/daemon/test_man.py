"""The manual pages of the daemon say what its settings and units say."""

import dataclasses
import re
from pathlib import Path

import pytest

from apt_ostree.daemon.config import BUILD_KEYS, KEYS, AutomaticUpdatePolicy, Config, parse
from apt_ostree.sandbox.policy import MAINTAINER

TOP = Path(__file__).parents[2]
CONF = (TOP / "docs/man/apt-ostreed.conf.5.md").read_text()
AUTOMATIC = (TOP / "docs/man/apt-ostreed-automatic.8.md").read_text()
ENTRY = re.compile(r"^\*\*(\w+)\*\* = \*(.+)\*\n:   ((?:.+\n)(?:    .+\n)*)", re.MULTILINE)
ENTRIES = {key: (kind, " ".join(text.split())) for key, kind, text in ENTRY.findall(CONF)}
DEFAULTS = {
    **dict(zip(KEYS, dataclasses.astuple(Config()), strict=True)),
    "ScriptTimeout": MAINTAINER.timeout_s,
    "ScriptProcessLimit": MAINTAINER.process_limit,
}


def unit(name):
    return (TOP / "data/systemd" / name).read_text()


def test_every_key_is_on_the_page_and_no_other():
    assert set(ENTRIES) == {*KEYS, *BUILD_KEYS}


@pytest.mark.parametrize("key", DEFAULTS)
def test_the_page_says_the_default(key):
    default = DEFAULTS[key]
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    assert f"Default `{shown}`." in ENTRIES[key][1]


def test_the_example_of_the_page_is_understood():
    example = re.search(r"(?:^    .+\n)+", CONF, re.MULTILINE)[0]
    assert "[Daemon]" in example
    assert parse(example) != Config()


def test_both_pages_name_the_policies():
    words = [p.value for p in AutomaticUpdatePolicy]
    assert re.findall(r"\w+", ENTRIES["AutomaticUpdatePolicy"][0].replace(" or ", " ")) == words
    assert re.findall(r"^\*\*(\w+)\*\*\n:", AUTOMATIC, re.MULTILINE) == words


def test_the_page_of_the_timer_shows_its_command_and_times():
    command = re.search(r"^ExecStart=/usr/bin/(.+)$", unit("apt-ostreed-automatic.service"), re.M)
    assert f"    {command[1]}\n" in AUTOMATIC
    timer = unit("apt-ostreed-automatic.timer")
    assert "OnBootSec=1h\n" in timer and "an hour after the machine was booted" in AUTOMATIC
    assert "OnUnitInactiveSec=1d\n" in timer and "once a day" in AUTOMATIC


def test_the_recipe_of_the_page_edits_the_file_that_is_shipped():
    """Its sed expression finds the line that it is to change."""
    pattern, replacement = re.search(r"s/(\^#A.+?)/(.+?)/'", AUTOMATIC).groups()
    text = (TOP / "data/apt-ostreed.conf").read_text()
    edited = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    assert parse(edited).automatic_update_policy is AutomaticUpdatePolicy.STAGE


def test_units_name_pages_that_exist():
    pages = {p.name.removesuffix(".md") for p in (TOP / "docs/man").iterdir()}
    for path in (TOP / "data/systemd").iterdir():
        named = re.findall(r"man:([\w.-]+)\((\d)\)", path.read_text())
        assert named
        assert {f"{name}.{section}" for name, section in named} <= pages

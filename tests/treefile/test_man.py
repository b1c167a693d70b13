"""The manual page says what the table of keys says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apt_ostree.treefile.keys import UNSET, Side
from apt_ostree.treefile.schema import TABLE

PAGE = Path(__file__).parents[2] / "docs/man/apt-ostree-treefile.5.md"
ENTRY = re.compile(r"^\*\*(\S+)\*\* = \*(.+)\*\n:   ((?:.+\n)(?:    .+\n)*)", re.MULTILINE)
ENTRIES = {
    name: (kind, " ".join(text.split())) for name, kind, text in ENTRY.findall(PAGE.read_text())
}


def test_every_key_is_on_the_page_and_no_other():
    assert set(ENTRIES) == {*TABLE, "packages-ARCH"}


@pytest.mark.parametrize("name", TABLE)
def test_entry(name):
    row = TABLE[name]
    kind, text = ENTRIES[name]
    assert kind == row.kind.name
    assert ("(client)" in text) == (row.side is Side.DERIVE)
    assert ("(both)" in text) == (row.side is Side.COMMON)
    if row.legacy:
        assert f"Older spelling: `{row.legacy}`." in text
    if row.help == "accepted, without effect":
        assert text.startswith("Accepted, without effect.")
    shown = str(row.default).lower() if isinstance(row.default, bool) else row.default
    if isinstance(shown, str | int) and shown != "":
        assert f"efault `{shown}`" in text
    if row.edition_2024 is not UNSET:
        assert f"in edition 2024 `{str(row.edition_2024).lower()}`" in text
    if row.is_substituted:
        variables = PAGE.read_text().split("# VARIABLES")[1].split("# KEYS")[0]
        assert f"`{name}`" in variables

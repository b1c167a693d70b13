from __future__ import annotations

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.sandbox import knownbad
from apt_ostree.sandbox.knownbad import Action, KnownBad

GOOD = "[[script]]\npackage='x*'\nscript='postinst'\naction='skip'\nwhy='y'\n"


def test_the_shipped_table_is_well_formed():
    for row in knownbad.table():
        assert row.package and row.why


def test_parse():
    expected = (KnownBad("x*", "postinst", Action.SKIP, "y"),)
    assert knownbad.parse(GOOD, source="t") == expected


@pytest.mark.parametrize(("text", "message"), [
    ("[[script", "t: "),
    (GOOD.replace("skip", "explode"), "entry 1: 'explode'"),
    (GOOD + GOOD.replace("why", "because"), "entry 2: 'why'"),
    (GOOD.replace("postinst", "preinst"), "only postinst"),
])  # fmt: skip
def test_bad_table(text, message):
    with pytest.raises(AptOstreeError, match=message):
        knownbad.parse(text, source="t")

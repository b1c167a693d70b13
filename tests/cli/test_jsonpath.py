"""JSONPath: what scripts write, and what does not compile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.cli.jsonpath import matches
from apt_ostree.errors import AptOstreeError

VALUE = {
    "deployments": [
        {"id": "a", "booted": False, "serial": 1, "base-checksum": "x"},
        {"id": "b", "booted": True, "serial": 2, "packages": ["htop", "vim"]},
        {"id": "c", "booted": False, "serial": 3, "it's": 1},
    ],
    "transaction": None,
}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$", [VALUE]),
        ("$.deployments[0].booted", [False]),
        ("$['deployments'][1][\"id\"]", ["b"]),
        ("$.deployments[*].id", ["a", "b", "c"]),
        ("$.deployments.*.id", ["a", "b", "c"]),
        ("$.deployments[-1].id", ["c"]),
        ("$.deployments[0,2].id", ["a", "c"]),
        ("$.deployments[0:2].id", ["a", "b"]),
        ("$.deployments[::2].id", ["a", "c"]),
        ("$.deployments[:-1].id", ["a", "b"]),
        ("$.deployments[0].base-checksum", ["x"]),
        ("$..id", ["a", "b", "c"]),
        ("$..packages[*]", ["htop", "vim"]),
        ("$.deployments[?(@.booted)].id", ["b"]),
        ("$.deployments[?(!@.booted)].id", ["a", "c"]),
        ("$.deployments[?(@.booted==true)].id", ["b"]),
        ("$.deployments[?(@.serial >= 2)].id", ["b", "c"]),
        ("$.deployments[?(@.id != 'b')].id", ["a", "c"]),
        ("$.deployments[?(@.id < 2)].id", []),
        ("$.deployments[?(@.packages[0] == \"htop\")].id", ["b"]),
        ("$.deployments[2][\"it's\"]", [1]),
        ("$.nothing", []),
        ("$.transaction", [None]),
        ("$.deployments[9]", []),
    ],
)  # fmt: skip
def test_matches(expression, found):
    assert matches(expression, VALUE) == found


@pytest.mark.parametrize(
    "expression",
    ["", "deployments", "$.", "$[", "$[]", "$[x]", "$.a[?(@.b]", "$.a[?(b)]", "$ .a", "$.a[0:1:0]",
     "$.a[?(@.b == )]", "$.a b", "$['a]"],
)  # fmt: skip
def test_what_does_not_compile_says_where(expression):
    with pytest.raises(AptOstreeError, match="While compiling jsonpath: unexpected"):
        matches(expression, VALUE)


@given(st.text(alphabet="$.[]*?(@)='\"ab0-:, !<", max_size=12))
def test_any_text_compiles_or_is_refused(expression):
    try:
        found = matches("$" + expression, VALUE)
    except AptOstreeError:
        return
    assert isinstance(found, list)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.sandbox.process import Lines


@given(st.lists(st.binary(max_size=40)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(chunks):
    whole, pieces = [], []
    one = Lines(whole.append)
    one.feed(b"".join(chunks))
    one.end()
    many = Lines(pieces.append)
    for chunk in chunks:
        many.feed(chunk)
    many.end()
    assert whole == pieces


def test_lines():
    found = []
    lines = Lines(found.append)
    for data in (b"a\r\nb", b"c\n\n", b"\xff\n", b"end"):
        lines.feed(data)
    lines.end()
    assert found == ["a", "bc", "", "\ufffd", "end"]


def test_a_line_without_end_is_cut():
    found = []
    lines = Lines(found.append)
    for _ in range(100):
        lines.feed(b"x" * 1000)
    assert len(lines.rest) <= 8192
    lines.end()
    assert sum(map(len, found)) == 100_000

"""Versions that count themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import AptOstreeError
from apt_ostree.treefile.version import next_version

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
CASES = [
    ("13", None, "13"),
    ("13", "12.9", "13"),
    ("13", "13", "13.1"),
    ("13", "13.0", "13.1"),
    ("13", "13.1", "13.2"),
    ("13", "13.9", "13.10"),
    ("13", "13.1.5", "13.2"),
    ("13", "13001", "13"),
    ("13", "131.1", "13"),
    ("13.1", "13", "13.1"),
    ("13.1", "13.12", "13.1"),
    ("13.1", "13.1.x", "13.1.1"),
    ("13.1", "13.1.2x", "13.1.3"),
    ("d.<date:%Y%m%d>", None, "d.20260131.0"),
    ("d.<date:%Y%m%d>", "d.20260131", "d.20260131.0"),
    ("d.<date:%Y%m%d>", "d.20260131.0", "d.20260131.1"),
    ("d.<date:%Y%m%d>", "d.20260130.7", "d.20260131.0"),
    ("<date:%y>.<date:%m>", None, "26.01.0"),
    ("<other:%y>", None, "<other:%y>"),
]


@pytest.mark.parametrize(("prefix", "previous", "expected"), CASES)
def test_next_version(prefix, previous, expected):
    assert next_version(prefix, previous=previous, now=NOW) == expected


def test_suffix():
    assert next_version("13", previous="13", now=NOW, suffix="-") == "13-1"
    assert next_version("13", previous="13-4", now=NOW, suffix="-") == "13-5"
    assert next_version("13", previous="13.4", now=NOW, suffix="-") == "13"


def test_dates_are_utc():
    now = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert next_version("<date:%Y>", previous=None, now=now) == "2025.0"


def test_a_date_format_that_cannot_be_written():
    with pytest.raises(AptOstreeError, match="is not a date format"):
        next_version("<date:\ud800>", previous=None, now=NOW)


@given(st.sampled_from(["13", "a.<date:%Y>", "x-"]), st.integers(1, 30))
def test_every_version_is_new(prefix, count):
    seen: list[str] = []
    for _ in range(count):
        seen.append(next_version(prefix, previous=seen[-1] if seen else None, now=NOW))
    assert len(set(seen)) == count

"""Sizes, times and durations as text."""

from __future__ import annotations

from datetime import UTC, datetime

_SIZES = ("kB", "MB", "GB", "TB", "PB")
# Names and seconds as in systemd's `format_timespan` (src/basic/time-util.c).
_SPANS = (
    ("year", "years", 31557600),
    ("month", "months", 2629800),
    ("week", "weeks", 604800),
    ("day", "days", 86400),
)


def size(count_bytes: int) -> str:
    """`1.2 MB`: decimal units with one digit, as `g_format_size` prints."""
    if abs(count_bytes) < 1000:
        return f"{count_bytes} byte{'' if count_bytes == 1 else 's'}"
    value = float(count_bytes)
    for unit in _SIZES:
        value /= 1000
        if abs(value) < 999.95 or unit == _SIZES[-1]:
            return f"{value:.1f} {unit}"
    raise AssertionError("the last unit always fits")


def timestamp(seconds: int | None) -> str:
    """`2026-01-02T03:04:05Z`; what no calendar holds is `(invalid timestamp)`."""
    if seconds is None:
        return "(invalid timestamp)"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return "(invalid timestamp)"


def ago(seconds: int, now: float) -> str:
    """`4h 32min ago`, `3 days ago`: systemd's relative times."""
    span = int(now - seconds)
    if span < 0:
        return "in the future"
    for at, (singular, plural, length) in enumerate(_SPANS):
        if span < length:
            continue
        count = span // length
        text = f"{count} {singular if count == 1 else plural}"
        # years and months carry the next smaller unit, weeks and days stand alone
        if at < 2:
            _, smaller, smaller_length = _SPANS[at + 1 if at == 0 else 3]
            rest = (span % length) // smaller_length
            singular_rest = smaller.removesuffix("s")
            text += f" {rest} {singular_rest if rest == 1 else smaller}" if rest else ""
        return f"{text} ago"
    hours, minutes = span // 3600, span % 3600 // 60
    if hours:
        return f"{hours}h {minutes}min ago" if minutes else f"{hours}h ago"
    if minutes:
        return f"{minutes}min {span % 60}s ago" if span % 60 else f"{minutes}min ago"
    return f"{span}s ago"


def duration(seconds: float) -> str:
    return f"{seconds:.3f} s"

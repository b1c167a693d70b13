"""The version that a new commit gets by counting."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from apt_ostree.errors import AptOstreeError

DATE = re.compile(r"<date:([^<>]*)>")


def next_version(prefix: str, *, previous: str | None, now: datetime, suffix: str = ".") -> str:
    """The version after `previous` (None: there was no commit).

    `prefix` may hold `<date:FORMAT>` (strftime(3), in UTC); such a version always has a count,
    from 0 on.  Without a date the first version is the prefix itself and the second ends in 1.  A
    previous version that does not start with prefix and suffix starts the count anew.
    """
    dated = DATE.sub(lambda found: _date(found.group(1), now), prefix)
    is_dated = DATE.search(prefix) is not None
    counted = f"{dated}{suffix}"
    if previous == dated:
        return f"{counted}{0 if is_dated else 1}"
    if previous is None or not previous.startswith(counted):
        return f"{counted}0" if is_dated else dated
    digits = re.match(r"[0-9]{0,18}", previous[len(counted) :])
    return f"{counted}{int(digits.group() or 0) + 1 if digits else 1}"


def _date(form: str, now: datetime) -> str:
    try:
        return now.astimezone(UTC).strftime(form)
    except ValueError as err:  # a lone '%' on some C libraries, or characters it cannot encode
        raise AptOstreeError(f"'<date:{form}>' is not a date format: {err}") from err

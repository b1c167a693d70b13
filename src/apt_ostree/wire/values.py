"""Values of an `a{sv}` that a caller sent, which may be of any type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apt_ostree.errors import AptOstreeError

Values = Mapping[str, Any]


def flag(values: Values, key: str, *, default: bool = False) -> bool:
    found: bool = typed(values, key, bool, default)
    return found


def text(values: Values, key: str) -> str | None:
    found: str | None = typed(values, key, str, None)
    return found


def strings(values: Values, key: str) -> tuple[str, ...]:
    found = typed(values, key, list, [])
    if not all(isinstance(v, str) for v in found):
        raise AptOstreeError(f"option '{key}' must be a list of strings")
    return tuple(found)


def typed(values: Values, key: str, kind: type, default: Any) -> Any:
    """A caller can put any type into `a{sv}`."""
    value = values.get(key, default)
    if value is not default and not isinstance(value, kind):
        raise AptOstreeError(f"option '{key}' has the wrong type")
    return value

"""What one row of the table of keys says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from apt_ostree.treefile.kinds import Kind

UNSET: Any = object()


class Side(StrEnum):
    """Who may use a key: the build server, a client, or both."""

    COMPOSE = "compose"
    DERIVE = "derive"
    COMMON = "common"


@dataclass(frozen=True, slots=True)
class Key:
    """One row.

    `edition_2024` replaces the default in that edition; `container` is forced on a tree that is a
    container; `legacy` is an older spelling; `is_substituted` allows `${variable}` in the value.
    """

    kind: Kind
    help: str
    side: Side
    default: Any
    edition_2024: Any = UNSET
    container: Any = UNSET
    legacy: str | None = None
    is_substituted: bool = False
    name: str = ""  # the field's name, with dashes

    def default_for(self, edition: str) -> Any:
        is_new = edition >= "2024" and self.edition_2024 is not UNSET
        return self.edition_2024 if is_new else self.default


def key(
    kind: Kind,
    text: str,
    *,
    default: Any = None,
    side: Side = Side.COMPOSE,
    legacy: str | None = None,
    edition_2024: Any = UNSET,
    container: Any = UNSET,
    is_substituted: bool = False,
) -> Any:
    """A dataclass field that carries its row."""
    row = Key(kind, text, side, default, edition_2024, container, legacy, is_substituted)
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"key": row})
    return field(default=default, metadata={"key": row})


def derive(kind: Kind, text: str, *, default: Any = None) -> Any:
    return key(kind, text, default=default, side=Side.DERIVE)


def common(kind: Kind, text: str, *, default: Any = None) -> Any:
    return key(kind, text, default=default, side=Side.COMMON)

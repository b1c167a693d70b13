"""JSON as json-glib prints it: two blanks of indent, `"key" : value`.

Scripts read rpm-ostree's output with line tools now and then, so the shape is kept; json-glib
prints empty objects and arrays as `{}` and `[]`.
"""

from __future__ import annotations

import json
from typing import Any


def pretty(value: Any) -> str:
    """No newline at the end."""
    return json.dumps(value, indent=2, separators=(",", " : "), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """Tuples are arrays already; what is left is named types such as StrEnum and Path."""
    return str(value)

"""Plain tables: columns as wide as their widest cell, no frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from apt_ostree.cli.render.units import duration


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> Iterator[str]:
    """Left-aligned columns, two blanks apart; the last one is not padded."""
    lines = [list(header)] * bool(header) + [list(r) for r in rows]
    if not lines:
        return
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    for line in lines:
        cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def timings(seconds: Mapping[str, float]) -> Iterator[str]:
    """The phases of a run with their share of the whole."""
    total = sum(seconds.values())
    width = max(len("total"), *(len(name) for name in seconds)) if seconds else len("total")
    for name, spent in (*seconds.items(), ("total", total)):
        share = 100 * spent / total if total else 0.0
        yield f"{name:<{width}}  {duration(spent):>10}  {share:5.1f}%"

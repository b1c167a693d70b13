"""The results of a run, as JSON and as the Markdown of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.measure import Row, Series
from bench.memory import Peak


@dataclass(frozen=True)
class Results:
    """`load` is the load average before the run: above 1 or 2 the figures mean little."""

    rows: Sequence[Row] = ()
    peaks: Sequence[Peak] = ()
    floors: dict[str, Series] = field(default_factory=dict)
    load: float = 0.0

    def with_more(self, more: Results) -> Results:
        return Results(
            (*self.rows, *more.rows), (*self.peaks, *more.peaks), self.floors | more.floors,
            self.load,
        )  # fmt: skip

    def as_dict(self) -> dict[str, object]:
        return {
            "load-before": round(self.load, 2),
            "rows": [r.as_dict() for r in self.rows],
            "memory": [p.as_dict() for p in self.peaks],
            "floors-s": {n: [round(x, 3) for x in s.seconds] for n, s in self.floors.items()},
        }


def markdown(results: Results) -> str:
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    if results.rows:
        yield "| what | against | to reach | ratio | ours (s) | theirs (s) | peak (MB) |"
        yield "|---|---|---|---|---|---|---|"
    for row in results.rows:
        yield (
            f"| {row.name} | {row.against} | ≤ {row.reach} | {row.ratio:.2f} "
            f"| {row.ours.median:.2f} | {row.theirs.median:.2f} | {max(row.ours.peak_mb):.0f} |"
        )
    for row in results.rows:
        phases = {n: s for n, s in row.ours.phase_medians.items() if s >= 0.01}
        if phases:
            yield ""
            yield f"{row.name}: " + ", ".join(f"{n} {s:.2f} s" for n, s in phases.items())
    if results.peaks:
        yield ""
        yield "| memory | largest process (MB) | private pages of all processes (MB) |"
        yield "|---|---|---|"
    for peak in results.peaks:
        yield f"| {peak.name} | {peak.largest_mb:.0f} | {peak.together_mb:.0f} |"
    if results.floors:
        yield ""
        yield "| floor | seconds |"
        yield "|---|---|"
    for name, series in results.floors.items():
        yield f"| {name} | {series.median:.2f} |"

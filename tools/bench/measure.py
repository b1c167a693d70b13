"""Timing two commands against each other, in turn, as whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Series:
    """Wall seconds and peak resident set (MB, largest single process) of each run."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def once(argv: Sequence[str], series: Series, **env: str) -> None:
    """Run a command to its end and note time and memory; its failure ends the benchmark."""
    start = time.monotonic()
    child = subprocess.Popen(
        argv, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **env},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    said = child.stderr.read().decode(errors="replace") if child.stderr else ""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    series.seconds.append(time.monotonic() - start)
    series.peak_mb.append(usage.ru_maxrss / 1024)
    if child.returncode != 0:
        sys.exit(f"benchmark command failed: {' '.join(argv)}\n{said[-2000:]}")


@dataclass(frozen=True)
class Row:
    """One line of the table: ours against theirs, as a ratio."""

    name: str
    against: str
    reach: float
    ours: Series
    theirs: Series

    @property
    def ratio(self) -> float:
        return self.ours.median / self.theirs.median

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "against": self.against,
            "reach": self.reach,
            "ratio": round(self.ratio, 3),
            "ours-s": [round(s, 3) for s in self.ours.seconds],
            "theirs-s": [round(s, 3) for s in self.theirs.seconds],
            "ours-peak-mb": round(max(self.ours.peak_mb)),
        }


def compare(
    name: str,
    against: str,
    *,
    reach: float,
    runs: int,
    ours: Callable[[Series], None],
    theirs: Callable[[Series], None],
) -> Row:
    """Run both in turn `runs` times; each callable prepares, then measures with `once`."""
    row = Row(name, against, reach, Series(), Series())
    for _ in range(runs):
        ours(row.ours)
        theirs(row.theirs)
    print(f"{name}: {row.ratio:.2f} (to reach {reach})", file=sys.stderr, flush=True)
    return row

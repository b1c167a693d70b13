"""Timing two commands against each other, in turn, as whole processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Series:
    """What was measured of one command: wall seconds, the resident set of the largest process
    (MB), and the phases that the command reported, of each run."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    phases: list[dict[str, float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def phase_medians(self) -> dict[str, float]:
        names = list(dict.fromkeys(name for run in self.phases for name in run))
        return {n: statistics.median(run.get(n, 0.0) for run in self.phases) for n in names}


def once(argv: Sequence[str], series: Series, **env: str) -> str:
    """Run a command to its end and note time and memory; its failure ends the benchmark.

    Returns its standard output.  When that is JSON with `timings`, they are noted as phases.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaints:
        start = time.monotonic()
        child = subprocess.Popen(
            argv, env={"PATH": PATH, "LC_ALL": "C.UTF-8", **env}, stdin=subprocess.DEVNULL,
            stdout=said, stderr=complaints,
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        series.seconds.append(time.monotonic() - start)
        series.peak_mb.append(usage.ru_maxrss / 1024)
        said.seek(0)
        complaints.seek(0)
        output = said.read().decode(errors="replace")
        if child.returncode != 0:
            last = complaints.read().decode(errors="replace")[-2000:]
            sys.exit(f"benchmark command failed: {' '.join(argv)}\n{output[-500:]}\n{last}")
    if output.startswith("{"):
        series.phases.append(json.loads(output).get("timings", {}))
    return output


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
            "theirs-peak-mb": round(max(self.theirs.peak_mb)),
            "ours-phases-s": {n: round(s, 3) for n, s in self.ours.phase_medians.items()},
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

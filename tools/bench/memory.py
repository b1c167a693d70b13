"""Memory of a command with all that it starts: sampled while it runs, on runs of their own.

`ru_maxrss` knows the largest single process only.  What counts for a small machine is the sum, so
the private pages of the whole process tree are added up every few hundredths of a second; shared
pages (libraries, page cache) are left out, since a sum would count them once for each process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import PATH

INTERVAL_S = 0.04
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Peak:
    """MB: the largest process with its shared pages, and the private pages of all together."""

    name: str
    largest_mb: float
    together_mb: float

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "largest-process-mb": round(self.largest_mb),
            "all-processes-private-mb": round(self.together_mb),
        }


def descendants(pid: int) -> Iterator[int]:
    """A process and everything it started that still runs."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from descendants(int(child))


def private_bytes(pid: int) -> int:
    """Resident pages that are not shared with files or other processes (proc(5), `statm`)."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(words[1]) - int(words[2])) * _PAGE_BYTES


def peak(name: str, argv: Sequence[str], **env: str) -> Peak:
    """Run a command and watch its memory; its failure ends the benchmark."""
    child = subprocess.Popen(
        argv, env={"PATH": PATH, "LC_ALL": "C.UTF-8", **env}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(INTERVAL_S):
            most = max(most, sum(private_bytes(p) for p in descendants(child.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(child.pid, 0)
    ended.set()
    watcher.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"benchmark command failed: {' '.join(argv)}")
    return Peak(name, usage.ru_maxrss / 1024, most / 1e6)

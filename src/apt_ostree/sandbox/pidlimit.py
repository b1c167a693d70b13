"""A bound on the number of processes in the sandbox, which also holds for root.

RLIMIT_NPROC is not enforced for uid 0 (kernel/fork.c, is_rlimit_overlimit and INIT_USER), so the
pids controller of cgroups does it, version 1 or 2, whichever lets us make a group.  Where none
does (most containers), the processes in the sandbox's own /proc are counted; that stops a runaway
script, but only a limit on the container is a hard one.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_PREFIX = "apt-ostree-"
_serial = itertools.count()
_NICE_FIRST, _NICE_LAST = -20, 19
_REMOVE_TRIES, _REMOVE_PAUSE_S = 100, 0.01


class Limit(Protocol):
    @property
    def tick_s(self) -> float:
        """How often `is_exceeded` has to be asked."""

    def add(self, pid: int) -> None:
        """Put the sandbox's first process, which has no children yet, under the limit."""

    def is_exceeded(self) -> bool: ...


@dataclass(slots=True)
class Group:
    """A cgroup with `pids.max` set: forks beyond it fail with EAGAIN, and are counted."""

    path: Path
    tick_s: float = 0.1

    def add(self, pid: int) -> None:
        (self.path / "cgroup.procs").write_text(str(pid))

    def is_exceeded(self) -> bool:
        events = (self.path / "pids.events").read_text().split()
        return int(dict(zip(events[::2], events[1::2], strict=False)).get("max", "0")) > 0


@dataclass(slots=True)
class Counter:
    """Counting, for want of a cgroup: exceeding is noticed at the next look.

    A fork bomb makes hundreds of processes between two looks, and thousands when we do not get a
    processor to look; so we run before it (`_ahead_of_others`), and it runs behind all others.
    """

    limit: int
    pid: int = 0
    tick_s: float = 0.02

    def add(self, pid: int) -> None:
        self.pid = pid
        os.setpriority(os.PRIO_PROCESS, pid, _NICE_LAST)

    def is_exceeded(self) -> bool:
        proc = f"/proc/{self.pid}/root/proc"
        try:
            names = os.listdir(proc)
        except OSError:  # it has just ended
            return False
        # The link leads somewhere only in our own /proc, which is seen until setup is done
        with suppress(OSError):
            os.readlink(f"{proc}/self")
            return False
        if sum(name.isdigit() for name in names) <= self.limit:
            return False
        with suppress(OSError):  # it is the one that will have to end all the others
            os.setpriority(os.PRIO_PROCESS, self.pid, _NICE_FIRST)
        return True


@contextmanager
def _ahead_of_others() -> Iterator[None]:
    """Real-time priority for the calling thread, not for what it starts, where it is allowed."""
    was = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *was)


@contextmanager
def limited(limit: int, *, candidates: tuple[Path, ...] | None = None) -> Iterator[Limit]:
    """A limit of `limit` processes and threads for the time of the block.

    `candidates` are cgroup directories to make the group in; found in /proc when not given.
    """
    for parent in group_parents() if candidates is None else candidates:
        group = _make_group(parent, limit)
        if group is not None:
            try:
                yield group
            finally:
                _remove(group.path)
            return
    with _ahead_of_others():
        yield Counter(limit)


def group_parents() -> tuple[Path, ...]:
    """Directories where a group with the pids controller may be made, best first."""
    own = {}
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own[controllers] = path
    found: list[Path] = []
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, where, fstype, options, *_ = line.split(" ")
            if fstype == "cgroup" and "pids" in options.split(","):
                named = next((p for c, p in own.items() if "pids" in c.split(",")), "/")
                found += [Path(where + named), Path(where)]
            elif fstype == "cgroup2":
                # version 2 allows groups with controllers only beside processes, not below them
                here = Path(where + own.get("", "/").rstrip("/"))
                found += [p for p in (here, *here.parents) if p.is_relative_to(where)]
    return tuple(found)


def _make_group(parent: Path, limit: int) -> Group | None:
    if not parent.is_dir():
        return None
    _sweep(parent)
    path = parent / f"{_PREFIX}{os.getpid()}-{next(_serial)}"
    try:
        path.mkdir()
    except OSError:
        return None
    try:
        # a directory that is no cgroup, or one without the controller, has no such file
        fd = os.open(path / "pids.max", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(limit).encode())
        finally:
            os.close(fd)
    except OSError:
        path.rmdir()
        return None
    return Group(path)


def _sweep(parent: Path) -> None:
    """Remove groups whose maker was killed; a group in use cannot be removed."""
    for path in parent.glob(f"{_PREFIX}*-*"):
        pid = path.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            _sweep(path)  # of one that ran in the group of another
            with suppress(OSError):
                path.rmdir()


def _remove(path: Path) -> None:
    # the kernel may still be tearing down the last member when its death is already visible
    for _ in range(_REMOVE_TRIES):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_REMOVE_PAUSE_S)
        else:
            return

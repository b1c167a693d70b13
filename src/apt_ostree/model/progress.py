"""How work reports what it is doing, without knowing who watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from apt_ostree.model.plan import Plan


class Progress(Protocol):
    """Where running work reports to.  Implementations must be cheap and never raise."""

    def message(self, text: str) -> None:
        """One line of information that the user should see."""

    def task_begin(self, text: str) -> None:
        """A named piece of work starts; the next call that ends it is `task_end`."""

    def task_end(self, suffix: str = "done") -> None: ...

    def percent(self, text: str, percent: int) -> None:
        """Work with a known amount stands at `percent` (0-100); 100 ends it."""


@contextmanager
def task(progress: Progress, text: str, suffix: str = "done") -> Iterator[None]:
    """Report `text` for the time of the block; nothing is said to have been done on failure."""
    progress.task_begin(text)
    yield
    progress.task_end(suffix)


class Silent:
    """Progress that nobody watches."""

    def message(self, text: str) -> None: ...

    def task_begin(self, text: str) -> None: ...

    def task_end(self, suffix: str = "done") -> None: ...

    def percent(self, text: str, percent: int) -> None: ...


@dataclass
class Timings:
    """Wall time of named phases, in order of first use (shown by `--timing`)."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start


@runtime_checkable
class PlanWatcher(Protocol):
    """A Progress that also wants to see the plan, once it is made and before it is carried out."""

    def plan_ready(self, plan: Plan) -> None: ...

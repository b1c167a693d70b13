"""Ctrl-C and SIGTERM: the first one unwinds the work, further ones do not break the unwinding."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def unwinding(say: Callable[[str], None]) -> Iterator[None]:
    """For the time of the block, a signal raises KeyboardInterrupt once.

    What the work holds (mounts, locks, children) is given back by its `with` blocks; a second
    Ctrl-C in the middle of that would leave half of it behind.
    """
    is_cancelled = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal is_cancelled
        if is_cancelled:
            say("Awaiting transaction cancellation...")
            return
        is_cancelled = True
        say(f"Caught {signal.Signals(number).name}, cancelling transaction")
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(n, signal.signal(n, on_signal)) for n in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)

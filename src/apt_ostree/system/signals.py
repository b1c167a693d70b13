"""Ctrl-C and SIGTERM: unwind the work once, and not at all in the step that must not be torn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ignored() -> Iterator[None]:
    """SIGINT and SIGTERM have no effect for the time of the block.

    For what cannot be undone once begun: a caller that was told "cancelled" would be told wrong.
    In threads other than the main one, which Python gives no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(n, signal.signal(n, _nothing)) for n in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _nothing(*_: object) -> None:
    """Not SIG_IGN, which programs that are started meanwhile would inherit."""


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

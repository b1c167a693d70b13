"""Keep Ctrl-C away from the one step that must not end half-reported."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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

"""Coroutines on GLib's main loop: a method may wait for polkit or a worker without blocking it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Resume = Callable[[Any, BaseException | None], None]


class Waiting(Awaitable[T], Generic[T]):
    """Something to wait for: `begin` gets the function to call with a value or an error, once."""

    def __init__(self, begin: Callable[[Resume], None]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Callable[[Resume], None], Any, T]:
        value: T = yield self._begin
        return value


def start(coroutine: Coroutine[Any, Any, T], done: Resume) -> None:
    """Run a coroutine until it waits, and further whenever what it waits for comes.

    `done` gets its result, or the exception that ended it.
    """

    def resume(value: Any, error: BaseException | None) -> None:
        try:
            begin = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            done(stop.value, None)
        except Exception as err:  # noqa: BLE001 - handed on to whoever asked
            done(None, err)
        else:
            begin(resume)

    resume(None, None)

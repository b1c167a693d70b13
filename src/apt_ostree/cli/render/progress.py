"""Progress as text: one line that is rewritten on a terminal, whole lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from apt_ostree.cli.render.output import Style
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import Progress

BAR_WIDTH = 20
CLEAR_LINE = "\r\x1b[K"


class Text:
    """`NAME...done` on one line, nothing in between; messages on lines of their own."""

    done = "done"

    def __init__(self, stream: TextIO, style: Style, show_plan: Callable[[Plan], None]) -> None:
        self._stream = stream
        self._style = style
        self._show_plan = show_plan
        self._tasks: list[str] = []
        self._open = ""  # the task whose unfinished line the cursor stands behind
        self._last_percent = -1
        self.has_shown_plan = False

    def message(self, text: str) -> None:
        self._leave_line()
        self._write(f"{text}\n")

    def task_begin(self, text: str) -> None:
        self._leave_line()
        self._tasks.append(text)
        self._begin_line(text)

    def task_end(self, suffix: str = "done") -> None:
        if not self._tasks:
            return
        text = self._tasks.pop()
        if self._open != text:
            self._leave_line()
            self._begin_line(text)
        self._write(f"{self._end_mark(text, suffix)}\n")
        self._open = ""

    def percent(self, text: str, percent: int) -> None:
        if not self._tasks or self._tasks[-1] != text:
            self.task_begin(text)
            self._last_percent = -1
        if percent >= 100:
            self.task_end()
        elif percent != self._last_percent:
            self._last_percent = percent
            self._show_percent(text, percent)

    def plan_ready(self, plan: Plan) -> None:
        self._leave_line()
        self.has_shown_plan = True
        self._show_plan(plan)

    def close(self) -> None:
        """Leave an unfinished line, so that an error starts on a line of its own."""
        self._leave_line()
        self._tasks.clear()

    def _begin_line(self, text: str) -> None:
        self._write(f"{text}...")
        self._open = text

    def _leave_line(self) -> None:
        if self._open:
            self._write("\n")
            self._open = ""

    def _end_mark(self, text: str, suffix: str) -> str:
        del text
        return suffix

    def _show_percent(self, text: str, percent: int) -> None:
        del text, percent

    def _write(self, text: str) -> None:
        # Work goes on when nobody reads any more (`install foo | head`); what the command prints
        # at its end meets the same error and reports it.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


class Terminal(Text):
    """The current line is rewritten: `NAME... 42% [####    ]`, at the end `NAME... done`."""

    def _leave_line(self) -> None:
        if self._open:
            self._write(CLEAR_LINE)
            self._open = ""

    def _end_mark(self, text: str, suffix: str) -> str:
        return f"{CLEAR_LINE}{text}... {suffix}"

    def _show_percent(self, text: str, percent: int) -> None:
        filled = "#" * (BAR_WIDTH * percent // 100)
        room = max(self._style.columns - BAR_WIDTH - 12, 8)
        line = f"{text[:room]}... {percent:3}% [{filled:<{BAR_WIDTH}}]"
        self._open = text
        self._write(CLEAR_LINE + line)


class Quiet:
    """`-q`: only what the command itself prints at the end."""

    def message(self, text: str) -> None: ...

    def task_begin(self, text: str) -> None: ...

    def task_end(self, suffix: str = "done") -> None: ...

    def percent(self, text: str, percent: int) -> None: ...


@contextmanager
def watching(
    stream: TextIO, style: Style, *, is_quiet: bool, show_plan: Callable[[Plan], None]
) -> Iterator[Progress]:
    """A Progress that prints to `stream` for the time of the block."""
    if is_quiet:
        yield Quiet()
        return
    text = (Terminal if style.is_terminal else Text)(stream, style, show_plan)
    try:
        yield text
    finally:
        text.close()

"""At most one transaction at a time; equal requests share it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from apt_ostree.daemon.authority import Authority
from apt_ostree.daemon.job import Job
from apt_ostree.daemon.report import Report
from apt_ostree.daemon.transaction import Initiator, Transaction
from apt_ostree.errors import BusyError

SOCKET = "apt-ostree-transaction.sock"


class Transactions:
    """`on_change` is called when one begins or has gone, `on_end` when its work has ended."""

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        *,
        on_change: Callable[[], None],
        on_end: Callable[[Transaction, Report], None],
    ) -> None:
        self._socket = folder / SOCKET
        self._authority = authority
        self._on_change = on_change
        self._on_end = on_end
        self._current: Transaction | None = None
        self.is_rebooting = False

    @property
    def active(self) -> Transaction | None:
        """The transaction that has not ended."""
        current = self._current
        return current if current is not None and current.is_active else None

    def begin(
        self, job: Job, *, title: str, method: str, path: str, key: Any, initiator: Initiator
    ) -> Transaction:
        """A new transaction, or the active one when it was asked for with equal words.

        `job` may hold the caller's descriptors, which are duplicated.  Raises BusyError when
        another one is active.
        """
        active = self.active
        if active is not None and active.key == key:
            return active
        if active is not None:
            raise BusyError(
                f"Transaction in progress: {active.title}\n"
                " You can cancel the current transaction with `apt-ostree cancel`"
            )
        if self.is_rebooting:
            raise BusyError("Reboot initiated, cannot start new transaction")
        if self._current is not None:
            self._current.close()
        self._current = Transaction(
            _owning(job), title=title, method=method, path=path, key=key, initiator=initiator,
            socket=self._socket, authority=self._authority, on_end=self._ended,
            on_gone=self._gone,
        )  # fmt: skip
        self._on_change()
        return self._current

    def abandoned_by(self, name: str) -> None:
        if self._current is not None:
            self._current.abandon(name)

    def stop(self) -> None:
        if self._current is not None:
            self._current.stop()

    def _ended(self, transaction: Transaction, last: Report) -> None:
        self._on_end(transaction, last)
        self._on_change()

    def _gone(self, transaction: Transaction) -> None:
        if self._current is transaction:
            self._current = None
        self._on_change()


def _owning(job: Job) -> Job:
    """The job with descriptors that stay open when the call has been answered."""
    handles = {name: tuple(os.dup(fd) for fd in fds) for name, fds in job.handles.items()}
    return replace(job, handles=handles, repo=None if job.repo is None else os.dup(job.repo))

"""How a method that changes something begins its transaction."""

from __future__ import annotations

from typing import Any

from apt_ostree.daemon.core import Core
from apt_ostree.daemon.exported import Caller
from apt_ostree.daemon.job import Job
from apt_ostree.wire.glib import GLib


async def begin(
    core: Core, caller: Caller, job: Job, *, method: str, path: str, title: str, key: Any
) -> GLib.Variant:
    """The answer: the address of the transaction, which is a new one or one asked for alike."""
    initiator = await core.clients.initiator(caller.name)
    core.clients.watch(caller.name)
    made = core.transactions.begin(
        job, title=title, method=method, path=path, key=(path, key), initiator=initiator
    )
    return GLib.Variant("(s)", (made.address,))

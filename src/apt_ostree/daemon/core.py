"""What every object of the daemon shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.daemon.authority import Authority
from apt_ostree.daemon.clients import Clients
from apt_ostree.daemon.config import Config
from apt_ostree.daemon.state import State
from apt_ostree.daemon.transactions import Transactions


@dataclass(slots=True)
class Core:
    """`config` changes when it is loaded anew; `runtime` is `/run`; `touch` says that somebody
    called."""

    state: State
    config: Config
    authority: Authority
    clients: Clients
    transactions: Transactions
    runtime: Path
    touch: Callable[[], None]

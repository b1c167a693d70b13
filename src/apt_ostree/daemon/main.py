"""The daemon's life: it takes its name, serves, and leaves when nobody needs it."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from apt_ostree.daemon import config, notify
from apt_ostree.daemon.authority import Authority
from apt_ostree.daemon.clients import Clients
from apt_ostree.daemon.core import Core
from apt_ostree.daemon.experimental_interface import ExperimentalInterface
from apt_ostree.daemon.manager import Manager
from apt_ostree.daemon.os_interface import OSInterface
from apt_ostree.daemon.report import Report
from apt_ostree.daemon.state import State
from apt_ostree.daemon.sysroot_interface import SysrootInterface
from apt_ostree.daemon.transaction import Transaction
from apt_ostree.daemon.transactions import Transactions
from apt_ostree.errors import AptOstreeError
from apt_ostree.system.run import run
from apt_ostree.wire import names
from apt_ostree.wire.glib import Gio, GLib

log = logging.getLogger(__name__)

_SETTLE_MS = 300  # libostree touches its directory several times for one change
_JITTER_S = 4  # so that calls of a script that runs each minute do not always meet the exit


@dataclass(frozen=True, slots=True)
class Places:
    """Where the daemon works; other values than the defaults are for tests and other roots."""

    sysroot: Path = Path("/")
    config: Path = Path("/etc/apt-ostreed.conf")
    runtime: Path = Path("/run")
    bus: str = ""  # the address; empty for the system bus

    def with_paths(self, *, config: str, runtime: str) -> Places:
        """Those that are not empty, instead of the defaults."""
        return replace(
            self,
            config=Path(config) if config else self.config,
            runtime=Path(runtime) if runtime else self.runtime,
        )


class Daemon:
    def __init__(self, places: Places) -> None:
        self._places = places
        self._loop = GLib.MainLoop()
        self._idle = 0
        self._settling = 0
        self._bus = _connect(places.bus)
        authority = Authority(self._bus)
        self._core = Core(
            state=State(places.sysroot),
            config=config.load(places.config),
            authority=authority,
            clients=Clients(
                self._bus, authority, on_change=self._changed, on_vanished=self._vanished
            ),
            transactions=Transactions(
                places.runtime, authority, on_change=self._changed, on_end=self._ended
            ),
            runtime=places.runtime,
            touch=self._touched,
        )
        self._manager = Manager(self._bus)
        self._stateroots: dict[str, OSInterface] = {}
        self._core.state.reload()
        self._sysroot = SysrootInterface(
            self._core, reload=self._reload, reload_config=self._reload_config
        )
        self._manager.add(self._sysroot.exported)
        self._publish_stateroots()

    def run(self) -> None:
        """Serve until idle, told to end, or cut off from the bus."""
        deploy = Gio.File.new_for_path(str(self._places.sysroot / "ostree/deploy"))
        monitor = deploy.monitor_directory(Gio.FileMonitorFlags.NONE, None)
        monitor.connect("changed", self._touched_by_libostree)
        for number in (signal.SIGTERM, signal.SIGINT):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self._told_to_end)
        self._bus.connect("closed", self._cut_off)
        owner = Gio.bus_own_name_on_connection(
            self._bus, names.BUS_NAME, Gio.BusNameOwnerFlags.NONE, self._named, self._unnamed
        )
        self._loop.run()
        Gio.bus_unown_name(owner)
        self._core.transactions.stop()
        if not self._bus.is_closed():
            self._bus.flush_sync(None)

    # -- what happens

    def _named(self, _bus: Gio.DBusConnection, _name: str) -> None:
        notify.ready()
        self._changed()

    def _unnamed(self, _bus: Gio.DBusConnection | None, name: str) -> None:
        log.error("the name '%s' is taken or was lost", name)
        self._loop.quit()

    def _cut_off(self, *_: object) -> None:
        self._loop.quit()

    def _told_to_end(self) -> bool:
        self._loop.quit()
        return bool(GLib.SOURCE_CONTINUE)

    def _touched(self) -> None:
        self._restart_idle()

    def _touched_by_libostree(self, *_: object) -> None:
        if not self._settling:
            self._settling = GLib.timeout_add(_SETTLE_MS, self._settled)

    def _settled(self) -> bool:
        self._settling = 0
        try:
            self._reload()
        except AptOstreeError as err:
            log.warning("%s", err.message)
        return bool(GLib.SOURCE_REMOVE)

    def _changed(self) -> None:
        """Clients or transactions have changed."""
        self._manager.announce()
        self._restart_idle()

    def _vanished(self, name: str) -> None:
        self._core.transactions.abandoned_by(name)

    def _ended(self, transaction: Transaction, last: Report) -> None:
        """The work is over; what it made must be seen by whoever hears of its end."""
        self._settled()
        is_done = last["kind"] == "done" and transaction.job.parameters.get("reboot")
        if is_done and last["result"]["changed"] and not transaction.job.options.dry_run:
            self._core.transactions.is_rebooting = True
            run(["systemctl", "reboot"])

    # -- the objects

    def _reload(self) -> None:
        self._core.state.reload()
        self._publish_stateroots()
        self._manager.announce()

    def _reload_config(self) -> None:
        self._core.config = config.load(self._places.config)
        self._reload()
        self._restart_idle()

    def _publish_stateroots(self) -> None:
        there = set(self._core.state.stateroots)
        for name in self._stateroots.keys() - there:
            self._manager.remove(self._stateroots.pop(name).path)
        for name in sorted(there - self._stateroots.keys()):
            made = self._stateroots[name] = OSInterface(self._core, name)
            experimental = ExperimentalInterface(self._core, name)
            self._manager.add(made.exported, experimental.exported)

    # -- leaving

    def _restart_idle(self) -> None:
        if self._idle:
            GLib.source_remove(self._idle)
            self._idle = 0
        clients, active = len(self._core.clients), self._core.transactions.active
        if active is not None:
            notify.status(
                f"clients={clients}; txn={active.method} caller={active.initiator.description} "
                f"path={active.path}"
            )
            return
        timeout_s = self._core.config.idle_exit_timeout_s
        if clients or not timeout_s or os.environ.get("APTOSTREE_DEBUG_DISABLE_DAEMON_IDLE_EXIT"):
            notify.status(f"clients={clients}; idle")
            return
        timeout_s += random.randint(0, _JITTER_S)
        self._idle = GLib.timeout_add_seconds(timeout_s, self._leave)
        notify.status(f"clients={clients}; idle exit in {timeout_s} seconds")

    def _leave(self) -> bool:
        self._idle = 0
        notify.stopping()
        self._loop.quit()
        return bool(GLib.SOURCE_REMOVE)


def _connect(address: str) -> Gio.DBusConnection:
    try:
        if not address:
            return Gio.bus_get_sync(Gio.BusType.SYSTEM, None)
        flags = (
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
            | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        )
        return Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
    except GLib.Error as err:
        raise AptOstreeError(f"connecting to the bus: {err.message}") from err


def serve(places: Places) -> int:
    """Run a daemon to its end; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    daemon = Daemon(places)
    daemon.run()
    return 0

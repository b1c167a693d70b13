"""A transaction: one job that changes the system, followed and stopped through its own socket."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree.daemon import report
from apt_ostree.daemon.authority import Authority
from apt_ostree.daemon.exported import Caller, Exported
from apt_ostree.daemon.job import Job
from apt_ostree.daemon.process import Worker
from apt_ostree.daemon.report import Report
from apt_ostree.errors import CancelledError
from apt_ostree.wire import names
from apt_ostree.wire.glib import Gio, GLib

LINGER_S = 30  # how long a finished transaction waits for its clients to leave


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who asked: bus name, user, and a line that names both and more."""

    name: str
    uid: int
    description: str
    unit: str = ""


class Transaction:
    """From the call that asked for it until its last client has left.

    `key` (the method and its arguments) tells whether a second call asks for the same.
    `on_end` is called when the work has ended, `on_gone` when the socket is closed.
    """

    def __init__(
        self,
        job: Job,
        *,
        title: str,
        method: str,
        path: str,
        key: Any,
        initiator: Initiator,
        socket: Path,
        authority: Authority,
        on_end: Callable[[Transaction, Report], None],
        on_gone: Callable[[Transaction], None],
    ) -> None:
        self.job = job
        self.title = title
        self.method = method
        self.path = path
        self.key = key
        self.initiator = initiator
        self.address = f"unix:path={socket}"
        self.last: Report | None = None
        self._socket = socket
        self._authority = authority
        self._on_end = on_end
        self._on_gone = on_gone
        self._worker: Worker | None = None
        self._peers: list[Gio.DBusConnection] = []
        self._is_gone = False
        self._exported = Exported(
            names.TRANSACTION,
            names.TRANSACTION_PATH,
            methods={"Start": self._start, "Cancel": self._cancel},
            properties={
                "Title": lambda: GLib.Variant("s", self.title),
                "InitiatingClientDescription": lambda: GLib.Variant("s", initiator.description),
                "Outcome": lambda: GLib.Variant("s", json.dumps(self.last) if self.last else ""),
            },
        )
        socket.unlink(missing_ok=True)
        self._server = Gio.DBusServer.new_sync(
            self.address, Gio.DBusServerFlags.NONE, Gio.dbus_generate_guid(), None, None
        )
        os.chmod(socket, 0o666)  # whoever connects may watch; stopping is authorised
        self._handler = self._server.connect("new-connection", self._connected)
        self._server.start()

    @property
    def is_active(self) -> bool:
        """Whether it has not ended: it waits for its start, or works."""
        return self.last is None

    # -- work

    def begin(self) -> bool:
        """Start the worker; False when that was done before."""
        if self._worker is not None or self.last is not None:
            return False
        self._worker = Worker(self.job, self._follow, self._finish)
        return True

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        elif self.last is None:
            self._finish({"kind": "failed", "error": report.error_json(CancelledError())})

    def abandon(self, name: str) -> None:
        """A client has left the bus; a transaction that it asked for and never started ends."""
        if name == self.initiator.name and self._worker is None:
            self.stop()

    def close(self) -> None:
        """Let nobody connect any more, and part with those who did."""
        if self._is_gone:
            return
        self._is_gone = True
        self._server.stop()
        self._server.disconnect(self._handler)  # it holds us, and we hold its socket
        del self._server
        self._socket.unlink(missing_ok=True)
        self._exported.withdraw()
        for peer in self._peers:
            peer.close(None, None)
        for fd in self.job.fds:
            os.close(fd)
        self._on_gone(self)

    def _follow(self, said: Report) -> None:
        match said:
            case {"kind": "message", "text": text}:
                self._emit("Message", "(s)", text)
            case {"kind": "task-begin", "text": text}:
                self._emit("TaskBegin", "(s)", text)
            case {"kind": "task-end", "text": text}:
                self._emit("TaskEnd", "(s)", text)
            case {"kind": "percent", "text": text, "percent": percent}:
                self._emit("PercentProgress", "(su)", text, percent)
                if percent >= 100:
                    self._exported.emit("ProgressEnd")
            case {"kind": "plan", "plan": plan}:
                self._emit("PlanReady", "(s)", json.dumps(plan))

    def _emit(self, signal: str, signature: str, *values: Any) -> None:
        self._exported.emit(signal, GLib.Variant(signature, values))

    def _finish(self, last: Report) -> None:
        self.last = last
        self._on_end(self, last)
        self._emit("Finished", "(bs)", *self._ending())
        if not self._peers:
            self.close()
        else:
            GLib.timeout_add_seconds(LINGER_S, self._close_late)

    def _close_late(self) -> bool:
        self.close()
        return bool(GLib.SOURCE_REMOVE)

    def _ending(self) -> tuple[bool, str]:
        last = self.last or {}
        if last.get("kind") == "done":
            return True, ""
        return False, report.whole_text(last["error"])

    # -- peers

    def _connected(self, _server: Gio.DBusServer, peer: Gio.DBusConnection) -> bool:
        self._peers.append(peer)
        peer.connect("closed", self._left)
        self._exported.publish(peer)
        return True

    def _left(self, peer: Gio.DBusConnection, _is_vanished: bool, _error: Any) -> None:  # noqa: FBT001
        # Not left to the last reference: see `Exported.publish`.
        with suppress(GLib.Error):
            peer.get_stream().close(None)
        if self._is_gone:
            return
        self._peers.remove(peer)
        self._exported.withdraw(peer)
        if self.last is not None and not self._peers:
            self.close()

    async def _start(self, caller: Caller) -> GLib.Variant:
        if self.last is not None:
            body = GLib.Variant("(bs)", self._ending())
            GLib.idle_add(self._tell_again, caller.connection, body)
            return GLib.Variant("(b)", (False,))
        return GLib.Variant("(b)", (self.begin(),))

    def _tell_again(self, peer: Gio.DBusConnection, body: GLib.Variant) -> bool:
        if not peer.is_closed():
            peer.emit_signal(None, names.TRANSACTION_PATH, names.TRANSACTION, "Finished", body)
        return bool(GLib.SOURCE_REMOVE)

    async def _cancel(self, caller: Caller) -> GLib.Variant | None:
        credentials = caller.connection.get_peer_credentials()
        if credentials.get_unix_user() != self.initiator.uid:
            await self._authority.require_peer(credentials, "cancel")
        self.stop()
        return None

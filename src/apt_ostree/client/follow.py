"""Follow a transaction to its end."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from apt_ostree.client.bus import Bus
from apt_ostree.errors import AptOstreeError, CancelledError
from apt_ostree.model.plan import Plan
from apt_ostree.model.progress import PlanWatcher, Progress
from apt_ostree.wire import names, remote
from apt_ostree.wire.glib import Gio, GLib

_GONE = (
    "Bus owner changed, aborting. This likely means the daemon crashed; "
    "check logs with `journalctl -xe`."
)


class Following:
    """One run of a transaction, as its signals tell of it."""

    def __init__(self, bus: Bus, address: str, progress: Progress) -> None:
        self._bus = bus
        self._progress = progress
        self._loop = GLib.MainLoop()
        self._end: tuple[bool, str] | None = None
        self._is_gone = False
        self._is_cancelling = False
        self._peer = _connect(address)
        self._peer.signal_subscribe(
            None, names.TRANSACTION, None, names.TRANSACTION_PATH, None,
            Gio.DBusSignalFlags.NONE, self._heard,
        )  # fmt: skip
        self._peer.connect("closed", self._closed)

    def run(self) -> Any:
        """Start the transaction (or join it) and return what it came to, as JSON values.

        SIGINT and SIGTERM cancel it; its end is waited for then, too.
        """
        watch = self._bus.on_daemon_gone(self._lost)
        try:
            (is_ours,) = self._call("Start", None)
            if not is_ours and not self._property("Outcome"):
                self._progress.message(f"Attaching to existing transaction: {self.title()}")
            self._wait()
            return self._outcome()
        finally:
            self._bus.forget(watch)
            self.leave()

    def stop(self) -> None:
        """Cancel the transaction and wait for its end."""
        self._call("Cancel", None)
        self._wait()

    def title(self) -> str:
        text: str = self._property("Title")
        return text

    def initiator(self) -> str:
        text: str = self._property("InitiatingClientDescription")
        return text

    def leave(self) -> None:
        """Stop watching; the work goes on."""
        if not self._peer.is_closed():
            self._peer.close_sync(None)

    def _wait(self) -> None:
        if self._end is None and not self._is_gone:
            with self._cancelling_on_signals():
                self._loop.run()

    @contextmanager
    def _cancelling_on_signals(self) -> Iterator[None]:
        """GLib's loop runs no signal handlers of Python, so GLib gets the signals."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [(number, signal.getsignal(number)) for number in numbers]
        sources = [
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self._interrupted, number)
            for number in numbers
        ]
        try:
            yield
        finally:
            for source in sources:
                GLib.source_remove(source)
            for number, handler in before:
                signal.signal(number, handler)

    def _interrupted(self, number: signal.Signals) -> bool:
        if self._is_cancelling:
            sys.stderr.write("Awaiting transaction cancellation...\n")
            return bool(GLib.SOURCE_CONTINUE)
        self._is_cancelling = True
        sys.stderr.write(f"Caught {number.name}, cancelling transaction\n")
        with suppress(AptOstreeError):
            self._call("Cancel", None)
        return bool(GLib.SOURCE_CONTINUE)

    def _outcome(self) -> Any:
        if self._end is None:
            raise AptOstreeError(_GONE)
        is_done, message = self._end
        last = json.loads(self._property("Outcome"))
        if is_done:
            return last["result"]
        raise _error(last["error"], message)

    def _property(self, name: str) -> Any:
        body = GLib.Variant("(ss)", (names.TRANSACTION, name))
        (value,) = self._ask("org.freedesktop.DBus.Properties", "Get", body)
        return value

    def _call(self, method: str, body: GLib.Variant | None) -> Any:
        return self._ask(names.TRANSACTION, method, body)

    def _ask(self, interface: str, method: str, body: GLib.Variant | None) -> Any:
        try:
            answer = self._peer.call_sync(
                None, names.TRANSACTION_PATH, interface, method, body, None,
                Gio.DBusCallFlags.NONE, -1, None,
            )  # fmt: skip
        except GLib.Error as err:
            raise AptOstreeError(remote.describe(err)[1]) from err
        return answer.unpack()

    def _heard(
        self,
        _peer: Gio.DBusConnection,
        _sender: str | None,
        _path: str,
        _interface: str,
        signal: str,
        body: GLib.Variant,
    ) -> None:
        progress, values = self._progress, body.unpack()
        match signal:
            case "Message":
                progress.message(*values)
            case "TaskBegin":
                progress.task_begin(*values)
            case "TaskEnd":
                progress.task_end(*values)
            case "PercentProgress":
                progress.percent(*values)
            case "PlanReady" if isinstance(progress, PlanWatcher):
                progress.plan_ready(Plan.from_dict(json.loads(values[0])))
            case "Finished":
                self._end = values
                self._loop.quit()

    def _closed(self, *_: object) -> None:
        self._lost()

    def _lost(self) -> None:
        self._is_gone = True
        self._loop.quit()


def _connect(address: str) -> Gio.DBusConnection:
    try:
        return Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None
        )
    except GLib.Error as err:
        raise AptOstreeError(f"connecting to the transaction: {err.message}") from err


def _error(raw: Mapping[str, Any], message: str) -> AptOstreeError:
    if raw["type"] == CancelledError.__name__:
        return CancelledError()
    error = AptOstreeError(raw["message"] or message, hint=raw["hint"], details=raw["details"])
    error.exit_code = raw["exit"]
    return error

"""Tell systemd how the daemon is (sd_notify(3)); without systemd nobody is told."""

from __future__ import annotations

import os
import socket


def ready() -> None:
    _send("READY=1")


def stopping() -> None:
    _send("STOPPING=1")


def status(text: str) -> None:
    """One line for `systemctl status`."""
    _send(f"STATUS={text}")


def _send(text: str) -> None:
    where = os.environ.get("NOTIFY_SOCKET")
    if not where:
        return
    address = f"\0{where[1:]}" if where.startswith("@") else where
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        try:
            to.connect(address)
            to.sendall(text.encode())
        except OSError:
            return  # a lost status line is no reason to fail

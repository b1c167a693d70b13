"""What was done to a sysroot: one file for each deployment that was made, and for each failure.

Files lie in the stateroot's `/var/lib/apt-ostree/history`, named by their time, so that they
outlive the deployments they tell of.  They inform; nothing is ever decided by them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from apt_ostree.system import failpoint, fs

FOLDER = Path("lib/apt-ostree/history")  # below a stateroot's /var
KEPT = 100
FORMAT = 1
DONE = "done"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change.

    `created_ns` is UNIX time; `deployment` the dictionary that status shows, with whole commit
    metadata, None for a failure; `result` is DONE or the error's text; `sudo_user` who became
    `user` for this.
    """

    created_ns: int
    command_line: str
    uid: int
    user: str
    sudo_user: str | None = None
    plan_digest: str | None = None
    result: str = DONE
    deployment: Mapping[str, Any] | None = None

    @property
    def is_failure(self) -> bool:
        return self.result != DONE

    def as_dict(self) -> dict[str, Any]:
        """What the file holds."""
        shown = self.deployment or {}
        return {
            "format": FORMAT,
            "created-ns": self.created_ns,
            "command-line": self.command_line,
            "uid": self.uid,
            "user": self.user,
            "sudo-user": self.sudo_user,
            "plan-digest": self.plan_digest,
            "result": self.result,
            "deployment-id": shown.get("id"),
            "checksum": shown.get("checksum"),
            "version": shown.get("version"),
            "deployment": self.deployment,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError for what `as_dict` never wrote."""
        return cls(
            created_ns=int(raw["created-ns"]),
            command_line=str(raw["command-line"]),
            uid=int(raw["uid"]),
            user=str(raw["user"]),
            sudo_user=raw.get("sudo-user"),
            plan_digest=raw.get("plan-digest"),
            result=str(raw["result"]),
            deployment=raw.get("deployment"),
        )

    def as_json(self) -> dict[str, Any]:
        """The contract's keys of `history --json`, and ours: who, how it ended, by which plan.

        Boots are the journal's to count; without it there are none.
        """
        out: dict[str, Any] = {
            "deployment-create-timestamp": self.created_ns // 1_000_000_000,
            "boot-count": 0,
            "uid": self.uid,
            "user": self.user,
            "result": self.result,
        }
        for key, value in (
            ("deployment", self.deployment),
            ("deployment-create-command-line", self.command_line or None),
            ("sudo-user", self.sudo_user),
            ("plan-digest", self.plan_digest),
        ):
            if value is not None:
                out[key] = value
        return out


def write(folder: Path, entry: Entry, *, kept: int = KEPT) -> Path:
    """Add an entry atomically and forget all but the `kept` newest.  Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / str(entry.created_ns)
    failpoint.reach("history.before-write")
    fs.write_atomic(path, json.dumps(entry.as_dict(), separators=(",", ":")).encode())
    failpoint.reach("history.after-write")
    for old in _files(folder)[kept:]:
        with suppress(FileNotFoundError):
            old.unlink()
    return path


def _files(folder: Path) -> list[Path]:
    """Newest first; other files (a crash's temporary ones) do not count."""
    try:
        found = [p for p in folder.iterdir() if p.name.isascii() and p.name.isdigit()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda p: int(p.name), reverse=True)


def read(path: Path) -> Entry | None:
    """None for a file that is gone or damaged."""
    try:
        return Entry.from_dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def entries(
    sysroot: Path, *, limit: int | None = None, has_failures: bool = False
) -> list[dict[str, Any]]:
    """Entries of all stateroots, newest first, as `history --json` prints them.

    A damaged file still tells when something was done.  Failures made no deployment and are left
    out unless asked for.
    """
    out: list[dict[str, Any]] = []
    for path in _all(sysroot):
        if limit is not None and len(out) >= limit:
            break
        entry = read(path)
        if entry is None:
            out.append({"deployment-create-timestamp": int(path.name) // 10**9, "boot-count": 0})
        elif has_failures or not entry.is_failure:
            out.append(entry.as_json())
    return out


def _all(sysroot: Path) -> Iterator[Path]:
    folders = (sysroot / "ostree/deploy").glob(f"*/var/{FOLDER}")
    files = [path for folder in folders for path in _files(folder)]
    yield from sorted(files, key=lambda p: int(p.name), reverse=True)

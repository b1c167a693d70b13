"""Downloads by libapt's fetcher: what it reports, and what its failures mean."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import apt_pkg

from apt_ostree.errors import AptOstreeError, FetchError, SpaceError, TrustError

# What libapt says when the content came but must not be believed (acquire-item.cc, gpgv method).
_TRUST = re.compile(
    r"not signed|no longer signed|couldn't be verified|NO_PUBKEY|BADSIG|EXPKEYSIG|EXPSIG|REVKEYSIG"
    r"|is expired|not valid yet|changed its '|verification|signature|insecure|weak"
    r"|Clearsigned file isn't valid",
    re.IGNORECASE,
)


class Watch:
    """The callbacks that libapt wants of a progress object; reports percent while it runs."""

    # libapt sets these before each call (apt_pkg.AcquireProgress protocol).
    current_bytes = 0.0
    total_bytes = 0.0
    fetched_bytes = 0.0
    current_cps = 0.0
    elapsed_time = 0
    total_items = 0
    current_items = 0
    last_bytes = 0.0

    def __init__(self, percent: Callable[[int], None] | None = None) -> None:
        self._percent = percent
        self._last = -1

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def fetch(self, _item: apt_pkg.AcquireItemDesc) -> None: ...

    def done(self, _item: apt_pkg.AcquireItemDesc) -> None: ...

    def fail(self, _item: apt_pkg.AcquireItemDesc) -> None: ...

    def ims_hit(self, _item: apt_pkg.AcquireItemDesc) -> None: ...

    def media_change(self, _media: str, _drive: str) -> bool:
        return False  # nobody is there to change a disc

    def pulse(self, _owner: apt_pkg.Acquire) -> bool:
        if self._percent and self.total_bytes:
            now = min(99, int(100 * self.current_bytes / self.total_bytes))
            if now > self._last:
                self._last = now
                self._percent(now)
        return True


def fetcher(watch: Watch) -> Any:
    """A libapt fetcher reporting to `watch` (python-apt's stubs ask for its own class)."""
    return apt_pkg.Acquire(cast(Any, watch))


def make_partial(directory: Path) -> None:
    """The `partial/` that libapt downloads into, writable for the user its methods run as."""
    partial = directory / "partial"
    partial.mkdir(mode=0o700, exist_ok=True)
    user = apt_pkg.config.find("APT::Sandbox::User")
    if os.geteuid() == 0 and user:
        with suppress(LookupError):  # no such user: libapt then downloads as root
            shutil.chown(partial, user=user)


def failure(source_id: str, text: str, *, doing: str) -> AptOstreeError:
    """TrustError or FetchError for what libapt said about a source."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["unknown error"]
    message = f"{doing} '{source_id}': {lines[0]}"
    if os.strerror(errno.ENOSPC) in text:
        return SpaceError(message, details=lines[1:], hint="free some space, then try again")
    if _TRUST.search(text):
        return TrustError(message, details=lines[1:], hint=_trust_hint(text))
    return FetchError(
        message, details=lines[1:], hint="check the network and the URI of the apt source"
    )


def _trust_hint(text: str) -> str:
    if "expired" in text and "Release" in text:
        return "the mirror is stale or the clock is wrong; a snapshot needs Check-Valid-Until: no"
    if "NO_PUBKEY" in text:
        return "put the source's key where Signed-By names it"
    if "changed its" in text:
        return "if this is meant, remove the old indexes with 'apt-ostree cleanup -m'"
    if "not signed" in text or "no longer signed" in text:
        return "sign the repository, or say 'Trusted: yes' in its source"
    return "the source's signature does not verify; nothing of it was used"

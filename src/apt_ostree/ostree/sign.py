"""Signing commits with GPG, the one kind of signature that Debian's libostree is built with."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.ostree.glib import translate
from apt_ostree.ostree.repo import Repo


def gpg(repo: Repo, checksum: str, key_id: str, *, home: Path | None = None) -> None:
    """Add a detached signature by `key_id` from the keyring in `home` (default: the caller's).

    Signing twice with one key is no error.  Raises TrustError when the key cannot sign.
    """
    with translate(f"signing {checksum[:10]} with key {key_id}: GPG"):
        repo.handle.sign_commit(checksum, key_id, None if home is None else str(home), None)

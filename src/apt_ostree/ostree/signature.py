"""Judging commits' GPG signatures by the keyring of the remote they came from."""

from __future__ import annotations

from typing import Any

from apt_ostree.errors import OstreeError
from apt_ostree.ostree.glib import Gio, GLib, OSTree, translate, unpack
from apt_ostree.ostree.repo import Repo


def is_required(repo: Repo, remote: str) -> bool:
    """Whether commits of `remote` must be signed.

    Raises OstreeError with libostree's text (`Remote "x" not found`) when it is not configured.
    """
    try:
        _, verifies = repo.handle.remote_get_gpg_verify(remote)
    except GLib.Error as err:
        raise OstreeError(str(err.message), hint=f"ostree remote add {remote} URL") from err
    return bool(verifies)


def verify(repo: Repo, checksum: str, remote: str) -> tuple[tuple[Any, ...], ...] | None:
    """Each signature of a commit as libostree's attribute tuple (ostree-gpg-verify-result.h).

    None when there is none, or no keyring to judge by.  Cost: gpgme starts gpg, about 20 ms.
    """
    with translate(f"verifying {checksum[:10]}"):
        result = _result(repo, checksum, remote)
    if result is None:
        return None
    return tuple(tuple(unpack(result.get_all(i))) for i in range(result.count_all()))


def _result(repo: Repo, checksum: str, remote: str) -> Any:
    try:
        return repo.handle.verify_commit_for_remote(checksum, remote, None)
    except GLib.Error as err:
        is_unsigned = err.matches(OSTree.gpg_error_quark(), OSTree.GpgError.NO_SIGNATURE)
        if is_unsigned or err.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND):
            return None
        raise

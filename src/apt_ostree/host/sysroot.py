"""Make a directory an ostree sysroot."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.ostree.sysroot import Sysroot


def init(path: Path, stateroot: str, *, dry_run: bool = False) -> bool:
    """Give `path` a repository and a stateroot; False when it has both already.

    Raises AptOstreeError when something else is in the way.
    """
    if path.exists() and not path.is_dir():
        raise AptOstreeError(f"'{path}' is not a directory")
    if not stateroot or "/" in stateroot or stateroot in (".", ".."):
        raise AptOstreeError(f"Invalid stateroot name '{stateroot}'")
    if dry_run:
        has_repo = (path / "ostree/repo/config").exists()
        return not (has_repo and (path / "ostree/deploy" / stateroot / "var").is_dir())
    try:
        return Sysroot.init(path, stateroot)
    except OSError as err:
        raise AptOstreeError(f"cannot make '{path}' a sysroot: {err.strerror}") from err

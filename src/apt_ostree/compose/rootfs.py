"""`compose rootfs`: a finished root file system as a plain directory, with `/etc` in place."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from apt_ostree.compose import install
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.compose import Composed, InstallRequest
from apt_ostree.model.progress import Progress
from apt_ostree.system import fs


def run(request: InstallRequest, dest: Path, progress: Progress) -> Composed:
    """Build `dest`, which must not exist; it appears only when it is complete."""
    if dest.exists():
        raise AptOstreeError(f"Refusing to operate on extant target {dest}")
    if request.source_root is not None and not request.source_root.is_absolute():
        raise AptOstreeError(f"Expected absolute path for source-root: {request.source_root}")
    with fs.temp_dir(dest.parent, f".{dest.name}.") as folder:
        made = install.run(request, folder, progress, postprocess=True)
        if made.root is None:
            return made
        os.rename(made.root / "usr/etc", made.root / "etc")
        os.rename(made.root, dest)
    return replace(made, root=dest)

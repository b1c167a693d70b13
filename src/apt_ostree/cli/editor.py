"""Let the user edit a text in a program of their choice."""

from __future__ import annotations

import os
import shlex

from apt_ostree.errors import AptOstreeError

TEMPLATE = """\
# Edit the kernel arguments below, one or several on a line.
#
# Lines that are empty or begin with '#' are ignored.  Quotes, order and repeated
# arguments are kept as they stand here.
#
# The 'ostree' argument belongs to the boot entry: it is not shown, and cannot be changed.

"""


def edit(text: str, program: str) -> str:
    """Run `program` (words of a shell command line) on a file with `text`; what it left.

    The editor gets our terminal.  Raises AptOstreeError when it ends with a failure.
    """
    from apt_ostree.system import fs
    from apt_ostree.system.run import spawn

    with fs.scratch_dir("edit") as folder:
        path = folder / "kernel-arguments"
        path.write_text(text)
        argv = [*shlex.split(program), str(path)]
        env = {name: os.environ[name] for name in ("TERM", "HOME") if name in os.environ}
        with spawn(argv, env=env, stdin=None, stdout=None, stderr=None) as child:
            status = child.wait()
        if status != 0:
            raise AptOstreeError(f"There was a problem with the editor '{program}'")
        return path.read_text(errors="surrogateescape")


def content(text: str) -> list[str]:
    """The lines that are neither empty nor comments."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]

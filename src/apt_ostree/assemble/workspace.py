"""The place where one tree is built: an overlay over checkouts that nothing may write to.

Checkouts share inodes with the repository and with running deployments, and package code changes
inodes in place (dpkg itself does `chmod` on the old file of a set-id program).  So everything runs
on an overlay: `root` is the complete tree, `upper` what differs from the lower layers, and only
`upper` is committed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.system import failpoint, fs, mount
from apt_ostree.system.run import run

PREFIX = "apt-ostree-"
OPAQUE = "trusted.overlay.opaque"
REDIRECT = "trusted.overlay.redirect"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Directories of one build; `directory` and all below is private (0700) and on the same
    filesystem as the repository, so that files move into it without a copy."""

    directory: Path

    @property
    def upper(self) -> Path:
        return self.directory / "upper"

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @contextmanager
    def mounted(
        self, lower: Sequence[Path], *, binds: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Path]:
        """The complete tree at `root` for the time of the block; `lower[0]` is the topmost.

        Its `/etc` is the vendor configuration (`usr/etc`), as package code expects; `binds` are
        pairs (directory of the tree, where else it appears), for package-manager state that lives
        below `/usr` and is looked for below `/var`.  Needs a private mount namespace.
        """
        work = self.directory / "work"
        for path in (self.upper, self.root, work):
            path.mkdir(exist_ok=True)
        etc = self.upper / "etc"
        failpoint.reach("workspace.before-mount")
        if not etc.exists():
            # Hides the machine's own /etc when the lower layer is a deployment.
            etc.mkdir(mode=0o755)
            os.setxattr(etc, OPAQUE, b"y")
        with ExitStack() as stack:
            stack.enter_context(mount.overlay(self.root, lower=lower, upper=self.upper, work=work))
            usr_etc = self.root / "usr/etc"
            usr_etc.mkdir(exist_ok=True)
            stack.enter_context(mount.bind(usr_etc, self.root / "etc"))
            for inside, shown in binds:
                source, target = self.root / inside, self.root / shown
                source.mkdir(parents=True, exist_ok=True)
                target.mkdir(parents=True, exist_ok=True)
                stack.enter_context(mount.bind(source, target))
            failpoint.reach("workspace.after-mount")
            yield self.root
            _fill_moved(self.root, self.upper)
        failpoint.reach("workspace.after-unmount")


def _fill_moved(root: Path, upper: Path) -> None:
    """Give directories that were renamed their content, so that `upper` says everything.

    Works on the mounted tree; a copy of one is nothing that lower layers have.  Cost: O(upper).
    """
    pending = [upper]
    while pending:
        with os.scandir(pending.pop()) as entries:
            found = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
        for path in found:
            if REDIRECT in os.listxattr(path):
                moved = root / path.relative_to(upper)
                copy = moved.with_name(f".apt-ostree-{moved.name}"[:255])
                run(["cp", "--archive", "--", moved, copy])
                fs.remove_tree(moved)
                os.rename(copy, moved)
            else:
                pending.append(path)


@contextmanager
def create(repo: Path) -> Iterator[Workspace]:
    """A new workspace in the repository's own temporary directory, gone after the block."""
    parent = repo / "tmp"
    with fs.temp_dir(parent, PREFIX) as directory:
        yield Workspace(directory)


def sweep(repo: Path) -> int:
    """Remove the workspaces of processes that died; returns how many.

    Their mounts went with their mount namespace.
    """
    return fs.sweep(repo / "tmp", PREFIX)


@dataclass(frozen=True, slots=True)
class UpperChanges:
    """What an upper directory says besides its files: `removed` paths, `cleared` directories."""

    removed: tuple[str, ...]
    cleared: tuple[str, ...]


def settle_upper(upper: Path) -> UpperChanges:
    """Make an unmounted upper directory plain: whiteouts and overlay attributes become a value.

    A whiteout is a character device 0:0, an opaque directory hides what is below it (kernel:
    overlayfs.rst).  File capabilities and other attributes stay.  Files get the time 0, which they
    have everywhere else: libostree sets it on objects that it writes, not on files that it adopts.
    Raises AptOstreeError naming a device, pipe or socket, which no commit can hold.
    Cost: O(upper).
    """
    removed: list[str] = []
    cleared: list[str] = []
    pending = [("", os.fspath(upper))]
    _strip(os.fspath(upper))
    while pending:
        at, folder = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = f"{at}/{entry.name}"
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                    removed.append(path)
                    os.unlink(entry.path)
                    continue
                is_dir, is_link = stat.S_ISDIR(info.st_mode), stat.S_ISLNK(info.st_mode)
                if not is_dir and not is_link and not stat.S_ISREG(info.st_mode):
                    raise AptOstreeError(
                        f"{path} is no file, directory or link",
                        hint="a tree cannot hold it; make it when it is used, by tmpfiles.d(5)",
                    )
                if is_link:
                    continue  # trusted.* on links is not used by overlayfs without redirects
                if _strip(entry.path) and is_dir:
                    cleared.append(path)
                if is_dir:
                    pending.append((path, entry.path))
                else:
                    os.utime(entry.path, (0, 0))
    return UpperChanges(tuple(sorted(removed)), tuple(sorted(cleared)))


def _strip(path: str) -> bool:
    """Remove overlayfs's own attributes; whether the directory was opaque."""
    names = os.listxattr(path, follow_symlinks=False)
    for name in names:
        if name.startswith("trusted.overlay."):
            os.removexattr(path, name, follow_symlinks=False)
    return OPAQUE in names

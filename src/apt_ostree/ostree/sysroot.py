"""An ostree sysroot: its deployments, and writing new ones.

Wraps OSTree.Sysroot.  A `Sysroot` caches the deployment list; make a new one per transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from apt_ostree.errors import BusyError, OstreeError
from apt_ostree.model import kargs
from apt_ostree.ostree.glib import Gio, GLib, OSTree, translate
from apt_ostree.ostree.repo import Repo
from apt_ostree.system import failpoint, fs, signals
from apt_ostree.system.run import run

# Its presence keeps ostree-finalize-staged.service from acting (ostree-sysroot-deploy.c).
LOCK = Path("/run/ostree/staged-deployment-locked")
_OVERLAYS = "ostree/initramfs-overlays"  # below /boot; ostree-sysroot-private.h


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment.  `index` is its place in boot order (0 boots next); `directory` its tree;
    `kargs` the kernel command line of its boot entry without what libostree writes there; `options`
    that entry's whole `options` line."""

    osname: str
    checksum: str
    serial: int
    index: int
    booted: bool
    staged: bool
    pinned: bool
    unlocked: str
    directory: Path
    origin: str
    options: str
    handle: OSTree.Deployment

    @property
    def id(self) -> str:
        return f"{self.osname}-{self.checksum}.{self.serial}"

    @property
    def kargs(self) -> tuple[str, ...]:
        return tuple(a for a in kargs.split(self.options) if not kargs.is_libostrees(a))


class Sysroot:
    def __init__(self, handle: OSTree.Sysroot, path: Path) -> None:
        self.handle = handle
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Load the sysroot at `path` (`/` for the running system)."""
        handle = OSTree.Sysroot.new(Gio.File.new_for_path(str(path)))
        with translate(f"loading sysroot '{path}'"):
            handle.load(None)
        return cls(handle, path)

    @classmethod
    def init(cls, path: Path, stateroot: str) -> bool:
        """Make `path` a sysroot with a stateroot; False when it was one already."""
        changed = False
        if not (path / "ostree/repo/config").exists():
            path.mkdir(parents=True, exist_ok=True)
            run(["ostree", "admin", "init-fs", "--modern", path])
            changed = True
        if not (path / "ostree/deploy" / stateroot / "var").is_dir():
            handle = OSTree.Sysroot.new(Gio.File.new_for_path(str(path)))
            with translate(f"creating stateroot '{stateroot}'"):
                handle.ensure_initialized(None)
                handle.load(None)
                handle.init_osname(stateroot, None)
            changed = True
        return changed

    @property
    def repo(self) -> Repo:
        with translate("opening the system repository"):
            _, handle = self.handle.get_repo(None)
        return Repo(handle)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock that `ostree admin` and every other writer takes.

        Raises BusyError at once when somebody else has it; the deployments are read anew.
        """
        with translate("locking the sysroot"):
            _, acquired = self.handle.try_lock()
        if not acquired:
            raise BusyError(
                "System transaction in progress", hint="wait for it to end and try again"
            )
        try:
            with translate("loading the sysroot"):
                self.handle.load_if_changed(None)
            yield
        finally:
            self.handle.unlock()

    # -- what is there

    @property
    def is_booted(self) -> bool:
        """Whether the system that runs here was booted from this sysroot."""
        return self.handle.get_booted_deployment() is not None

    @property
    def stateroots(self) -> tuple[str, ...]:
        folder = self.path / "ostree/deploy"
        return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        booted = self.handle.get_booted_deployment()
        return tuple(
            self._value(handle, i, booted) for i, handle in enumerate(self.handle.get_deployments())
        )

    def _value(
        self, handle: OSTree.Deployment, index: int, booted: OSTree.Deployment | None
    ) -> Deployment:
        bootconfig = handle.get_bootconfig()
        options = bootconfig.get("options") if bootconfig is not None else None
        origin = handle.get_origin()
        return Deployment(
            osname=handle.get_osname(),
            checksum=handle.get_csum(),
            serial=handle.get_deployserial(),
            index=index,
            booted=booted is not None and handle.equal(booted),
            staged=handle.is_staged(),
            pinned=handle.is_pinned(),
            unlocked=OSTree.Deployment.unlocked_state_to_string(handle.get_unlocked()),
            directory=self.path / self.handle.get_deployment_dirpath(handle),
            origin=origin.to_data()[0] if origin is not None else "",
            options=options or "",
            handle=handle,
        )

    def of(self, stateroot: str) -> tuple[Deployment, ...]:
        return tuple(d for d in self.deployments if d.osname == stateroot)

    def merge_deployment(self, stateroot: str) -> Deployment | None:
        """Where `/etc` comes from: the booted deployment, else the first of the stateroot.

        `ostree_sysroot_get_merge_deployment` would return the pending one too; the configuration
        of a system that never ran is only right when nothing is booted.
        """
        own = self.of(stateroot)
        return next((d for d in own if d.booted), own[0] if own else None)

    # -- changes; all need the lock

    def deploy(
        self,
        stateroot: str,
        checksum: str,
        *,
        origin: str,
        kargs: Sequence[str],
        overlay: bytes | None = None,
        keep: Sequence[Deployment] | None = None,
        is_locked: bool = False,
    ) -> Deployment:
        """Check out a commit as a new deployment and make it boot next.

        `/etc` is merged from `merge_deployment`; `overlay` is an archive for the boot loader to
        load after the initramfs.  Afterwards boot `keep` in that order after the new one (default:
        `retained`).  On failure nothing that boots has changed.

        On the running system the deployment is staged: `/etc` is merged and the boot entries are
        written while it shuts down, so that what is edited until then is not lost.  `is_locked`
        keeps that from happening until `finalize-deployment` allows it.
        """
        merge = self.merge_deployment(stateroot)
        keyfile = GLib.KeyFile()
        failpoint.reach("deploy.before-checkout")
        with translate("deploying"):
            keyfile.load_from_data(origin, len(origin.encode()), GLib.KeyFileFlags.NONE)
        # A staged deployment has no boot entry yet that could name an archive.
        if self.is_booted and overlay is None:
            return self._stage(stateroot, checksum, keyfile, merge, kargs, is_locked=is_locked)
        kept = self.retained(stateroot) if keep is None else keep
        with translate("deploying"):
            _, new = self.handle.deploy_tree(
                stateroot, checksum, keyfile, merge.handle if merge else None, list(kargs), None
            )
        failpoint.reach("deploy.after-checkout")
        if overlay is not None:
            self._add_overlay(new, overlay)
            failpoint.reach("deploy.after-overlay")
        with signals.ignored():
            self._write([new, *(d.handle for d in kept)])
            found = next((d for d in self.deployments if d.handle.equal(new)), None)
        if found is None:
            raise OstreeError("deploying: the new deployment is not in the list")
        return found

    def _stage(
        self,
        stateroot: str,
        checksum: str,
        origin: GLib.KeyFile,
        merge: Deployment | None,
        kargs: Sequence[str],
        *,
        is_locked: bool,
    ) -> Deployment:
        if is_locked:
            LOCK.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            LOCK.touch(mode=0o644)
        with signals.ignored(), translate("staging"):
            _, new = self.handle.stage_tree(
                stateroot, checksum, origin, merge.handle if merge else None, list(kargs), None
            )
            failpoint.reach("deploy.after-stage")
            if not is_locked:
                LOCK.unlink(missing_ok=True)
            self.handle.load_if_changed(None)
        found = next((d for d in self.deployments if d.handle.equal(new)), None)
        if found is None:
            raise OstreeError("staging: the new deployment is not in the list")
        return found

    def unlock_staged(self) -> bool:
        """Let the staged deployment be finalized; False when it was not locked."""
        try:
            LOCK.unlink()
        except FileNotFoundError:
            return False
        return True

    def _add_overlay(self, deployment: OSTree.Deployment, overlay: bytes) -> None:
        """Put an archive where libostree keeps them and name it in the new boot entry.

        `SysrootDeployTreeOpts.overlay_initrds` cannot be set through introspection; the entry
        itself can, and libostree reads back from it what is in use
        (`list_deployments_process_one_boot_entry`, ostree-sysroot.c).  Raises OstreeError for a
        tree without an initramfs.
        """
        tree = self.path / self.handle.get_deployment_dirpath(deployment)
        if not any(tree.glob("usr/lib/modules/*/initramfs.img")):
            raise OstreeError(
                "the tree has no initramfs that files of /etc could be added to",
                hint="apt-ostree initramfs-etc --untrack-all",
            )
        name = f"{hashlib.sha256(overlay).hexdigest()}.img"
        folder = self.path / "boot" / _OVERLAYS
        folder.mkdir(parents=True, exist_ok=True)
        # May hold secrets of /etc.
        fs.write_atomic(folder / name, overlay, mode=0o600)
        config = deployment.get_bootconfig()
        # Demanded by set_overlay_initrds; libostree writes the real path before it is used.
        config.set("initrd", "/initramfs.img")
        config.set_overlay_initrds([f"/{_OVERLAYS}/{name}"])

    def retained(self, stateroot: str) -> tuple[Deployment, ...]:
        """The deployments that stay beside a new one: booted and its rollback, or the current
        default when nothing is booted; pinned ones; everything of other stateroots."""
        merge = self.merge_deployment(stateroot)
        own = self.of(stateroot)
        after_merge = own[own.index(merge) + 1 :] if merge is not None and merge.booted else ()
        rollback = next((d for d in after_merge if not d.pinned), None)
        return tuple(
            d
            for d in self.deployments
            if not d.staged
            and (d.osname != stateroot or d.pinned or d.booted or d in (merge, rollback))
        )

    def write(self, deployments: Sequence[Deployment]) -> None:
        """Make exactly these bootable, in this order."""
        with signals.ignored():
            self._write([d.handle for d in deployments])

    def _write(self, handles: Sequence[OSTree.Deployment]) -> None:
        with translate("writing the boot entries"):
            # Without the clean-up that would prune the repository: pruning is slow, and refs of
            # cached packages must be made right first (see deploy.cleanup).
            options = OSTree.SysrootWriteDeploymentsOpts()
            options.do_postclean = False
            for step in (*self._step_between(handles), handles):
                failpoint.reach("deploy.before-write")
                self.handle.write_deployments_with_options(list(step), options, None)
                failpoint.reach("deploy.after-write")
                self.handle.load_if_changed(None)

    def _step_between(
        self, handles: Sequence[OSTree.Deployment]
    ) -> tuple[Sequence[OSTree.Deployment], ...]:
        """A shorter list to write first where stateroots change places, else nothing.

        libostree keeps the boot entries when kernel and arguments at every place stay the same,
        though they name the stateroot as well (`deployment_bootconfigs_equal`,
        ostree-sysroot-deploy.c); the sysroot could not be loaded again.  Another length makes it
        write them anew.
        """
        now = self.handle.get_deployments()
        moved = len(now) == len(handles) and any(
            a.get_osname() != b.get_osname() for a, b in zip(now, handles, strict=True)
        )
        booted = self.handle.get_booted_deployment()
        spare = [h for h in handles if booted is None or not h.equal(booted)]
        if not moved or len(handles) < 2 or not spare:
            return ()
        return ([h for h in handles if not h.equal(spare[-1])],)

    def set_pinned(self, deployment: Deployment, pinned: bool) -> None:  # noqa: FBT001
        with translate("pinning"):
            self.handle.deployment_set_pinned(deployment.handle, pinned)

    def prepare_cleanup(self) -> None:
        """Delete deployment directories, boot files and refs that no boot entry names; objects
        stay (`ostree_sysroot_prepare_cleanup`)."""
        with translate("cleaning up deployments"):
            self.handle.prepare_cleanup(None)

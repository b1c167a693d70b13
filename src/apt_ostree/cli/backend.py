"""The use cases that commands call: one function each, imported when it is called.

Each function here is a signature and an import.  The import waits because `--help`, completion and
`status` must not pay for apt, GI and YAML; it is dynamic because `cli` is checked and tested on its
own, against these signatures.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apt_ostree.cli import link
from apt_ostree.errors import AptOstreeError

if TYPE_CHECKING:  # values that pass through: making their classes takes as long as parsing
    from apt_ostree.model.change import Change, Options, Outcome
    from apt_ostree.model.compose import (
        CommitRequest,
        Composed,
        ExtensionsRequest,
        InstallRequest,
    )
    from apt_ostree.model.package import Package
    from apt_ostree.model.package_diff import Advisory, PackageDiff
    from apt_ostree.model.plan import SourceInfo
    from apt_ostree.model.progress import Progress

Json = dict[str, Any]


def _module(name: str) -> Any:
    full = f"apt_ostree.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as err:
        if err.name != full:
            raise
        raise AptOstreeError(f"this version has no '{name}'") from None


# -- a sysroot


def change(
    sysroot: Path,
    stateroot: str | None,
    edit: Change,
    options: Options,
    progress: Progress,
    *,
    reboot: bool = False,
    live: bool = False,
    driver: str | None = None,
) -> Outcome:
    """Carry out one change: plan, build, deploy; then reboot, or bring the running system to the
    result, where that is asked for.  `driver` is a program that takes updates over with it."""
    if (daemon := link.host(sysroot)) is not None:
        return daemon.change(
            stateroot, edit, options, progress, reboot=reboot, live=live, driver=driver
        )
    if driver is not None:
        raise AptOstreeError("'--register-driver' needs the daemon")
    if live:
        changed: Outcome = _module("host.live").change(sysroot, stateroot, edit, options, progress)
        return changed
    outcome: Outcome = _module("host.change").run(sysroot, stateroot, edit, options, progress)
    if reboot and outcome.changed and not options.dry_run:
        _reboot()
    return outcome


def _reboot() -> None:
    from apt_ostree.system.run import run

    run(["systemctl", "reboot"])


def init(path: Path, stateroot: str, *, dry_run: bool) -> bool:
    """Make a sysroot; False when it was one already."""
    is_new: bool = _module("host.sysroot").init(path, stateroot, dry_run=dry_run)
    return is_new


def daemon_state(sysroot: Path) -> Json:
    """{transaction, policy}: what only the daemon knows; empty without one."""
    daemon = link.reader(sysroot)
    return {} if daemon is None else daemon.state()


def deployments(sysroot: Path) -> list[Json]:
    """The deployment dictionaries, in boot order."""
    found: list[Json] = _module("host.status").deployments(sysroot)
    return found


def rollback(
    sysroot: Path,
    stateroot: str | None,
    progress: Progress,
    *,
    dry_run: bool,
    reboot: bool = False,
) -> Outcome:
    daemon = None if dry_run else link.host(sysroot)
    if daemon is not None:
        return daemon.rollback(stateroot, progress, reboot=reboot)
    outcome: Outcome = _module("host.rollback").run(sysroot, stateroot, progress, dry_run=dry_run)
    if reboot and not dry_run:
        _reboot()
    return outcome


def automatic_update(
    sysroot: Path, stateroot: str | None, command_line: str, progress: Progress
) -> bool:
    """Do what the daemon's update policy says; False when there is none, or no daemon."""
    daemon = link.host(sysroot)
    if daemon is None:
        return False
    return daemon.automatic_update(stateroot, command_line, progress, wait=True)


def finalize(
    sysroot: Path,
    stateroot: str | None,
    checksum: str | None,
    progress: Progress,
    *,
    allow_unlocked: bool,
    dry_run: bool,
) -> Outcome:
    """Unlock the staged deployment and reboot; `checksum` is what it must be, None for any."""
    daemon = None if dry_run else link.host(sysroot)
    if daemon is not None:
        return daemon.finalize(stateroot, checksum, progress, allow_unlocked=allow_unlocked)
    outcome: Outcome = _module("host.finalize").run(
        sysroot, stateroot, checksum, progress, allow_unlocked=allow_unlocked, dry_run=dry_run
    )
    if not dry_run:
        _reboot()
    return outcome


def apply_live(
    sysroot: Path,
    progress: Progress,
    *,
    target: str | None,
    reset: bool,
    allow_replacement: bool,
    dry_run: bool,
) -> Json:
    """Bring the running system to a commit: {from, to, changed, units, reload}."""
    daemon = None if dry_run else link.host(sysroot)
    if daemon is not None:
        return daemon.apply_live(progress, target=target, reset=reset, replace=allow_replacement)
    done: Json = _module("host.live").run(
        sysroot, progress, to=target, reset=reset, allow_replacement=allow_replacement,
        dry_run=dry_run,
    )  # fmt: skip
    return done


def reload_units() -> None:
    """Let systemd see units that have come or changed."""
    from apt_ostree.system.run import run

    run(["systemctl", "daemon-reload"])


def unlock(options: Sequence[str]) -> str:
    """`ostree admin unlock`; what it says."""
    from apt_ostree.system.run import run

    return run(["ostree", "admin", "unlock", *options]).output


def cleanup(
    sysroot: Path, stateroot: str | None, what: set[str], progress: Progress, *, dry_run: bool
) -> Json:
    """`what` holds the D-Bus words: base, pending-deploy, rollback-deploy, repomd."""
    daemon = None if dry_run else link.host(sysroot)
    if daemon is not None:
        return daemon.cleanup(stateroot, what, progress)
    done: Json = _module("host.cleanup").run(sysroot, stateroot, what, progress, dry_run=dry_run)
    return done


def prune(sysroot: Path, progress: Progress, *, dry_run: bool) -> Json:
    """Delete what nothing needs: {commits, packages, downloads, freed-bytes}."""
    done: Json = _module("host.cleanup").prune(sysroot, dry_run, progress)
    return done


def kernel_arguments(sysroot: Path, stateroot: str | None, index: int | None) -> str:
    """The `options` line of a boot entry, `ostree=` included."""
    line: str = _module("host.kargs").show(sysroot, stateroot, index)
    return line


def checkout(sysroot: Path, rev: str, dest: Path, progress: Progress, *, copy: bool) -> str:
    """Write the tree of `rev` to `dest` and return the commit's checksum."""
    checksum: str = _module("host.checkout").run(sysroot, rev, dest, progress, copy=copy)
    return checksum


# -- packages on a sysroot


def refresh(
    sysroot: Path, stateroot: str | None, progress: Progress, *, force: bool, dry_run: bool
) -> Sequence[SourceInfo]:
    """Fetch package metadata; a dry run names the sources that would be asked."""
    daemon = None if dry_run else link.host(sysroot)
    if daemon is not None:
        return daemon.refresh(stateroot, progress, force=force)
    found: Sequence[SourceInfo] = _module("host.metadata").refresh(
        sysroot, stateroot, force, progress, dry_run=dry_run
    )
    return found


def search(
    sysroot: Path, stateroot: str | None, terms: Sequence[str], progress: Progress
) -> Iterable[tuple[str, str, str]]:
    """(group header, package name, summary), in the order they are to be shown."""
    if (daemon := link.reader(sysroot)) is not None:
        return daemon.search(stateroot, terms)
    found: Iterable[tuple[str, str, str]] = _module("host.metadata").search(
        sysroot, stateroot, terms, progress
    )
    return found


def info(
    sysroot: Path, stateroot: str | None, names: Sequence[str], progress: Progress
) -> list[Json]:
    """A record per package: the control fields under `control`, and where it stands here."""
    found: list[Json] = _module("host.metadata").info(sysroot, stateroot, names, progress)
    return found


def package_list(
    sysroot: Path,
    stateroot: str | None,
    patterns: Sequence[str],
    *,
    which: str,
    deployment: str | None,
    progress: Progress,
) -> list[Json]:
    """`which` is all, layered, base or upgradable: {name, arch, version, origin, candidate}."""
    found: list[Json] = _module("host.packages").list(
        sysroot, stateroot, patterns, which=which, deployment=deployment, progress=progress
    )
    return found


def why(sysroot: Path, stateroot: str | None, target: str, *, deployment: str | None) -> Json:
    """{target, package, chain: [{kind, name, text}]} from the file or package to its cause."""
    found: Json = _module("insight.why").explain(sysroot, stateroot, target, deployment=deployment)
    return found


def history(sysroot: Path, *, limit: int | None) -> list[Json]:
    """Entries newest first, failures too, in the form of `history --json`."""
    found: list[Json] = _module("insight.history").entries(sysroot, limit=limit, has_failures=True)
    return found


# -- commits


def resolve(repo: Path, rev: str) -> str | None:
    """The checksum of a ref, checksum or unique prefix; None when there is none."""
    checksum: str | None = _module("insight.diff").resolve(repo, rev)
    return checksum


def packages_of(repo: Path, commit: str) -> Sequence[Package]:
    found: Sequence[Package] = _module("insight.diff").listing(repo, commit)
    return found


def package_diff(repo: Path, before: str, after: str) -> PackageDiff:
    found: PackageDiff = _module("insight.diff").packages(repo, before, after)
    return found


def shown_diff(repo: Path, before: str, after: str) -> PackageDiff:
    """As `package_diff`, for people: a kernel in the place of another is one change."""
    found: PackageDiff = _module("insight.diff").paired(package_diff(repo, before, after))
    return found


def advisories(repo: Path, commit: str, *, since: str | None = None) -> Sequence[Advisory]:
    """What a commit records; with `since` only what that commit does not."""
    found: Sequence[Advisory] = _module("insight.diff").advisories(repo, commit, since=since)
    return found


def changelogs(repo: Path, diff: PackageDiff, after: str) -> Mapping[str, Sequence[str]]:
    """New changelog entries by package name, each entry a text of several lines."""
    found: Mapping[str, Sequence[str]] = _module("insight.diff").changelogs(repo, diff, after)
    return found


# -- composes


def compose_tree(install: InstallRequest, commit: CommitRequest, progress: Progress) -> Composed:
    made: Composed = _module("compose.tree").run(install, commit, progress)
    return made


def compose_install(
    request: InstallRequest, dest: Path, progress: Progress, *, postprocess: bool
) -> Composed:
    made: Composed = _module("compose.install").run(
        request, dest, progress, postprocess=postprocess
    )
    return made


def compose_postprocess(root: Path, treefile: Path | None, progress: Progress) -> Composed:
    made: Composed = _module("compose.postprocess").run(root, treefile, progress)
    return made


def compose_commit(
    treefile: Path, root: Path, request: CommitRequest, progress: Progress
) -> Composed:
    made: Composed = _module("compose.commit").run(treefile, root, request, progress)
    return made


def compose_rootfs(request: InstallRequest, dest: Path, progress: Progress) -> Composed:
    made: Composed = _module("compose.rootfs").run(request, dest, progress)
    return made


def compose_extensions(request: ExtensionsRequest, progress: Progress) -> Composed:
    made: Composed = _module("compose.extensions").run(request, progress)
    return made


def treefile_json(treefile: Path) -> Json:
    """The expanded treefile, as `--print-only` shows it."""
    expanded: Json = _module("compose.treefiles").expanded(treefile)
    return expanded


# -- the daemon


def ping() -> Json | None:
    """What a daemon says of itself: {version, pid, uptime, transaction}; None without one."""
    found = link.ask()
    return None if found is None else dict(found)


def cancel(sysroot: Path, progress: Progress, say: Callable[[str], None]) -> bool:
    """Cancel what the daemon is doing and wait for its end; False when it is idle."""
    daemon = link.host(sysroot)
    running = None if daemon is None else daemon.active(progress)
    if running is None:
        return False
    say(f"Cancelling transaction: {running.title()}")
    running.stop()
    return True


def reload_config(sysroot: Path) -> None:
    if (daemon := link.host(sysroot)) is not None:
        daemon.reload_config()


def serve(sysroot: Path, *, bus: str, config: str, runtime: str) -> int:
    """Run the daemon to its end; empty texts are the defaults of a host."""
    main = _module("daemon.main")
    places = main.Places(sysroot=sysroot, bus=bus)
    return int(main.serve(places.with_paths(config=config, runtime=runtime)))

"""The worker process: carries out one job as root and reports through a pipe.

Started by the daemon as `python3 -m apt_ostree.daemon.worker FD` with the job on standard input.
It ends when the daemon does, and when it is told to stop it unwinds: mounts, children and
temporary trees go with it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from apt_ostree.daemon.job import Job
from apt_ostree.daemon.report import Reporter
from apt_ostree.errors import AptOstreeError, CancelledError
from apt_ostree.model.change import Change, Outcome
from apt_ostree.system import fs, signals

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Run the job; its result and its failure are both in the report, the status is 0 or 1."""
    reporter = Reporter(int(sys.argv[1]))
    os.set_inheritable(int(sys.argv[1]), False)
    _end_with_parent()
    job = Job.from_json(sys.stdin.read())
    try:
        with signals.unwinding(reporter.message):
            result = _VERBS[job.verb](job, reporter)
    except AptOstreeError as err:
        reporter.failed(err)
    except KeyboardInterrupt:
        reporter.failed(CancelledError())
    except ExceptionGroup as group:
        reporter.failed(AptOstreeError(str(group.exceptions[0])))
    except OSError as err:
        reporter.failed(fs.refusal(err) or _bug(err))
    except Exception as err:  # noqa: BLE001 - the process ends here; the daemon must know why
        reporter.failed(_bug(err))
    else:
        reporter.done(result)
        return 0
    return 1


def _bug(error: BaseException) -> AptOstreeError:
    traceback.print_exception(error)  # to the journal
    return AptOstreeError(
        f"internal error: {type(error).__name__}: {error}",
        hint="This is a bug in apt-ostree; journalctl -u apt-ostreed shows where it happened.",
    )


def _end_with_parent() -> None:
    """A daemon that is gone cannot cancel us; its end is a cancellation."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        raise SystemExit(1)  # it ended before that took effect


# -- the verbs


def _change(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import change, live

    carry_out = live.change if job.parameters.get("live") else change.run
    with _with_files(job) as edit:
        return carry_out(Path(job.sysroot), job.stateroot, edit, job.options, progress)


@contextmanager
def _with_files(job: Job) -> Iterator[Change]:
    """The change with the caller's files, copied: their owner could still write to them."""
    edit = job.change
    if job.repo is not None:
        edit = replace(edit, refspec=f"/proc/self/fd/{job.repo}:{edit.refspec}")
    with fs.scratch_dir("local") as folder:
        copied: dict[str, tuple[Path, ...]] = {}
        for attribute, fds in job.handles.items():
            copied[attribute] = tuple(_copy(fd, folder / f"{attribute}-{fd}.deb") for fd in fds)
        yield replace(edit, **copied)  # type: ignore[arg-type]  # keys are attributes of Change


def _copy(fd: int, to: Path) -> Path:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise AptOstreeError("a descriptor that was passed is not a regular file")
    with open(fd, "rb", closefd=False) as source, to.open("xb") as target:
        source.seek(0)
        shutil.copyfileobj(source, target)
    return to


def _register_driver(job: Job, progress: Reporter) -> Any:
    """The daemon has done it; a deployment was not asked for."""
    del job
    progress.message("Empty string revision found; registering update driver only")
    return Outcome(changed=False)


def _rollback(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import rollback

    return rollback.run(Path(job.sysroot), job.stateroot, progress, dry_run=job.options.dry_run)


def _finalize(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import finalize

    return finalize.run(
        Path(job.sysroot), job.stateroot, job.parameters["checksum"], progress,
        allow_unlocked=job.parameters["allow_unlocked"],
    )  # fmt: skip


def _live(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import live

    return live.run(Path(job.sysroot), progress, **job.parameters)


def _cleanup(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import cleanup

    return cleanup.run(
        Path(job.sysroot), job.stateroot, job.parameters["elements"], progress,
        dry_run=job.options.dry_run,
    )  # fmt: skip


def _refresh(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import metadata

    found = metadata.refresh(
        Path(job.sysroot), job.stateroot, job.parameters["force"], progress, dry_run=False
    )
    return [(s.id, s.generated, s.packages) for s in found]


def _search(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import offers

    return offers.search(Path(job.sysroot), job.stateroot, job.parameters["words"], progress)


def _packages(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import offers

    return offers.packages(Path(job.sysroot), job.stateroot, job.parameters["words"], progress)


def _providers(job: Job, progress: Reporter) -> Any:
    from apt_ostree.host import offers

    return offers.providers(Path(job.sysroot), job.stateroot, job.parameters["words"], progress)


def _sources(job: Job, progress: Reporter) -> Any:
    del progress
    from apt_ostree.host import offers

    return offers.listing(Path(job.sysroot), job.stateroot)


def _modify_source(job: Job, progress: Reporter) -> Any:
    del progress
    from apt_ostree.host import offers

    wanted = job.parameters
    offers.modify(Path(job.sysroot), job.stateroot, wanted["source"], wanted["settings"])


def _diff(job: Job, progress: Reporter) -> Any:
    del progress
    from apt_ostree.insight import diff

    repo = Path(job.sysroot) / "ostree/repo"
    return diff.packages(repo, job.parameters["from"], job.parameters["to"]).as_list()


_VERBS: Mapping[str, Callable[[Job, Reporter], Any]] = {
    "change": _change,
    "register-driver": _register_driver,
    "rollback": _rollback,
    "cleanup": _cleanup,
    "finalize": _finalize,
    "live": _live,
    "refresh": _refresh,
    "search": _search,
    "packages": _packages,
    "providers": _providers,
    "sources": _sources,
    "modify-source": _modify_source,
    "diff": _diff,
}

if __name__ == "__main__":
    sys.exit(main())

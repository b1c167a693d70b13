"""Get the packages of a plan into the cache: what is missing is downloaded, then imported."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.apt import fetch
from apt_ostree.apt.root import AptRoot
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.importer import Want
from apt_ostree.assemble.package_cache import PackageCache, Request
from apt_ostree.errors import FetchError
from apt_ostree.model.plan import Action, Plan, Step
from apt_ostree.model.progress import Progress, Timings


def obtain(
    plan: Plan,
    *,
    root: AptRoot | None,
    cache: PackageCache,
    archives: Path,
    cache_only: bool,
    want: Want | None = None,
    progress: Progress,
    timings: Timings,
) -> dict[str, Entry]:
    """Cache entries of everything the plan puts in, by `name:arch`.

    `want` overrides in which form each package is needed.  Files that users gave stay where they
    are; downloads are deleted once they are imported.  Raises FetchError, PackageError; the cache
    then is as before.
    """
    steps = [s for s in plan.steps if s.archive is not None]
    local = {s.archive.sha256: Path(s.archive.path) for s in steps if s.archive and s.archive.path}
    wants = {s.archive.sha256: want or _want(s) for s in steps if s.archive}
    missing = cache.missing(steps, wants=wants)
    wanted = [s.archive for s in missing if s.archive and s.archive.sha256 not in local]
    if wanted and cache_only:
        names = ", ".join(sorted(s.package.nevra for s in missing))
        raise FetchError(
            f"Found {len(wanted)} packages to download in cache-only mode: {names}",
            hint="run it once without --cache-only, or with --download-only",
        )
    with timings.phase("download"):
        fetched = fetch.fetch(root, wanted, archives, progress) if wanted and root else {}
    requests = {
        s.package.key: Request(
            local.get(s.archive.sha256) or fetched.get(s.archive.sha256) or Path("/nonexistent"),
            s.archive.sha256,
            s.package,
            want=wants[s.archive.sha256],
            source_id=s.archive.source_id,
        )
        for s in steps
        if s.archive
    }
    with timings.phase("import"):
        found = cache.ensure(list(requests.values()), progress=progress)
    for path in fetched.values():
        path.unlink(missing_ok=True)
    return {key: found[r.sha256] for key, r in requests.items()}


def _want(step: Step) -> Want:
    """Replacing an installed version is dpkg's work, which needs the .deb itself."""
    return Want.AUTO if step.action is Action.INSTALL else Want.ARCHIVE

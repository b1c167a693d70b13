"""Carry a plan out in a mounted tree: real dpkg runs every script, in the order that Policy asks.

Laid packages (`assemble.lay`) are there already; here dpkg removes, unpacks what must be unpacked
by itself, configures everything and runs triggers until none is pending.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.assemble import aliasing, lay, rules, strata, triggers
from apt_ostree.assemble.entry import Entry
from apt_ostree.assemble.lay import Choice
from apt_ostree.assemble.layout import DPKG
from apt_ostree.assemble.package_cache import PackageCache
from apt_ostree.errors import AptOstreeError, PackageError
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Action, Plan, ReasonKind, Verb
from apt_ostree.model.progress import Progress, Timings, task
from apt_ostree.sandbox.bwrap import Sandbox
from apt_ostree.sandbox.scripts import Dpkg
from apt_ostree.system import failpoint

# How dpkg may act while the Essential set has never been configured (as debootstrap does it).
_BOOTSTRAP = ("depends",)
# base-passwd makes the accounts, base-files the directories that the others rely on.
_BOOTSTRAP_FIRST = ("base-passwd", "base-files")


@dataclass(frozen=True, slots=True)
class Job:
    """One installation.  `entries` has every package of the plan that is put in; `choice` which
    of them are laid; `archives` is an empty directory for the .debs that dpkg reads;
    `overwrite` names packages that may replace files of others; `architectures` are foreign ones
    that dpkg has to know besides those it knows."""

    plan: Plan
    entries: Mapping[str, Entry]
    choice: Choice
    cache: PackageCache
    archives: Path
    debconf: Sequence[str] = ()
    overwrite: frozenset[str] = frozenset()
    architectures: Sequence[str] = ()


def essential_closure(plan: Plan, entries: Mapping[str, Entry]) -> frozenset[str]:
    """The Essential packages of a compose and everything they need, as `name:arch`."""
    roots = [s.package.key for s in plan.steps if s.reason.kind is ReasonKind.ESSENTIAL]
    return _graph(entries.values()).closure(roots)


def run(root: Path, job: Job, *, box: Sandbox, progress: Progress, timings: Timings) -> None:
    """Bring the mounted tree `root` to the plan.

    Raises ScriptError or PackageError as dpkg's failures are; the tree is to be thrown away then.
    """
    dpkg = Dpkg(box)
    known = dpkgdb.load(root / DPKG).arches
    for arch in job.architectures:
        if arch not in known:
            box.run(["dpkg", "--add-architecture", arch])
    _check_aliases(root, job)
    lay.register(root, job.choice)
    lay.prepare_state(root, (*job.choice.under, *job.choice.laid))
    failpoint.reach("install.before-scripts")
    with timings.phase("remove"):
        removed = [s.package.key for s in job.plan.of_action(Action.REMOVE)]
        if removed:
            dpkg.purge(removed)
            failpoint.reach("install.after-remove")
    essential = essential_closure(job.plan, job.entries)
    with timings.phase("bootstrap"):
        if essential:
            _bootstrap(dpkg, job, essential)
            failpoint.reach("install.after-bootstrap")
    if job.debconf:
        preseed(box, job.debconf)
    with timings.phase("unpack"), task(progress, "Unpacking packages"):
        _unpack(root, dpkg, job, configured=essential)
    failpoint.reach("install.after-unpack")
    with timings.phase("configure"), task(progress, "Running postinst scripts"):
        dpkg.configure()
    failpoint.reach("install.after-configure")
    with timings.phase("triggers"), task(progress, "Running triggers"):
        dpkg.triggers()
    failpoint.reach("install.after-scripts")
    for name in verify(root, job, dpkg):
        progress.message(f"note: {name} disappeared: other packages replaced all of its files")


def _check_aliases(root: Path, job: Job) -> None:
    moved = job.plan.of_action(Action.REMOVE, Action.UPGRADE, Action.DOWNGRADE)
    gone = {s.package.key for s in moved}
    new = [k for k in _unpack_order(job) if k in job.choice.slow and k not in gone | job.overwrite]
    entries = [job.entries[k] for k in new]
    aliasing.check(root, entries, laid=job.choice.laid, gone=gone)


def _bootstrap(dpkg: Dpkg, job: Job, essential: frozenset[str]) -> None:
    """Configure the Essential set, whose members rely on each other before any is configured.

    All their files are laid, also of those that dpkg unpacks now for the sake of their preinst.
    """
    first = [k for n in _BOOTSTRAP_FIRST for k in sorted(essential) if k.split(":")[0] == n]
    slow = [k for k in _unpack_order(job) if k in essential and k in job.choice.slow]
    slow.sort(key=lambda k: (k not in first,))
    for key in slow:
        if key in first:
            dpkg.unpack(_archives(job, [key]), force=_BOOTSTRAP)
    for key in first:
        dpkg.configure([key], force=_BOOTSTRAP)
    dpkg.unpack(_archives(job, [k for k in slow if k not in first]), force=_BOOTSTRAP)
    dpkg.configure(sorted(essential - set(first)), force=_BOOTSTRAP)


def _unpack(root: Path, dpkg: Dpkg, job: Job, *, configured: frozenset[str]) -> None:
    """Rounds are made of all packages, also those that are laid: what is configured before what
    decides the numbers of accounts, and must not depend on who placed the files."""
    order = [k for k in _unpack_order(job) if k not in configured]
    graph = _graph(job.entries.values())
    before = rules.read(root)
    did_run = False
    for ready, together in strata.rounds(order, graph, configured=configured):
        dpkg.configure(ready)
        triggers.activate(root / DPKG, [e for e in job.choice.laid if e.package.key in together])
        slow = [k for k in together if k in job.choice.slow]
        dpkg.unpack(_archives(job, [k for k in slow if k not in job.overwrite]))
        forced = [k for k in slow if k in job.overwrite]
        dpkg.unpack(_archives(job, forced), force=("overwrite",))
        late = []
        for key in together:
            did_run = did_run or bool(ready) or key in slow
            if did_run and key not in slow:
                late.append(job.entries[key])
        rules.follow(root, late, before=before)


def _unpack_order(job: Job) -> list[str]:
    return [op.key for op in job.plan.order if op.verb is Verb.UNPACK]


def _archives(job: Job, keys: Iterable[str]) -> list[Path]:
    found = []
    for key in keys:
        package = job.entries[key].package
        path = job.archives / f"{package.name}_{package.arch}.deb"
        os.link(job.cache.archive_path(job.entries[key]), path)
        found.append(path)
    return found


def _graph(entries: Iterable[Entry]) -> strata.Graph:
    needs = []
    for entry in entries:
        fields = dpkgdb.parse_status(entry.stanza, entry.package.nevra)[0]
        needs.append(
            strata.Needs(
                entry.package.key, entry.package.name,
                pre_depends=fields.get("Pre-Depends", ""), depends=fields.get("Depends", ""),
                provides=fields.get("Provides", ""),
            )
        )  # fmt: skip
    return strata.Graph(needs)


def preseed(box: Sandbox, answers: Sequence[str]) -> None:
    """Put answers (`PACKAGE QUESTION TYPE VALUE`) into debconf's database before its users ask."""
    lines = "".join(f"{a}\n" for a in answers)
    script = box.root / "var/tmp/apt-ostree-preseed"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(lines)
    try:
        box.run(["debconf-set-selections", "/var/tmp/apt-ostree-preseed"])
    finally:
        os.unlink(script)


def verify(root: Path, job: Job, dpkg: Dpkg) -> tuple[str, ...]:
    """The tree must run programs, dpkg must be content, and the set must be the solver's.

    Returns the packages that are gone without a trace, which is how dpkg takes away one whose
    files were all replaced (Policy 6.6, "disappear"); a failed one leaves its stanza.
    """
    dpkg.box.run(["true"])
    complaints = dpkg.audit()
    if complaints:
        raise PackageError("dpkg is left with unfinished packages", details=complaints)
    database = dpkgdb.load(root / DPKG)
    installed = {p.key: p for p in database.packages}
    known = {f"{s['Package']}:{s['Architecture']}" for s in database.stanzas}
    wanted: dict[str, Package | None] = {s.package.key: s.package for s in job.plan.steps}
    wanted.update({s.package.key: None for s in job.plan.of_action(Action.REMOVE)})
    disappeared = {k for k, package in wanted.items() if package is not None and k not in known}
    wrong = [
        f"{key}: {_shown(installed.get(key))} instead of {_shown(package)}"
        for key, package in wanted.items()
        if installed.get(key) != package and key not in disappeared
    ]
    if wrong:
        raise AptOstreeError(
            "Sanity-checking final rootfs: not the planned packages", details=wrong
        )
    return tuple(sorted(disappeared))


def _shown(package: Package | None) -> str:
    return "absent" if package is None else package.nevra

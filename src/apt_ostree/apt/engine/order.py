"""The order in which packages are unpacked, configured and removed: libapt's own.

`pkgPackageManager::OrderInstall` knows Pre-Depends, Essential and conflict loops.  It is asked
through a package manager that only writes down what it is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apt_pkg

from apt_ostree.apt.engine.view import View, package_of
from apt_ostree.errors import AptOstreeError
from apt_ostree.model.plan import Op, Verb


class _Recorder(apt_pkg.PackageManager):
    """Writes down each move; ends the run itself when everything was said.

    After the last move libapt would go on to `pkgDPkgPM::Go`, which runs dpkg and its hooks
    (python-apt cannot override it in apt 2.6).  A False from the last move stops it before that;
    `Dir::Bin::dpkg` is `/bin/true` in case it comes to it all the same.
    """

    # apt_pkg.PackageManager takes the DepCache in __new__ and passes it here too.
    def __init__(self, depcache: apt_pkg.DepCache) -> None:
        self.depcache = depcache
        self.ops: list[Op] = []
        self.left: set[tuple[Verb, int]] = set()

    def _note(self, verb: Verb, package: apt_pkg.Package) -> bool:
        gone = verb is Verb.REMOVE and package.current_ver
        version = gone or self.depcache.get_candidate_ver(package)
        assert version is not None
        self.ops.append(Op(verb, package_of(version).key))
        self.left.discard((verb, package.id))
        return bool(self.left)

    def install(self, pkg: apt_pkg.Package, _filename: str) -> bool:
        return self._note(Verb.UNPACK, pkg)

    def configure(self, pkg: apt_pkg.Package) -> bool:
        return self._note(Verb.CONFIGURE, pkg)

    def remove(self, pkg: apt_pkg.Package, _purge: bool) -> bool:  # noqa: FBT001 - libapt's
        return self._note(Verb.REMOVE, pkg)

    def go(self, _fd: int) -> bool:
        return True

    def reset(self) -> None:
        self.ops.clear()


def of_result(
    view: View,
    depcache: apt_pkg.DepCache,
    *,
    changed: Iterable[apt_pkg.Package],
    removed: Iterable[apt_pkg.Package],
) -> tuple[Op, ...]:
    """Every move, ending with each changed package configured and each removed one removed."""
    apt_pkg.config.set("PackageManager::Configure", "all")  # say every configure, not `-a`
    apt_pkg.config.set("PackageManager::ConfigureAll", "false")
    recorder: Any = _Recorder(depcache)  # python-apt's stubs lack do_install
    recorder.left = {(Verb.REMOVE, p.id) for p in removed}
    for package in changed:
        recorder.left |= {(Verb.UNPACK, package.id), (Verb.CONFIGURE, package.id)}
    if not recorder.left:
        return ()
    fetcher = apt_pkg.Acquire()
    # Tells libapt where the archives will lie; it orders only what it could get.
    recorder.get_archives(fetcher, view.source_list, view.records)
    try:
        recorder.do_install(-1)
    except apt_pkg.Error as err:
        if recorder.left:
            raise AptOstreeError(f"apt cannot order the packages: {err}") from err
    if recorder.left:
        left = {number for _, number in recorder.left}
        names = sorted(p.name for p in view.cache.packages if p.id in left)
        raise AptOstreeError(f"apt gave no order for: {', '.join(names)}")
    return tuple(recorder.ops)

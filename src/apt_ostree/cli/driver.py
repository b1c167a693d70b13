"""Leave updates to the program that has taken them over, unless told otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from apt_ostree.cli.options import Args
from apt_ostree.cli.session import Session
from apt_ostree.errors import AptOstreeError

if TYPE_CHECKING:
    from apt_ostree.wire.driver import UpdateDriver

RUNTIME = Path("/run")
_AT_WORK = ("active", "activating", "reloading", "failed")


def current(sysroot: Path) -> UpdateDriver | None:
    """The driver of the running system; another root has none."""
    if sysroot != Path("/") or not (RUNTIME / "apt-ostree/update-driver.gv").exists():
        return None
    from apt_ostree.wire import driver

    return driver.load(RUNTIME)


def check(args: Args, session: Session) -> None:
    """Raises AptOstreeError where a driver is at work that is not the caller itself."""
    if args.flag("bypass-driver"):
        return
    found = current(session.sysroot(args))
    if found is None or _own_unit() == found.unit:
        return
    unit = show(found.unit)
    if unit.get("ActiveState") not in _AT_WORK:
        return
    documentation = unit.get("Documentation", "").split()
    where = f" at {', '.join(documentation)}" if documentation else ""
    raise AptOstreeError(
        f"Updates and deployments are driven by {found.name} ({found.unit})",
        details=(
            f"See {found.name}'s documentation{where}",
            f"Use --bypass-driver to bypass {found.name} and perform the operation anyways",
        ),
    )


def state(driver: UpdateDriver) -> str:
    """What `status` says of it: the state of its unit, and what the unit says of itself."""
    unit = show(driver.unit)
    return "; ".join(t for t in (unit.get("ActiveState", ""), unit.get("StatusText", "")) if t)


def show(unit: str) -> Mapping[str, str]:
    from apt_ostree.system import units  # not for every start

    return units.show(unit, ("ActiveState", "StatusText", "Documentation"))


def _own_unit() -> str:
    from apt_ostree.system.cgroup import unit_of

    return unit_of(os.getpid())

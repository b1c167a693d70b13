"""What the deployments of a sysroot need kept in the repository.

libostree keeps deployed commits alive by itself.  What it does not know of: the base commit that a
layered one was built on, and the cached packages that the next build would otherwise fetch again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apt_ostree.apt import dpkgdb
from apt_ostree.errors import AptOstreeError
from apt_ostree.model import origin as origins
from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.ostree.repo import Repo
from apt_ostree.ostree.sysroot import Deployment, Sysroot

BASE_PREFIX = "aptostree/base"
CLIENT_LAYER = "aptostree.clientlayer"
DATABASE = Path("usr/lib/sysimage/dpkg")
SIZES = ("kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Freed:
    """What a clean-up deleted.  `commits` counts commit objects, `packages` cached packages."""

    bytes: int = 0
    packages: int = 0
    commits: int = 0

    @property
    def amount(self) -> str:
        return f"{size_text(self.bytes)} (pkgcache branches: {self.packages})"

    def __str__(self) -> str:
        return f"Freed: {self.amount}"


def size_text(count_bytes: int) -> str:
    """`1.2 MB`: decimal units with one digit, as `g_format_size` prints."""
    if abs(count_bytes) < 1000:
        return f"{count_bytes} byte{'' if count_bytes == 1 else 's'}"
    value = float(count_bytes)
    for unit in SIZES:
        value /= 1000
        if abs(value) < 999.95 or unit == SIZES[-1]:
            break
    return f"{value:.1f} {unit}"


@dataclass(frozen=True, slots=True)
class Needs:
    """`bases` are the base commits of layered deployments, in boot order; `packages` every package
    of every deployment; `local` the SHA-256 of every .deb that an origin names, active or not."""

    bases: tuple[str, ...]
    packages: frozenset[Package]
    local: frozenset[str]


def needs(sysroot: Sysroot, deployments: Iterable[Deployment] | None = None) -> Needs:
    """What `deployments` (default: all of the sysroot) need.

    Raises AptOstreeError when one of them cannot be read: taking that for "needs nothing" would
    delete what the next build wants.  Cost: 20 us a package.
    """
    repo = sysroot.repo
    bases: list[str] = []
    packages: set[Package] = set()
    local: set[str] = set()
    for deployment in sysroot.deployments if deployments is None else deployments:
        base = base_of(repo, deployment.checksum)
        if base is not None:
            bases.append(base)
        packages.update(_packages(deployment, is_layered=base is not None))
        local.update(p.sha256 for p in origin_of(deployment).all_local)
    return Needs(tuple(dict.fromkeys(bases)), frozenset(packages), frozenset(local))


def base_of(repo: Repo, checksum: str) -> str | None:
    """The commit that a layered one was built on; None for a commit that is a base itself."""
    commit = repo.commit(checksum)
    return commit.parent if commit.get(CLIENT_LAYER) else None


def origin_of(deployment: Deployment) -> Origin:
    """Raises OriginError naming the deployment; no origin file at all is an empty origin."""
    if not deployment.origin.strip():
        return Origin()
    return origins.parse(deployment.origin, source=f"the origin of {deployment.id}")


def _packages(deployment: Deployment, *, is_layered: bool) -> tuple[Package, ...]:
    admindir = deployment.directory / DATABASE
    if not is_layered and not (admindir / "status").exists():
        return ()  # nothing was built here, and a foreign system may have no dpkg at all
    try:
        return dpkgdb.packages(admindir)
    except (AptOstreeError, OSError) as err:
        raise AptOstreeError(
            f"cannot read the packages of deployment {deployment.id}: {err}",
            hint="nothing was cleaned up; remove that deployment first: ostree admin undeploy "
            f"{deployment.index}",
        ) from err


def base_refs(repo: Repo, bases: Iterable[str]) -> dict[str, str | None]:
    """What must be set so that `aptostree/base/N` name exactly `bases`; None removes a ref.

    Derived data: a crash before or after leaves refs that the next call makes right.
    """
    wanted = {f"{BASE_PREFIX}/{n}": checksum for n, checksum in enumerate(bases)}
    present = repo.refs(BASE_PREFIX)
    changed = {ref: checksum for ref, checksum in wanted.items() if present.get(ref) != checksum}
    return {**dict.fromkeys(sorted(present.keys() - wanted.keys())), **changed}

"""The deployments of a sysroot as the dictionaries that JSON and D-Bus carry.

The keys are a contract with scripts.  Nothing here needs apt: a user calls it to see whether
anything is wrong, and it must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apt_ostree.errors import AptOstreeError, OriginError, OstreeError, TrustError
from apt_ostree.host import live_state
from apt_ostree.model import origin as origins
from apt_ostree.model.deployment import package_from_tuple
from apt_ostree.model.origin import LocalPackage, Origin
from apt_ostree.ostree import signature
from apt_ostree.ostree.glib import unpack
from apt_ostree.ostree.repo import Commit, Repo
from apt_ostree.ostree.sysroot import LOCK, Deployment, Sysroot

Json = dict[str, Any]
LISTS = ("aptostree.rpmdb.pkglist", "aptostree.advisories")
# Metadata of a layered commit that the dictionary holds under names of its own.
PROMOTED = (
    "aptostree.packages", "aptostree.modules", "aptostree.spec",
    "aptostree.removed-base-packages", "aptostree.replaced-base-packages",
    "aptostree.replaced-base-remote-packages",
)  # fmt: skip
_FILTERED = frozenset((*LISTS, *PROMOTED))


def status(sysroot_path: Path) -> Json:
    """The object that `status --json` prints.

    A transaction, a cached update and an update driver belong to the daemon; without one there is
    none.
    """
    return {
        "deployments": deployments(sysroot_path),
        "transaction": None,
        "cached-update": None,
        "update-driver": None,
    }


def deployments(sysroot_path: Path) -> list[Json]:
    """Every deployment in boot order.  Cost: about 1 ms each, 20 ms where GPG is asked."""
    sysroot = Sysroot.open(sysroot_path)
    return [describe(sysroot.repo, d) for d in sysroot.deployments]


def describe(repo: Repo, deployment: Deployment, *, has_lists: bool = False) -> Json:
    """One deployment; `has_lists` leaves the commit metadata whole (history keeps it so).

    An origin that cannot be read shows as `origin-error`: the system still boots, and the user
    must see which deployment is meant.
    """
    commit = repo.commit(deployment.checksum)
    base = _base(repo, commit)
    out: Json = {
        "id": deployment.id,
        "osname": deployment.osname,
        "serial": deployment.serial,
        "checksum": deployment.checksum,
        "booted": deployment.booted,
        "staged": deployment.staged,
        "pinned": deployment.pinned,
        "unlocked": deployment.unlocked,
        **_of_commit(commit),
    }
    if deployment.staged and LOCK.exists():
        out["finalization-locked"] = True
    out.update(_live(repo, deployment))
    hidden = frozenset() if has_lists else _FILTERED
    if _is_layered(commit):
        out["base-checksum"] = commit.parent
        if base is not None:
            out.update((f"base-{key}", value) for key, value in _of_commit(base).items())
        out["layered-commit-meta"] = _metadata(commit, hidden)
    out["base-commit-meta"] = {} if base is None else _metadata(base, hidden)
    if base is not None and (text := base.get("ostree.endoflife")) is not None:
        out["endoflife"] = text
    out.update(_active(commit))
    origin, error = _origin(deployment)
    if error is not None:
        out["origin-error"] = error
    out.update(_requests(origin))
    if inactive := _inactive_files(commit, origin):
        out["inactive-local-packages"] = inactive
    out.update(_source(repo, origin, commit if base is None else base))
    return out


def _live(repo: Repo, deployment: Deployment) -> Json:
    if not deployment.booted:
        return {}
    now = live_state.of(repo, deployment)
    found = {"live-inprogress": now.in_progress, "live-replaced": now.applied}
    return {key: checksum for key, checksum in found.items() if checksum is not None}


def _is_layered(commit: Commit) -> bool:
    return bool(commit.get("aptostree.clientlayer")) and commit.parent is not None


def _base(repo: Repo, commit: Commit) -> Commit | None:
    """The base of a layered commit, the commit itself otherwise; None when it was pruned."""
    if not _is_layered(commit) or commit.parent is None:
        return commit
    return repo.commit(commit.parent) if repo.has_commit(commit.parent) else None


def _of_commit(commit: Commit) -> Json:
    version = commit.version
    return {"timestamp": commit.timestamp} | ({} if version is None else {"version": version})


def _metadata(commit: Commit, hidden: frozenset[str]) -> Json:
    """Commit metadata but for `hidden`, which stays packed: package lists are large."""
    values = commit.variant.get_child_value(0)
    out: Json = {}
    for at in range(values.n_children()):
        pair = values.get_child_value(at)
        key = pair.get_child_value(0).get_string()
        if key not in hidden:
            out[key] = unpack(pair.get_child_value(1).get_variant())
    return out


def _active(commit: Commit) -> Json:
    """What the build made of the requests."""
    return {
        "packages": commit.get("aptostree.packages") or [],
        "base-removals": commit.get("aptostree.removed-base-packages") or [],
        "base-local-replacements": commit.get("aptostree.replaced-base-packages") or [],
        "base-remote-replacements": commit.get("aptostree.replaced-base-remote-packages") or {},
    }


def _origin(deployment: Deployment) -> tuple[Origin, str | None]:
    if not deployment.origin.strip():
        return Origin(), None
    try:
        return origins.parse(deployment.origin, source=f"the origin of {deployment.id}"), None
    except OriginError as err:
        return Origin(), err.message


def _inactive_files(commit: Commit, origin: Origin) -> list[str]:
    """Local packages without effect, since the base has a package of that name itself."""
    names = _names((*origin.local, *origin.local_fileoverride))
    if not names or not _is_layered(commit):
        return names
    rows = commit.get(LISTS[0]) or []
    present = {package_from_tuple(("", *row)).nevra for row in rows}
    return [n for n in names if rows and n not in present]


def _names(packages: tuple[LocalPackage, ...]) -> list[str]:
    return [p.nevra for p in packages]


def _requests(origin: Origin) -> Json:
    out: Json = {
        "requested-packages": list(origin.requested),
        "requested-local-packages": _names(origin.local),
        "requested-local-fileoverride-packages": _names(origin.local_fileoverride),
        "requested-base-removals": list(origin.override_remove),
        "requested-base-local-replacements": _names(origin.override_local),
        "regenerate-initramfs": origin.regenerate_initramfs,
    }
    if origin.override_remote:
        out["requested-base-remote-replacements"] = [
            [r.source, list(r.packages)] for r in origin.override_remote
        ]
    if origin.initramfs_args:
        out["initramfs-args"] = list(origin.initramfs_args)
    if origin.initramfs_etc:
        out["initramfs-etc"] = list(origin.initramfs_etc)
    if origin.cliwrap:
        out["cliwrap"] = True
    return out


def _source(repo: Repo, origin: Origin, base: Commit) -> Mapping[str, Any]:
    """Where the base comes from, whether it is signed, and what else its ref names by now."""
    out: Json = {}
    if origin.custom_url is not None:
        out["custom-origin"] = [origin.custom_url, origin.custom_description or ""]
    if origin.container_image is not None:
        out["container-image-reference"] = origin.container_image
        if (digest := base.get("ostree.manifest-digest")) is not None:
            out["container-image-reference-digest"] = digest
        return out
    if origin.refspec is None:
        return out
    out["origin"] = origin.refspec
    if origin.remote is not None:
        out.update(trust(repo, base.checksum, origin.remote))
    if not origin.is_checksum:
        out.update(_pending(repo, origin.refspec, base))
    return out


def trust(repo: Repo, checksum: str, remote: str) -> Json:
    """Whether commits of `remote` must be signed, and how this one is."""
    try:
        is_verified = signature.is_required(repo, remote)
    except OstreeError as err:
        return {"remote-error": err.message}
    out: Json = {"gpg-enabled": is_verified}
    if is_verified:
        try:
            found = signature.verify(repo, checksum, remote)
        except (TrustError, OstreeError):
            found = None  # no verdict; `status` shows the commit as unsigned
        if found is not None:
            out["signatures"] = [list(s) for s in found]
    return out


def _pending(repo: Repo, refspec: str, base: Commit) -> Json:
    checksum = repo.lookup(refspec)
    if checksum is None or checksum == base.checksum:
        return {}
    out: Json = {"pending-base-checksum": checksum}
    try:
        newer = repo.commit(checksum)
    except AptOstreeError:
        return out  # the ref was written, its commit object is gone
    out.update((f"pending-base-{key}", value) for key, value in _of_commit(newer).items())
    return out

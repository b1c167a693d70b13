"""One deployment as the block of `status` and `history`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apt_ostree.cli.render import diff as diffs
from apt_ostree.cli.render import text
from apt_ostree.cli.render.output import Style
from apt_ostree.cli.render.units import timestamp
from apt_ostree.model.deployment import Deployment, Replacement
from apt_ostree.model.package_diff import Advisory, PackageDiff


@dataclass(frozen=True, slots=True)
class BlockContext:
    """What a block shows beyond the deployment itself."""

    index: int | None = None  # shown with `verbose`
    is_verbose: bool = False
    is_first: bool = False
    shows_stateroot: bool = False
    has_live: bool = False  # some deployment has live changes
    marker: str = "  "
    pending_diff: PackageDiff | None = None
    advisories: tuple[Advisory, ...] = ()
    expands_advisories: bool = False
    live_diffs: Mapping[str, PackageDiff] = field(default_factory=dict)


def block(deployment: Deployment, context: BlockContext, style: Style) -> Iterator[str]:
    """The lines of one deployment, keys in the order of the contract."""
    index = f" (index: {context.index})" if context.is_verbose and context.index is not None else ""
    yield f"{context.marker}{source_name(deployment)}{index}"
    yield from _identity(deployment, style)
    yield from _commits(deployment, context, style)
    yield from _live(deployment, context, style)
    if context.is_verbose and (deployment.is_staged or context.is_first):
        yield text.key_value("Staged", "yes" if deployment.is_staged else "no")
    if context.is_verbose or context.shows_stateroot:
        yield text.key_value("StateRoot", deployment.osname)
    if deployment.is_gpg_enabled:
        yield from signatures(deployment.signatures, is_verbose=context.is_verbose)
    elif deployment.is_gpg_enabled is False:
        # Whoever switched the check off shall see it, and so shall everybody after.
        yield style.red(text.key_value("GPGSignature", "(not checked, gpg-verify=false)"))
    yield from _pending(context, style)
    yield from _overrides(deployment, context, style)
    yield from _packages(deployment, context, style)
    yield from _boot(deployment, style)
    if deployment.is_pinned:
        yield text.key_value("Pinned", "yes")
    if deployment.unlocked != "none":
        yield style.red(text.key_value("Unlocked", deployment.unlocked))
    if deployment.end_of_life:
        yield style.red(text.key_value("EndOfLife", deployment.end_of_life))


def source_name(deployment: Deployment) -> str:
    """Where the tree comes from, as users know it."""
    custom = deployment.custom_origin
    if image := deployment.container_image:
        if deployment.container_digest is None:
            return f"{image} (error fetching image metadata)"
        return custom[0] if custom and "@sha256:" in image else image
    if not deployment.origin:
        return deployment.checksum
    return custom[0] if custom and is_checksum(deployment.origin) else deployment.origin


def is_checksum(text_: str) -> bool:
    return len(text_) == 64 and all(c in "0123456789abcdef" for c in text_)


def _identity(deployment: Deployment, style: Style) -> Iterator[str]:
    if deployment.container_digest:
        yield text.key_value("Digest", deployment.container_digest)
    elif deployment.custom_origin:
        yield text.key_value("CustomOrigin", deployment.custom_origin[1])
    if deployment.remote_error:
        yield style.red(text.key_value("OstreeRemoteStatus", deployment.remote_error))
    if deployment.origin_error:
        yield style.red(text.key_value("OriginError", deployment.origin_error))
    if title := deployment.meta.get("ostree.source-title"):
        yield f"  {style.last_branch}{title}"
    yield version_line(
        deployment.version,
        deployment.base_timestamp if deployment.is_layered else deployment.timestamp,
        style,
    )


def version_line(
    version: str | None, when: int | None, style: Style, *, width: int = text.BLOCK_WIDTH
) -> str:
    if version:
        value = f"{style.bold(version)} ({timestamp(when)})"
        return text.key_value("Version", value, width=width)
    return text.key_value("Timestamp", timestamp(when), width=width)


def _commits(deployment: Deployment, context: BlockContext, style: Style) -> Iterator[str]:
    is_booted_live = deployment.is_booted and deployment.is_live
    shows_base = context.is_verbose or deployment.container_image is None
    prefix = "Booted" if is_booted_live else ""
    if deployment.base_checksum is not None:
        if shows_base:
            yield text.key_value(f"{prefix}BaseCommit", deployment.base_checksum)
            if context.is_verbose:
                yield from _sources(deployment.base_meta, style)
        if context.is_verbose or context.has_live:
            yield text.key_value("Commit", deployment.checksum)
            if context.is_verbose:
                yield from _sources(deployment.layered_meta, style)
    elif shows_base:
        yield text.key_value(f"{prefix}Commit", deployment.checksum)
        if context.is_verbose:
            yield from _sources(deployment.base_meta, style)


def _sources(meta: Mapping[str, Any] | None, style: Style) -> Iterator[str]:
    """The apt sources that a commit was made from, with the times of their metadata."""
    sources = (meta or {}).get("aptostree.rpmmd-repos", ())
    items = [f"{s.get('id')} ({timestamp(s.get('timestamp'))})" for s in sources]
    yield from (text.continuation(line) for line in text.tree("", items, style))


def _live(deployment: Deployment, context: BlockContext, style: Style) -> Iterator[str]:
    for key, commit in (
        ("InterruptedLiveCommit", deployment.live_in_progress),
        ("LiveCommit", deployment.live_replaced),
    ):
        if commit:
            line = text.key_value(key, commit)
            yield style.red(line) if deployment.is_booted else line
    if deployment.is_live and (diff := context.live_diffs.get(deployment.id)):
        if context.is_verbose:
            yield from diffs.aligned(diff, width=text.BLOCK_WIDTH, prefix="Live")
        else:
            yield text.key_value("LiveDiff", diffs.summary(diff))


def signatures(
    found: Sequence[Any] | None, *, is_verbose: bool, width: int = text.BLOCK_WIDTH
) -> Iterator[str]:
    """Each signature is libostree's attribute tuple (ostree-gpg-verify-result.h)."""
    if not found:
        yield text.key_value("GPGSignature", "(unsigned)", width=width)
        return
    if not is_verbose:
        yield from text.lines_of("GPGSignature", (_verdict(s) for s in found), width=width)
        return
    count = f"{len(found)} signature{'' if len(found) == 1 else 's'}"
    described = [line for s in found for line in _described(s)]
    yield from text.lines_of("GPGSignature", (count, *described), width=width)


_VALID, _KEY_MISSING, _FINGERPRINT, _TIMESTAMP, _ALGORITHM = 0, 4, 5, 6, 8
_USER_NAME, _USER_EMAIL = 10, 11


def _verdict(signature: Sequence[Any]) -> str:
    fingerprint = signature[_FINGERPRINT]
    if signature[_KEY_MISSING]:
        return f"Can't check signature: public key {fingerprint} not found"
    return f"{'Valid' if signature[_VALID] else 'Invalid'} signature by {fingerprint}"


def _described(signature: Sequence[Any]) -> Iterator[str]:
    made = timestamp(signature[_TIMESTAMP])
    key = f"{signature[_ALGORITHM]} key ID {signature[_FINGERPRINT][-16:]}"
    yield f"Signature made {made} using {key}"
    if signature[_KEY_MISSING]:
        yield "Can't check signature: public key not found"
        return
    verdict = "Good" if signature[_VALID] else "BAD"
    yield f'{verdict} signature from "{signature[_USER_NAME]} <{signature[_USER_EMAIL]}>"'


def _pending(context: BlockContext, style: Style) -> Iterator[str]:
    yield from advisories(
        context.advisories, style, expands=context.expands_advisories, width=text.BLOCK_WIDTH
    )
    if not context.pending_diff:
        return
    if context.is_verbose:
        yield from diffs.aligned(context.pending_diff, width=text.BLOCK_WIDTH)
    else:
        yield text.key_value("Diff", diffs.summary(context.pending_diff))


def advisories(
    found: Sequence[Advisory], style: Style, *, expands: bool, width: int
) -> Iterator[str]:
    if not expands:
        if short := diffs.advisory_summary(found):
            yield style.red(text.key_value("SecAdvisories", short, width=width))
        return
    is_first = True
    for line, is_row in diffs.advisory_rows(found, width=width):
        if not is_row:
            yield line
        elif is_first:
            yield text.key_value("SecAdvisories", line, width=width)
            is_first = False
        else:
            yield text.continuation(line, width=width)


def _overrides(deployment: Deployment, context: BlockContext, style: Style) -> Iterator[str]:
    removed = _grouped([(p.name, p.evr) for p in deployment.base_removals])
    yield from text.value_list("RemovedBasePackages", removed, style)
    names = {p.name for p in deployment.base_removals}
    if context.is_verbose:
        yield from _inactive(
            "InactiveBaseRemovals", set(deployment.requested_base_removals) - names, style
        )
    local = deployment.local_replacements
    yield from text.value_list("LocalOverrides", _grouped([_change(r) for r in local]), style)
    if context.is_verbose:
        active = {r.new.nevra for r in local}
        missing = set(deployment.requested_local_replacements) - active
        yield from _inactive("InactiveLocalOverrides", missing, style)
    for source, replaced in deployment.remote_replacements:
        items = [" ".join(_change(r)) for r in replaced]
        yield from text.lines_of("RemoteOverrides", text.tree(source, items, style))
    if context.is_verbose:
        remote = dict(deployment.remote_replacements)
        for source, requested in deployment.requested_remote_replacements:
            active = {r.new.name for r in remote.get(source, ())}
            if items := sorted(set(requested) - active):
                yield from text.lines_of("InactiveRemoteOverrides", text.tree(source, items, style))


def _change(replacement: Replacement) -> tuple[str, str]:
    return replacement.new.name, f"{replacement.old.evr} -> {replacement.new.evr}"


def _grouped(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """`name1 name2 EVR`: names that share a version stand together (one source package)."""
    groups: dict[str, list[str]] = {}
    for name, version in pairs:
        groups.setdefault(version, []).append(name)
    return [" ".join([*sorted(names), version]) for version, names in groups.items()]


def _inactive(key: str, items: set[str], style: Style) -> Iterator[str]:
    return text.value_list(key, text.quote_all(sorted(items)), style)


def _packages(deployment: Deployment, context: BlockContext, style: Style) -> Iterator[str]:
    if context.is_verbose:
        inactive = set(deployment.requested_packages) - set(deployment.packages)
        inactive.update(deployment.inactive_local)
        yield from _inactive("InactiveRequests", inactive, style)
    for key, items in (
        ("LayeredPackages", deployment.packages),
        ("LocalPackages", deployment.requested_local),
        ("LocalForcedPackages", deployment.requested_local_forced),
    ):
        active = [i for i in items if i not in deployment.inactive_local]
        yield from text.value_list(key, text.quote_all(active), style)


def _boot(deployment: Deployment, style: Style) -> Iterator[str]:
    if deployment.regenerate_initramfs:
        # rpm-ostree ends the list with a blank; scripts that compare the line rely on it
        args = "".join(f"{text.quote(a)} " for a in deployment.initramfs_args)
        yield text.key_value("Initramfs", args or "regenerate")
    if deployment.is_cliwrap:
        yield text.key_value("Cliwrap", "enabled")
    yield from text.value_list("InitramfsEtc", text.quote_all(deployment.initramfs_etc), style)

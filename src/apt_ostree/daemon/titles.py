"""The title of a transaction: what `status` shows while it runs."""

from __future__ import annotations

from apt_ostree.wire.decode import Request

_FIXED = {
    "SetInitramfsState": "initramfs",
    "InitramfsEtc": "initramfs-etc",
    "KernelArgs": "kargs",
}
_AUTOMATIC = "--trigger-automatic-update-policy"


def of_request(method: str, request: Request) -> str:
    """The command line that asked, where one is given; else a summary of the request."""
    if command := request.options.command_line:
        return "automatic (stage)" if _AUTOMATIC in command else command
    if method in _FIXED:
        return _FIXED[method]
    change, options = request.change, request.options
    handles = request.handles or {}
    title = _verb(request)
    if options.cache_only:
        title += " (cache only)"
    elif options.only_check:
        title += " (check only)"
    elif options.download_only:
        title += " (download only)"
    counts = (
        ("uninstall", len(change.uninstall)),
        ("install", len(change.install)),
        ("localinstall", len(handles.get("install_local", ()))),
        ("fileoverride localinstall", len(handles.get("install_fileoverride_local", ()))),
    )
    return "; ".join([title, *(f"{what}: {count}" for what, count in counts if count)])


def _verb(request: Request) -> str:
    change, handles = request.change, request.handles or {}
    if change.refspec is not None:
        return "rebase"
    if change.revision is not None:
        return "deploy"
    if (
        change.override_remove
        or change.override_reset
        or change.override_replace_from
        or change.no_overrides
        or "override_replace_local" in handles
    ):
        return "override"
    if change.pull_base:
        return "upgrade"
    if change.install or handles:
        return "install"
    return "uninstall"

"""Who may do what: polkit decides, by the credentials that the bus gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apt_ostree.daemon.exported import Caller, NotAllowedError
from apt_ostree.daemon.flow import Waiting
from apt_ostree.errors import AptOstreeError
from apt_ostree.wire import names, remote
from apt_ostree.wire.glib import Gio, GLib

_DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_POLKIT = (
    "org.freedesktop.PolicyKit1",
    "/org/freedesktop/PolicyKit1/Authority",
    "org.freedesktop.PolicyKit1.Authority",
)
_INTERACTIVE = 1  # PolkitCheckAuthorizationFlags
_PATIENCE_MS = 5 * 60 * 1000  # somebody may be typing a password
_CLIENTS = "client-management"

# Actions of methods that always need the same ones; the rest see `of_update`.
ACTIONS: Mapping[str, str] = {
    "AutomaticUpdateTrigger": "upgrade", "Upgrade": "upgrade",
    "Deploy": "deploy", "Rebase": "rebase",
    "Rollback": "rollback", "ClearRollbackTarget": "rollback",
    "PkgChange": "install-uninstall-packages",
    "SetInitramfsState": "bootconfig", "InitramfsEtc": "bootconfig", "KernelArgs": "bootconfig",
    "Cleanup": "cleanup", "ModifyYumRepo": "repo-modify",
    "FinalizeDeployment": "finalize-deployment", "ReloadConfig": "reload-daemon",
    "RegisterClient": _CLIENTS, "UnregisterClient": _CLIENTS,
    **dict.fromkeys(
        ("GetDeploymentsRpmDiff", "GetCachedDeployRpmDiff", "DownloadDeployRpmDiff",
         "GetCachedUpdateRpmDiff", "DownloadUpdateRpmDiff", "GetCachedRebaseRpmDiff",
         "DownloadRebaseRpmDiff", "RefreshMd"),
        "repo-refresh",
    ),
}  # fmt: skip


def of_update(modifiers: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[str, ...]:
    """Every action that an UpdateDeployment call needs, by what it names.

    Presence counts, not truth: a list that is empty was still asked for.
    """
    needed: list[str] = []
    if options.get("no-layering") or _any(modifiers, "install-packages", "uninstall-packages",
                                          "install-modules", "uninstall-modules",
                                          "enable-modules", "disable-modules", "treefile",
                                          "debconf", "architectures"):  # fmt: skip
        needed.append("install-uninstall-packages")
    if _any(modifiers, "install-local-packages", "install-fileoverride-packages",
            "install-fileoverride-local-packages",
            "install-local-fileoverride-packages"):  # fmt: skip
        needed.append("install-local-packages")
    if options.get("no-overrides") or _any(
        modifiers, "override-remove-packages", "override-reset-packages",
        "override-replace-packages", "override-replace-local-packages", "treefile",
    ):  # fmt: skip
        needed.append("override")
    if options.get("no-initramfs"):
        needed.append("bootconfig")
    if _any(modifiers, "set-refspec", "ex-local-repo-remote"):
        needed.append("rebase")
    if _any(modifiers, "set-revision"):
        needed.append("deploy")
    moves = {"rebase", "deploy"} & set(needed)
    if not moves and not options.get("no-pull-base"):
        needed.append("upgrade")
    return tuple(needed) or ("override",)


def _any(values: Mapping[str, Any], *keys: str) -> bool:
    return any(key in values for key in keys)


class Authority:
    """Asks polkit on the bus that the daemon serves."""

    def __init__(self, bus: Gio.DBusConnection) -> None:
        self._bus = bus

    async def uid(self, name: str) -> int:
        """The user behind a bus name, as the bus knows it."""
        body = GLib.Variant("(s)", (name,))
        answer = await self._ask(_DBUS, "GetConnectionUnixUser", body, "(u)")
        return int(answer[0])

    async def pid(self, name: str) -> int:
        body = GLib.Variant("(s)", (name,))
        answer = await self._ask(_DBUS, "GetConnectionUnixProcessID", body, "(u)")
        return int(answer[0])

    async def require(self, caller: Caller, kind: str, method: str, actions: Iterable[str]) -> None:
        """Raises NotAllowedError unless the caller is root or polkit allows every action."""
        if await self.uid(caller.name) == 0:
            return
        subject = ("system-bus-name", {"name": GLib.Variant("s", caller.name)})
        for action in actions:
            if not await self._check(subject, action):
                raise NotAllowedError(f"apt-ostreed {kind} operation {method} not allowed for user")

    async def require_root(self, caller: Caller, kind: str, method: str) -> None:
        """For what no polkit action is for; the bus policy says the same."""
        if await self.uid(caller.name) != 0:
            raise NotAllowedError(f"apt-ostreed {kind} operation {method} not allowed for user")

    async def require_peer(self, credentials: Gio.Credentials, action: str) -> None:
        """The same for a private connection, by its kernel-checked credentials."""
        uid = credentials.get_unix_user()
        if uid == 0:
            return
        subject = (
            "unix-process",
            {
                "pid": GLib.Variant("u", credentials.get_unix_pid()),
                "start-time": GLib.Variant("t", 0),  # polkit looks it up
                "uid": GLib.Variant("i", uid),
            },
        )
        if not await self._check(subject, action):
            raise NotAllowedError(f"apt-ostreed operation {action} not allowed for user")

    async def _check(self, subject: tuple[str, dict[str, GLib.Variant]], action: str) -> bool:
        flags = 0 if action == _CLIENTS else _INTERACTIVE
        body = GLib.Variant(
            "((sa{sv})sa{ss}us)", (subject, f"{names.PREFIX}.{action}", {}, flags, "")
        )
        try:
            answer = await self._ask(_POLKIT, "CheckAuthorization", body, "((bba{ss}))")
        except AptOstreeError as err:
            raise NotAllowedError(f"Authorization error: {err.message}") from err
        return bool(answer[0][0])

    async def _ask(
        self, target: tuple[str, str, str], method: str, body: GLib.Variant, reply: str
    ) -> Any:
        def begin(resume: Any) -> None:
            def finish(bus: Gio.DBusConnection, result: Gio.AsyncResult) -> None:
                try:
                    answer = bus.call_finish(result)
                except GLib.Error as err:
                    resume(None, AptOstreeError(remote.describe(err)[1]))
                else:
                    resume(answer.unpack(), None)

            self._bus.call(
                *target, method, body, GLib.VariantType(reply), Gio.DBusCallFlags.NONE,
                _PATIENCE_MS, None, finish,
            )  # fmt: skip

        return await Waiting(begin)

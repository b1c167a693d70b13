"""Every command by name: where it is written, what `--help` says of it, whether it is shown.

Help of the program, completion and the checks of the man pages read this table; a command's own
module is imported only when the command is wanted.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from apt_ostree.cli.command import Command


@dataclass(frozen=True, slots=True)
class Entry:
    """`name` includes the group (`compose tree`); `module` is below `cli.commands`."""

    name: str
    module: str
    summary: str
    attribute: str = "COMMAND"
    is_hidden: bool = False
    alias_of: str = ""

    @property
    def group(self) -> str:
        return self.name.rpartition(" ")[0]

    def load(self) -> Command:
        module = importlib.import_module(f"apt_ostree.cli.commands.{self.module}")
        command: Command = getattr(module, self.attribute)
        return command


@dataclass(frozen=True, slots=True)
class Group:
    """A command with sub-commands of its own.  `same_as` lets an old name find them."""

    name: str
    summary: str
    is_hidden: bool = False
    same_as: str = ""


GROUPS = (
    Group("compose", "Commands to compose a tree"),
    Group("db", "Commands to query the package database"),
    Group("ex", "Experimental commands that may change or be removed", is_hidden=True),
    Group("override", "Manage base package overrides"),
    Group("rpm", "Commands to query the package database", is_hidden=True, same_as="db"),
)

_COMMANDS = (
    Entry("__complete", "complete", "Say what a shell may offer next", is_hidden=True),
    Entry("apply-live", "apply_live", "Apply pending deployment changes to booted deployment"),
    Entry("cancel", "cancel", "Cancel an active transaction"),
    Entry("checkout", "checkout", "Write the tree of a commit to a directory"),
    Entry("cleanup", "cleanup", "Clear cached/pending data"),
    Entry("daemon-ping", "daemon_ping", "Show whether the daemon is there, and what it does"),
    Entry("deploy", "deploy", "Deploy a specific commit"),
    Entry("finalize-deployment", "finalize_deployment",
          "Unset the finalization locking state of the staged deployment and reboot"),
    Entry("history", "history", "List the deployments that were made, newest first"),
    Entry("info", "info", "Show packages, and where they stand on this system"),
    Entry("init", "init", "Make a directory an OSTree sysroot"),
    Entry("initramfs", "initramfs", "Enable or disable local initramfs regeneration"),
    Entry("initramfs-etc", "initramfs_etc", "Add files to the initramfs"),
    Entry("install", "install", "Layer additional packages"),
    Entry("kargs", "kargs", "Query or modify kernel arguments"),
    Entry("list", "list_packages", "List the packages of a deployment"),
    Entry("prune", "prune", "Delete what no deployment needs any more"),
    Entry("rebase", "rebase", "Switch to a different tree"),
    Entry("refresh-md", "refresh_md", "Refresh the package metadata"),
    Entry("reload", "reload", "Reload configuration"),
    Entry("reset", "reset", "Remove all mutations"),
    Entry("rollback", "rollback", "Revert to the previously booted tree"),
    Entry("search", "search", "Search for packages"),
    Entry("start-daemon", "start_daemon", "Serve the system bus", is_hidden=True),
    Entry("status", "status", "Get the version of the booted system"),
    Entry("uninstall", "uninstall", "Remove layered packages"),
    Entry("upgrade", "upgrade", "Perform a system upgrade"),
    Entry("usroverlay", "usroverlay", "Apply a transient overlayfs to /usr"),
    Entry("why", "why", "Explain why a package or a file is there"),
    # groups
    Entry("compose commit", "compose_commit", "Commit a target path to an OSTree repository"),
    Entry("compose extensions", "compose_extensions", "Download packages that fit a base commit"),
    Entry("compose install", "compose_install", "Install packages into a target path"),
    Entry("compose postprocess", "compose_postprocess", "Perform final postprocessing on a root"),
    Entry("compose rootfs", "compose_rootfs", "Generate a root filesystem tree from a treefile"),
    Entry("compose tree", "compose_tree", "Process a treefile: install, postprocess, commit"),
    Entry("db diff", "db", "Show package changes between two commits", attribute="DIFF"),
    Entry("db list", "db", "List packages within commits", attribute="LIST"),
    Entry("db version", "db", "Show the package database version of commits", attribute="VERSION"),
    Entry("override remove", "override", "Remove packages from the base layer",
          attribute="REMOVE"),
    Entry("override replace", "override", "Replace packages in the base layer",
          attribute="REPLACE"),
    Entry("override reset", "override", "Reset currently active package overrides",
          attribute="RESET"),
)  # fmt: skip

_ALIASES = (
    ("update", "upgrade"),
    ("pkg-add", "install"),
    ("pkg-remove", "uninstall"),
    ("remove", "uninstall"),
    ("makecache", "refresh-md"),
    ("unlock", "usroverlay"),
    ("ex apply-live", "apply-live"),
    ("ex livefs", "apply-live"),
    ("ex history", "history"),
    ("ex initramfs-etc", "initramfs-etc"),
)

# Aliases that `--help` lists: what users of apt type.
_SHOWN_ALIASES = ("remove",)

# Commands of the interface that this version does not carry out, and why not.
_NEED_DAEMON = "it works through the daemon, which this version does not have"
_NEED_BOOTED = "it changes the running system, which this version does not do"
_NO_IMAGES = "this version neither reads nor writes container images"
_NOTHING_TO_DO = "it has no work on this system"
UNAVAILABLE = {
    "cliwrap": _NOTHING_TO_DO,
    "container-encapsulate": _NO_IMAGES,
    "countme": _NOTHING_TO_DO,
    "experimental": _NO_IMAGES,
    "fix-shadow-perms": _NOTHING_TO_DO,
    "kernel-install": _NOTHING_TO_DO,
    "scriptlet-intercept": _NOTHING_TO_DO,
    "shlib-backend": _NOTHING_TO_DO,
    "testutils": _NOTHING_TO_DO,
    "compose build-chunked-oci": _NO_IMAGES,
    "compose build-image": _NO_IMAGES,
    "compose container-encapsulate": _NO_IMAGES,
    "compose disk": _NO_IMAGES,
    "compose image": _NO_IMAGES,
    "compose lint": _NO_IMAGES,
    "ex deploy-from-self": _NO_IMAGES,
    "ex rebuild": _NO_IMAGES,
}


def _entries() -> Iterator[Entry]:
    yield from _COMMANDS
    by_name = {e.name: e for e in _COMMANDS}
    for alias, name in _ALIASES:
        target = by_name[name]
        yield Entry(
            alias, target.module, target.summary, target.attribute, is_hidden=True, alias_of=name
        )


ENTRIES = {e.name: e for e in _entries()}


def group(name: str) -> Group | None:
    return next((g for g in GROUPS if g.name == name), None)


def visible_rows(group_name: str) -> list[tuple[str, str]]:
    """(name, summary) of what `--help` shows at one level; names without their group."""
    rows = [
        (e.name.rpartition(" ")[2], e.summary)
        for e in ENTRIES.values()
        if e.group == group_name and (not e.is_hidden or e.name in _SHOWN_ALIASES)
    ]
    if not group_name:
        rows += [(g.name, g.summary) for g in GROUPS if not g.is_hidden]
    return sorted(rows)

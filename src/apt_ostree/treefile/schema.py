"""Every key of a treefile, one row each.

A row is a field of `Treefile` (or of `Directives`, which are gone once a file is loaded).  Reading,
merging, JSON and the check of the manual page all go by `TABLE`, which is made from these rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from apt_ostree.treefile import forms, kinds
from apt_ostree.treefile.keys import Key, common, derive, key
from apt_ostree.treefile.kinds import Kind
from apt_ostree.treefile.node import Node, Reader
from apt_ostree.treefile.values import (
    AccountCheck,
    AddFile,
    CustomOrigin,
    FileRef,
    Initramfs,
    OverrideReplace,
    RemoveFromPackage,
    RepoPackages,
    encode,
)

NAMES = kinds.list_of(kinds.word)
PATHS = kinds.list_of(forms.tree_path)
TARGETS = kinds.choice("inline", "detached", "disabled")
NO_CHECK = AccountCheck("none")


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Treefile:
    """A treefile with its includes merged and its variables substituted.

    `given` names the keys that were written; every other field has its default.  `directories` are
    those of all files that took part, the main one first; `where` is the line of each given key.
    """

    # what is built
    edition: str = key(kinds.choice("2014", "2024"), "set of defaults", default="2014")
    ref: str | None = key(kinds.STRING, "branch that the commit goes to", is_substituted=True)
    metadata: Mapping[str, Any] = key(kinds.DATA, "free data; no part of the build", default={},
        is_substituted=True)
    gpg_key: str | None = key(kinds.STRING, "id of the key that signs commits", legacy="gpg_key")
    # where packages come from
    repos: tuple[str, ...] | None = key(
        NAMES, "apt sources beside the treefile; unset: the host's")
    lockfile_repos: tuple[str, ...] = key(NAMES, "sources for locked packages only", default=())
    repovars: Mapping[str, str] = key(Kind("map of strings", forms.repovars,
        kinds.own_keys_win), "variables of source files", default={})
    releasever: str | int | None = key(Kind("string or number", forms.releasever),
        "suite that sources are read for")
    basearch: str = key(Kind("architecture", forms.basearch), "machine of the tree", default="")
    architectures: tuple[str, ...] = key(kinds.list_of(forms.basearch, merge=kinds.union,
        name="set of architectures"), "foreign architectures", default=())
    variables: Mapping[str, bool | int | str] = key(Kind("map", forms.variables,
        kinds.own_keys_win), "values for substitution and conditions", default={})
    # packages
    packages: tuple[str, ...] = common(kinds.REQUESTS, "packages to install", default=())
    exclude_packages: tuple[str, ...] = key(NAMES, "packages never to be installed", default=())
    repo_packages: tuple[RepoPackages, ...] = common(forms.grouped(forms.repo_packages),
        "packages taken from one source only", default=())
    ostree_layers: tuple[str, ...] = key(NAMES, "commits laid over the packages", default=())
    ostree_override_layers: tuple[str, ...] = key(NAMES, "commits that replace files", default=())
    platform_module: str | None = key(kinds.STRING, "accepted, without effect",
        is_substituted=True)
    recommends: bool = key(kinds.BOOLEAN, "install recommended packages", default=True)
    documentation: bool = key(kinds.BOOLEAN, "keep documentation", default=True)
    install_langs: tuple[str, ...] = key(NAMES, "languages to keep; none: all", default=())
    debconf: tuple[str, ...] = key(kinds.list_of(forms.debconf), "answers for debconf", default=())
    rpmdb: str = key(kinds.choice("target", "host", "bdb", "ndb", "sqlite", b_d_b="bdb"),
        "accepted, without effect", default="target")
    rpmdb_normalize: bool = key(kinds.BOOLEAN, "reproducible package database", default=False)
    # labels and devices
    selinux: bool = key(kinds.BOOLEAN, "accepted, with a warning", default=False, container=False)
    selinux_label_version: int = key(Kind("0|1", forms.selinux_label_version),
        "accepted, without effect", default=0)
    ignore_devices: bool = key(kinds.BOOLEAN, "accepted: packages with device nodes are refused",
        default=True)
    ima: bool = key(kinds.BOOLEAN, "accepted, with a warning", default=False)
    # containers
    container: bool = key(kinds.BOOLEAN, "the tree is a container", default=False)
    container_cmd: tuple[str, ...] = key(kinds.list_of(kinds.text, merge=kinds.own_wins),
        "default command of the image", default=())
    # boot
    boot_location: str = key(kinds.choice("new", "modules", "kernel-install"),
        "where kernels go", default="new", edition_2024="modules", container="modules",
        legacy="boot_location")
    no_initramfs: bool = key(kinds.BOOLEAN, "make no initramfs", default=False)
    initramfs_args: tuple[str, ...] = key(kinds.STRINGS, "arguments for dracut", default=())
    # layout
    tmp_is_dir: bool = key(kinds.BOOLEAN, "/tmp is a directory", default=False, edition_2024=True,
        container=True)
    opt_usrlocal: str = key(kinds.choice("var", "root", "state-overlay",
        stateoverlay="state-overlay"), "what /opt and /usr/local are", default="var")
    machineid_compat: bool = key(kinds.BOOLEAN, "ship an empty /etc/machine-id", default=True)
    cliwrap: bool = common(kinds.BOOLEAN, "accepted, with a warning", default=False)
    cliwrap_binaries: tuple[str, ...] = common(NAMES, "accepted, without effect", default=())
    readonly_executables: bool = key(kinds.BOOLEAN, "programs without write bits", default=False)
    # services and identity
    units: tuple[str, ...] = key(kinds.list_of(forms.unit), "units to enable", default=())
    default_target: str | None = key(kinds.STRING, "systemd target to boot into",
        legacy="default_target")
    automatic_version_prefix: str | None = key(kinds.STRING, "versions count up after this",
        is_substituted=True, legacy="automatic_version_prefix")
    automatic_version_suffix: str = key(Kind("character", forms.version_suffix),
        "what separates prefix and count", default=".")
    mutate_os_release: str | None = key(kinds.STRING,
        "os-release text that the version replaces", is_substituted=True)
    # accounts
    sysusers: str = key(kinds.choice("compose-auto", "compose-forced"), "accepted, without effect",
        default="compose-auto")
    etc_group_members: tuple[str, ...] = key(NAMES,
        "accepted: all groups are in /etc/group", default=())
    preserve_passwd: bool = key(kinds.BOOLEAN, "keep ids of the previous commit", default=True,
        container=False)
    check_passwd: AccountCheck = key(forms.account_check(is_group=False),  # noqa: RUF009
        "what user ids are held against", default=AccountCheck(), container=NO_CHECK)
    check_groups: AccountCheck = key(forms.account_check(is_group=True),  # noqa: RUF009
        "what group ids are held against", default=AccountCheck(), container=NO_CHECK)
    ignore_removed_users: tuple[str, ...] = key(kinds.WORD_SET, "users that may go", default=())
    ignore_removed_groups: tuple[str, ...] = key(kinds.WORD_SET, "groups that may go", default=())
    # content
    add_files: tuple[AddFile, ...] = key(kinds.list_of(forms.add_file, name="list of pairs"),
        "files to copy into the tree", default=())
    remove_files: tuple[str, ...] = key(PATHS, "paths to delete", default=())
    remove_from_packages: tuple[RemoveFromPackage, ...] = key(
        kinds.list_of(forms.remove_from_package, name="list of lists"),
        "files of packages to delete", default=())
    postprocess_script: FileRef | None = key(Kind("file name", forms.file_ref),  # noqa: RUF009
        "program that finishes the tree")
    postprocess: tuple[str, ...] = key(kinds.list_of(forms.script, name="list of scripts"),
        "scripts that finish the tree", default=())
    # the commit
    add_commit_metadata: Mapping[str, Any] = key(kinds.DATA, "metadata of the commit", default={},
        is_substituted=True)
    repo_metadata: str = key(TARGETS, "where data about sources goes", default="inline")
    advisories_metadata: str = key(TARGETS, "where data about advisories goes", default="inline")
    rojig: Mapping[str, Any] | None = key(Kind("map", kinds.DATA.decode),
        "accepted, without effect", is_substituted=True)
    # a client's deviation from a base
    base_refspec: str | None = derive(kinds.STRING, "commit that is the base")
    container_image_reference: str | None = derive(kinds.STRING, "image that is the base")
    packages_local: Mapping[str, str] = derive(kinds.STRING_MAP,
        "local packages and their checksums", default={})
    packages_local_fileoverride: Mapping[str, str] = derive(kinds.STRING_MAP,
        "local packages that may replace files", default={})
    override_remove: tuple[str, ...] = derive(kinds.WORD_SET, "base packages to remove", default=())
    ex_override_replace: tuple[OverrideReplace, ...] = derive(
        forms.grouped(forms.override_replace), "base packages to replace from a source", default=())
    override_replace_local: Mapping[str, str] = derive(kinds.STRING_MAP,
        "base packages to replace by local ones", default={})
    initramfs: Initramfs | None = derive(Kind("map", forms.initramfs),  # noqa: RUF009
        "initramfs made on the client")
    custom: CustomOrigin | None = derive(Kind("map", forms.custom_origin),  # noqa: RUF009
        "description of the base")
    override_commit: str | None = derive(kinds.STRING, "commit that the base is pinned to")
    unconfigured_state: str | None = derive(kinds.STRING, "why upgrades are refused")

    # how it came to be
    source: str = field(default="", compare=False)
    given: frozenset[str] = frozenset()
    directories: tuple[Path, ...] = field(default=(), compare=False)
    where: Mapping[str, str] = field(default_factory=dict, compare=False)
    finalize_d: tuple[FileRef, ...] = field(default=(), compare=False)
    # fmt: on

    def value(self, name: str) -> Any:
        """The value of the key `name`."""
        return getattr(self, FIELDS[name])

    def as_json(self) -> dict[str, Any]:
        """The keys that were given, as a treefile without includes; loads to an equal value."""
        return {name: encode(self.value(name)) for name in FIELDS if name in self.given}

    def where_of(self, name: str) -> str:
        """`FILE:LINE` of a key, the file when it was not given."""
        return self.where.get(name, self.source)

    def warnings(self) -> tuple[str, ...]:
        """What the user should be told about old and experimental keys."""
        said = []
        if self.boot_location != "modules":
            said.append(f'warning: boot-location: "{self.boot_location}" is deprecated, '
                        "use boot-location: modules")  # fmt: skip
        if self.initramfs_args:
            said.append("warning: initramfs-args is deprecated, use /etc/dracut.conf.d")
        if self.cliwrap:
            said.append("warning: cliwrap is deprecated and slated for removal")
            said.append("note: cliwrap installs no wrappers: every tree stops apt by itself")
        if self.selinux:
            said.append("warning: selinux has no effect: trees are not labelled")
        if self.ima:
            said.append("warning: ima has no effect: packages carry no file signatures")
        if "lockfile-repos" in self.given:
            said.append(
                "NOTICE: treefile key `lockfile-repos` is experimental and subject to change"
            )
        return tuple(said)


def _one_or_more(node: Node, reader: Reader) -> Any:
    """Names of files with their nodes, so that a missing file is reported at its line."""
    given = node.value if isinstance(node.value, tuple) else (node,)
    return tuple(forms.file_ref(item, reader) for item in given)


FILES = Kind("string or list", _one_or_more)


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """Keys that say how to read the file; they are not part of the value."""

    include: tuple[FileRef, ...] = key(FILES, "treefiles to start from", default=())
    arch_include: Mapping[str, tuple[FileRef, ...]] = key(kinds.map_of(_one_or_more),
        "treefiles for one architecture", default={})
    conditional_include: tuple[Any, ...] = key(Kind("list of maps", kinds.any_value),
        "treefiles for a condition", default=())
    bootstrap_packages: tuple[str, ...] = key(kinds.REQUESTS, "the same as packages", default=(),
        legacy="bootstrap_packages")
    # fmt: on


def _rows(value: type[Treefile] | type[Directives]) -> dict[str, tuple[str, Key]]:
    found = {}
    for item in fields(value):
        row: Key | None = item.metadata.get("key")
        if row is not None:
            name = item.name.replace("_", "-")
            found[name] = (item.name, replace(row, name=name))
    return found


_TREEFILE = _rows(Treefile)
DIRECTIVES = {name: row for name, (_, row) in _rows(Directives).items()}
FIELDS = {name: attribute for name, (attribute, _) in _TREEFILE.items()}
TABLE = {name: row for name, (_, row) in _TREEFILE.items()} | DIRECTIVES
LEGACY = {row.legacy: name for name, row in TABLE.items() if row.legacy is not None}

"""Where a path of a package belongs in a tree: one table from archive paths to tree paths.

Pure.  A tree has merged /usr, keeps the defaults of /etc in usr/etc, nothing in /var, and its
kernels in usr/lib/modules; the state directories of the root are links into /var.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from apt_ostree.apt.debtar import Kind
from apt_ostree.errors import PackageError

OptMode = Literal["var", "root", "state-overlay"]

FACTORY = "usr/share/factory"
ADMIN_DIR = "usr/lib/sysimage/dpkg"
# dpkg and usrmerge: /bin -> usr/bin and so on; libo32 and libx32 by architecture (Policy 9.1.1).
MERGED = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"})
# Links in the root of a tree, and where they lead (seen from the root).
STATE = {
    "home": "var/home",
    "root": "var/roothome",
    "srv": "var/srv",
    "mnt": "var/mnt",
    "media": "run/media",
}
# snapd ships /snap, where it makes directories at run time: a link in the root (layout.finish).
SNAP = "var/lib/snapd/snap"
# Directories that the kernel or the boot fills: what a package has below is not content.
VIRTUAL = frozenset({"dev", "proc", "sys"})
_KERNEL = re.compile(r"boot/(?P<file>vmlinuz|vmlinux|config|System\.map)-(?P<release>[^/]+)")


@dataclass(frozen=True, slots=True)
class Policy:
    """What of a package goes into the tree and in which shape; part of the cache's key.

    `documentation`, `install_langs` (None: all), `opt` (opt-usrlocal) and `readonly_executables`
    are the treefile's.  `dpkg_only` leaves every package to dpkg, to compare both ways.
    """

    documentation: bool = True
    install_langs: tuple[str, ...] | None = None
    opt: OptMode = "var"
    readonly_executables: bool = False
    dpkg_only: bool = False

    @property
    def key(self) -> str:
        """Equal keys make equal trees of the same package."""
        langs = "*" if self.install_langs is None else ",".join(sorted(set(self.install_langs)))
        return (
            f"docs={int(self.documentation)} langs={langs} opt={self.opt} "
            f"readonly={int(self.readonly_executables)}{' dpkg-only' if self.dpkg_only else ''}"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """`tree`: the path in the tree, None when it is not content of the tree; `state`: the path
    below /var or /run that must exist at run time (`var/lib/x`, `run/x`), None when there is none.
    """

    tree: str | None = None
    state: str | None = None


NOWHERE = Place()


def place(path: str, kind: Kind, policy: Policy, *, package: str) -> Place:
    """The place of a clean archive path.

    Raises PackageError naming `package` and the path when no tree can hold it.
    """
    top, _, rest = path.partition("/")
    directory = kind is Kind.DIRECTORY
    if not path or (not rest and top in MERGED and kind is Kind.LINK):
        return NOWHERE  # the root itself; trixie's base-files ships the merged links as links
    if top == "usr":
        found = _below_usr(path, rest, kind, policy)
    elif top in MERGED or top == "etc":
        found = Place(f"usr/{path}")
    elif top == "var":
        found = _below_var(path, rest, kind)
    elif top == "boot":
        found = _below_boot(path, rest)
    elif top == "opt":
        found = _below_opt(path, rest, policy)
    elif top in ("run", "tmp"):
        found = Place(state=path) if top == "run" and rest and kind is not Kind.FILE else NOWHERE
    elif top == "snap" and directory:
        found = Place(state=SNAP + path[len(top) :])
    elif top in STATE and directory:
        found = Place(state=STATE[top] + path[len(top) :]) if rest else NOWHERE
    elif top in VIRTUAL and directory:
        found = NOWHERE
    else:
        found = None
    if found is None:
        raise PackageError(f"package {package} has content that no tree can hold: /{path}")
    return found


def tree_path(path: str) -> str:
    """`/bin/x` and `/etc/x` as they are in a tree: `usr/bin/x`, `usr/etc/x`."""
    clean = path.lstrip("/")
    top = clean.split("/")[0]
    return f"usr/{clean}" if top in MERGED or top == "etc" else clean


def _below_usr(path: str, rest: str, kind: Kind, policy: Policy) -> Place | None:
    if rest == "etc" or rest.startswith("etc/"):
        return None  # the place of /etc's defaults
    if (rest != "local" and not rest.startswith("local/")) or policy.opt != "var":
        return Place(path)
    if kind is not Kind.DIRECTORY:
        return None  # a link into /var, which holds no packaged files
    return Place(state=f"var/usrlocal{rest[5:]}") if rest != "local" else NOWHERE


def _below_var(path: str, rest: str, kind: Kind) -> Place:
    directory = kind is Kind.DIRECTORY
    if not rest:
        return NOWHERE
    for link, target in (("run", "run"), ("lock", "run/lock")):  # Policy 9.1.4: links on Debian
        if rest == link or rest.startswith(f"{link}/"):
            below = rest[len(link) :]
            return Place(state=target + below) if below and directory else NOWHERE
    if path == "var/lib/dpkg" or path.startswith("var/lib/dpkg/"):
        # The database is in /usr; its directories are the layout's.
        return NOWHERE if directory else Place(ADMIN_DIR + path[len("var/lib/dpkg") :])
    if directory:
        return Place(state=path)
    return Place(tree=f"{FACTORY}/{path}", state=path)


def _below_boot(path: str, rest: str) -> Place:
    match = _KERNEL.fullmatch(path)
    if match is not None:
        name = "vmlinuz" if match["file"] == "vmlinux" else match["file"]
        return Place(f"usr/lib/modules/{match['release']}/{name}")
    return Place(f"usr/lib/ostree-boot/{rest}") if rest else NOWHERE


def _below_opt(path: str, rest: str, policy: Policy) -> Place:
    if not rest:
        return NOWHERE
    if policy.opt == "root":
        return Place(path)
    # In var mode /opt/VENDOR must become a link at run time; a state overlay needs no link.
    linked = f"var/opt/{rest}" if policy.opt == "var" and "/" not in rest else None
    return Place(tree=f"usr/lib/opt/{rest}", state=linked)


def is_trimmed(tree_path: str, kind: Kind, policy: Policy) -> bool:
    """Whether the policy leaves a path out, with the semantics of dpkg's path-exclude.

    Copyright files always stay, and so do the links that packages put in place of their doc
    directory, since the copyright file is reached through them (Policy 12.5).
    """
    if not tree_path.startswith("usr/share/"):
        return False
    parts = tree_path.split("/")[2:]
    if not policy.documentation and _is_documentation(parts, kind):
        return True
    return policy.install_langs is not None and _is_foreign(parts, kind, policy.install_langs)


def _is_documentation(parts: list[str], kind: Kind) -> bool:
    if len(parts) < 2:
        return False
    if parts[0] != "doc":
        return parts[0] in ("man", "info", "gtk-doc", "groff", "lintian", "linda")
    # dpkg keeps directories and links that an include pattern might need: with the one for
    # copyright files that is everything below doc (dpkg's filters.c, filter_should_skip).
    kept = len(parts) > 2 and parts[-1] == "copyright"
    return kind not in (Kind.DIRECTORY, Kind.LINK) and not kept


def _is_foreign(parts: list[str], kind: Kind, langs: Iterable[str]) -> bool:
    """Whether a path lies in a directory of translations of a language that is not wanted."""
    if parts[0] not in ("locale", "locale-langpack", "man", "help") or len(parts) < 2:
        return False
    name = parts[1]
    if parts[0] == "man" and re.fullmatch(r"man[0-9a-z]+", name):
        return False
    if len(parts) == 2 and kind is not Kind.DIRECTORY:
        return False  # locale.alias and the like
    if name == "C":
        return False
    return not any(_matches(name, lang) for lang in langs)


def _matches(name: str, lang: str) -> bool:
    """`de_DE.UTF-8` wants de, de_DE and de_DE.UTF-8; `de` wants de, de_AT, de@x (locale(7))."""
    if lang == "all":
        return True
    bare = lang.split(".")[0].split("@")[0]
    language = bare.split("_")[0]
    given = re.split(r"[.@]", name)[0]
    return given in (bare, language) or (bare == language and given.split("_")[0] == language)

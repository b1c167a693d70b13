"""What may be below /var after package scripts ran, as tables: what stays, goes, and where to.

Pure.  Paths are relative to the tree (`var/lib/x`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

SYSIMAGE = "usr/lib/sysimage"
FACTORY = "usr/share/factory"
DPKG_LINK = "var/lib/dpkg"


@dataclass(frozen=True, slots=True)
class StateDir:
    """State of the package tools that describes the image: kept at `sysimage`, and seen at `var`
    while scripts run.  `drop` are names in it that never enter a tree."""

    var: str
    sysimage: str
    drop: tuple[str, ...] = ()


STATE_DIRS = (
    # passwords.dat holds answers to questions of type password (debconf.conf(5))
    StateDir("var/cache/debconf", f"{SYSIMAGE}/debconf",
             ("passwords.dat", "passwords.dat-old", "config.dat-old", "templates.dat-old",
              "tmp.ci")),
    StateDir("var/lib/ucf", f"{SYSIMAGE}/ucf",
             tuple(f"{name}.{i}" for name in ("hashfile", "registry") for i in range(10))),
    StateDir("var/lib/pam", f"{SYSIMAGE}/pam"),
    StateDir("var/lib/systemd/deb-systemd-helper-enabled",
             f"{SYSIMAGE}/deb-systemd-helper/enabled"),
    StateDir("var/lib/systemd/deb-systemd-helper-masked", f"{SYSIMAGE}/deb-systemd-helper/masked"),
    StateDir("var/lib/systemd/deb-systemd-user-helper-enabled",
             f"{SYSIMAGE}/deb-systemd-helper/user-enabled"),
    StateDir("var/lib/systemd/deb-systemd-user-helper-masked",
             f"{SYSIMAGE}/deb-systemd-helper/user-masked"),
)  # fmt: skip
_STATE_PATHS = frozenset(s.var for s in STATE_DIRS) | {DPKG_LINK}
# The same for single files; they are replaced by rename, so no bind can stand for them.
STATE_FILES = (
    # update-shells(8): which shells of /usr/share/debianutils/shells.d were added before
    ("var/lib/shells.state", f"{SYSIMAGE}/shells.state"),
)

# Where packages' paths outside /var lead in a tree (links of the root).
LINKS = (
    ("usr/local", "var/usrlocal"),
    ("home", "var/home"),
    ("root", "var/roothome"),
    ("srv", "var/srv"),
    ("mnt", "var/mnt"),
    ("opt", "var/opt"),
)

# Directories that belong to no single package, or that the boot itself fills: never copied whole.
COMMONS = frozenset({
    "var", "var/backups", "var/cache", "var/cache/private", "var/games", "var/home", "var/lib",
    "var/lib/dbus", "var/lib/misc", "var/lib/private", "var/lib/systemd", "var/local", "var/log",
    "var/log/private", "var/mail", "var/mnt", "var/opt", "var/roothome", "var/spool",
    "var/spool/cron", "var/spool/mail", "var/srv", "var/tmp", "var/usrlocal",
    *(f"var/usrlocal/{d}" for d in ("bin", "etc", "games", "include", "lib", "man", "sbin",
                                    "share", "src")),
})  # fmt: skip

# Whole directories that no machine needs.
NOISE_TREES = (
    ("var/tmp/*", "temporary"),
    ("var/lib/dkms/*", "modules are built into the image"),
    ("var/lib/initramfs-tools/*", "the image has one initramfs"),
    ("var/roothome/.cache", "cache"),
    ("var/home/*/.cache", "cache"),
    ("var/roothome/.gnupg", "identity of whoever built the image"),
    ("var/roothome/.ssh", "identity of whoever built the image"),
)
# Files that no machine needs; their directories stay.
NOISE_FILES = (
    ("var/log/*", "log"),
    ("var/cache/*", "cache"),
    ("var/backups/*", "backup of a database that the image has"),
    ("var/lib/apt/*", "state of apt on the machine that built the image"),
    ("var/lib/systemd/catalog/database", "made again at boot (systemd-journal-catalog-update)"),
    ("var/lib/systemd/random-seed", "secret"),
    ("var/lib/systemd/credential.secret", "secret"),
    ("var/lib/urandom/random-seed", "secret"),
    ("var/lib/dbus/machine-id", "identity of one machine"),
    ("var/lib/python/python3*_installed", "note of an installation in progress"),
    ("var/roothome/.rnd", "secret"),
    ("var/roothome/.*_history", "history of a shell"),
    ("var/roothome/.wget-hsts", "cache"),
    ("*/lock", "lock"),
    ("*.lock", "lock"),
    ("*-old", "backup"),
    ("*.dpkg-*", "left by dpkg"),
    ("*.ucf-*", "left by ucf"),
)
# Exceptions to NOISE_FILES: made at installation only, and missed at run time.
NEEDED_FILES = (
    "var/cache/dictionaries-common/*",  # dictionaries-common: update-dictcommon-aspell(8)
)


def is_state(path: str) -> bool:
    """Whether `path` is a place of package-manager state, which is kept below /usr."""
    return path in _STATE_PATHS


def noise_tree(path: str) -> str | None:
    """Why the whole of `path` goes; None when it stays."""
    return next((why for glob, why in NOISE_TREES if fnmatchcase(path, glob)), None)


def noise_file(path: str) -> str | None:
    """Why the file or link `path` goes; None when it stays."""
    if any(fnmatchcase(path, glob) for glob in NEEDED_FILES):
        return None
    return next((why for glob, why in NOISE_FILES if fnmatchcase(path, glob)), None)


def var_path(shipped: str) -> str | None:
    """Where a path of a dpkg `.list` file is below var; None when it is elsewhere.

    `/var/lib/x` -> `var/lib/x`, `/usr/local/lib` -> `var/usrlocal/lib`.
    """
    path = shipped.strip("/")
    if path == "var" or path.startswith("var/"):
        return path
    for outside, inside in LINKS:
        if path == outside or path.startswith(f"{outside}/"):
            return inside + path[len(outside) :]
    return None


def unit_of(file: str, *, shipped: Collection[str], defined: Collection[str]) -> str:
    """What tmpfiles' `C` is to copy so that the file `file` gets onto a machine.

    `C` copies only where nothing is (or an empty directory), so it never overwrites data; a unit
    as high as needed keeps a machine from getting half of a data directory back.

    - A file that a package ships (`shipped`) is a unit itself: whatever else is in its directory,
      dpkg would put it there.
    - Else it was made by a script: the unit is the topmost directory on its path that no package
      ships, such as a script-made `var/lib/postgresql/15`;
    - if packages ship all of them, the deepest one, unless many share it (COMMONS);
    - else the file itself.

    Directories in `defined` have a line already, which `C` would contradict.
    """
    if file in shipped:
        return file
    parts = file.split("/")
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    usable = [p for p in parents if p not in COMMONS and p not in defined]
    for parent in usable:
        if parent not in shipped:
            return parent
    return parents[-1] if parents[-1] in usable else file

"""The tree built here against the tree that plain dpkg makes of the same packages.

mmdebstrap is the oracle.  What may differ is listed, each with its reason; anything else fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from fixtures.machines import TREEFILE, base_repo, run, suite
from fixtures.rootfs import CACHE

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]

# Pattern of a path in the running system -> why it is only on one side or differs.
ONLY_OURS = {
    "/ostree": "layout of ostree",
    "/sysroot": "layout of ostree",
    "/usr/lib/sysimage*": "the package tools' state, in /var on plain Debian",
    "/usr/lib/sysusers.d/00-apt-ostree.conf": "accounts with fixed numbers",
    "/usr/lib/tmpfiles.d/apt-ostree-*": "directories of /var and the root's links",
    "/usr/lib/apt-ostree*": "keys and identities are made on the machine",
    "/usr/lib/systemd/system/*apt-ostree-identity.service": "keys are made on the machine",
    "/usr/share/factory*": "files of /var",
    "/usr/share/apt-ostree*": "the treefile",
    "/etc/alternatives-admindir*": "update-alternatives' files, in /var on plain Debian",
    "/usr/libexec": "apt is stopped before dpkg fails on a read-only /usr",
    "/usr/libexec/apt-ostree*": "apt is stopped before dpkg fails on a read-only /usr",
    "/etc/apt/apt.conf.d/90apt-ostree": "apt is stopped before dpkg fails on a read-only /usr",
    "/etc/systemd/system/apt-daily*": "masked: apt cannot change an image",
    "/etc/systemd/system/dpkg-db-backup*": "masked: apt cannot change an image",
    "/etc/systemd/system/packagekit-offline-update.service": "masked: apt cannot change an image",
    "/etc/systemd/system/unattended-upgrades.service": "masked: apt cannot change an image",
    "/etc/apt/sources.list.d/base.sources": "the sources that the tree was made from",
    "/etc/dpkg/dpkg.cfg.d/apt-ostree-trim": "the treefile leaves documentation out",
    "/usr/lib/modules*": "the test's made-up kernel",
    "/usr/share/man/man*": "kept for update-alternatives",
}
ONLY_PLAIN = {
    "/var/*": "state of one machine; see the tmpfiles.d and factory files",
    "/run/*": "made at boot",
    "/dev/*": "made at boot",
    "/proc": "mount point",
    "/etc/apt/sources.list*": "mmdebstrap's own sources",
    "/etc/apt/apt.conf.d/99mmdebstrap": "mmdebstrap's own",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap": "mmdebstrap's own",
    "/etc/hostname": "identity of the machine that built it",
    "/etc/resolv.conf": "network of the machine that built it",
    "/etc/.pwd.lock": "lock",
    "/etc/*-": "backups of account files",
    "/lib32": "alias that mmdebstrap makes without need",
    "/libx32": "alias that mmdebstrap makes without need",
    "/usr/lib32": "directory for that alias",
    "/usr/libx32": "directory for that alias",
    "/usr/local/*": "a link into /var here",
    "/etc/ld.so.cache~": "backup",
    "/etc/fstab": "mmdebstrap's own",
    "/root/*": "below /var here",
}
DIFFERS = {
    "/home": "a link into /var", "/root": "a link into /var", "/srv": "a link into /var",
    "/mnt": "a link into /var", "/opt": "a link into /var", "/media": "a link into /run",
    "/usr/local": "a link into /var", "/var": "the machine's own", "/boot": "libostree's",
    "/": "", "/tmp": "", "/run": "", "/dev": "", "/proc": "", "/sys": "",
    "/etc/passwd": "dynamic numbers follow the order of configuration",
    "/etc/group": "dynamic numbers follow the order of configuration",
    "/etc/gshadow": "order of lines",
    "/etc/shells": "order of lines follows the order of configuration",
    "/etc/machine-id": "empty: the id is made at run time (machine-id(5))",
    "/etc/shadow": "day of the last change",
    "/etc/apt/sources.list": "mmdebstrap's own sources",
    "/var/*": "the machine's own",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    kind: str
    mode: int
    owner: tuple[str, str]
    content: str
    capability: bytes


def names(root: Path, etc: str) -> tuple[dict[int, str], dict[int, str]]:
    """Numbers to names of a root's users and groups: numbers may differ, names may not."""
    found = []
    for file in ("passwd", "group"):
        rows = [line.split(":") for line in (root / etc / file).read_text().splitlines()]
        found.append({int(row[2]): row[0] for row in rows})
    return found[0], found[1]


def scan(root: Path, *, moved: dict[str, str]) -> dict[str, Item]:
    """Every path by its name in the running system; `moved` are directories that lie elsewhere."""
    found = {}
    etc = next((there[1:] for there, here in moved.items() if here == "/etc"), "etc")
    users, groups = names(root, etc)
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(folder, name)
            shown = "/" + str(path.relative_to(root))
            for there, here in moved.items():
                if shown == there or shown.startswith(there + "/"):
                    shown = here + shown[len(there) :]
            found[shown] = describe(path, users, groups)
    return found


def describe(path: Path, users: dict[int, str], groups: dict[int, str]) -> Item:
    info = os.lstat(path)
    content, capability = "", b""
    if stat.S_ISREG(info.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        if "security.capability" in os.listxattr(path):
            capability = os.getxattr(path, "security.capability")
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    kind = stat.filemode(info.st_mode)[0]
    mode = 0o777 if kind == "l" else stat.S_IMODE(info.st_mode)
    owner = users.get(info.st_uid, str(info.st_uid)), groups.get(info.st_gid, str(info.st_gid))
    return Item(kind, mode, owner, content, capability)


def allowed(path: str, table: dict[str, str]) -> bool:
    return any(fnmatchcase(path, p) or (path.startswith(p.rstrip("*") + "/") and p.endswith("*"))
               for p in table)  # fmt: skip


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed")
    target = tmp_path_factory.mktemp("equality") / "ours"
    subprocess.run(["ostree", "checkout", f"--repo={base_repo()}", "-H", "test/base", str(target)],
                   check=True)  # fmt: skip
    return target


@pytest.fixture(scope="module")
def plain(ours) -> Path:
    """The same package versions, by mmdebstrap; kept while they are the same."""
    status = (ours / "usr/lib/sysimage/dpkg/status").read_text()
    wanted = [
        f"{fields['Package']}={fields['Version']}"
        for stanza in status.strip().split("\n\n")
        if (fields := dict(line.split(": ", 1) for line in stanza.split("\n") if ": " in line))
    ]
    key = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:12]
    target = CACHE / f"plain-{suite()}-{key}"
    if target.is_dir():
        return target
    excludes = [
        f"--dpkgopt=path-exclude=/usr/share/{d}/*"
        for d in ("doc", "man", "info", "gtk-doc", "groff", "lintian", "linda")
    ]
    making = CACHE / f".making-plain-{os.getpid()}"
    made = subprocess.run(
        ["mmdebstrap", "--variant=essential", "--mode=root", '--aptopt=APT::Sandbox::User "root"',
         "--aptopt=APT::Install-Recommends false", *excludes,
         "--dpkgopt=path-include=/usr/share/doc/*/copyright",
         f"--include={','.join(wanted)}", suite(), str(making)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    making.rename(target)
    return target


def test_the_trees_are_equal(ours, plain):
    here = scan(ours, moved={"/usr/etc": "/etc"})
    there = scan(plain, moved={})
    only_ours = sorted(p for p in here.keys() - there.keys() if not allowed(p, ONLY_OURS))
    only_plain = sorted(p for p in there.keys() - here.keys() if not allowed(p, ONLY_PLAIN))
    different = sorted(
        f"{p}: {here[p]} here, {there[p]} there"
        for p in here.keys() & there.keys()
        if here[p] != there[p] and not allowed(p, DIFFERS)
    )
    report = {"only ours": only_ours, "only plain": only_plain, "different": different}
    assert report == {"only ours": [], "only plain": [], "different": []}, json.dumps(
        report, indent=1
    )


def stanzas(path: Path) -> dict[str, str]:
    return {s.split("\n", 1)[0]: s for s in path.read_text().strip().split("\n\n")}


def test_the_package_databases_are_equal(ours, plain):
    mine, theirs = ours / "usr/lib/sysimage/dpkg", plain / "var/lib/dpkg"
    assert stanzas(mine / "status") == stanzas(theirs / "status")
    # dash diverts sh's manual page where the directory of manual pages is there: ours keeps it
    diverted = [set((d / "diversions").read_text().splitlines()[::3]) for d in (mine, theirs)]
    assert diverted[0] - {"/usr/share/man/man1/sh.1.gz"} == diverted[1]
    assert (mine / "statoverride").read_text() == (theirs / "statoverride").read_text()
    etc = [ours / "usr/etc", plain / "etc"]
    for file in ("passwd", "group"):
        accounts = [{x.split(":")[0] for x in (e / file).read_text().splitlines()} for e in etc]
        assert accounts[0] == accounts[1]
    assert len({frozenset((e / "shells").read_text().splitlines()) for e in etc}) == 1
    interests = [sorted((d / "triggers/File").read_text().splitlines()) for d in (mine, theirs)]
    assert interests[0] == interests[1]
    members = [{p.name for p in (d / "info").iterdir()} for d in (mine, theirs)]
    assert members[0] ^ members[1] == set()
    for name in sorted(members[0]):
        assert (mine / "info" / name).read_bytes() == (theirs / "info" / name).read_bytes(), name


def test_both_engines_give_the_identical_tree(tmp_path):
    """Files laid from cached commits, and every package through `dpkg --unpack`."""
    treefile = tmp_path / "tree.yaml"
    treefile.write_text(TREEFILE.format(suite=suite(), extra=""))
    repo = tmp_path / "repo"
    subprocess.run(["ostree", "init", f"--repo={repo}", "--mode=bare"], check=True)
    run(
        "compose", "tree", f"--repo={repo}", f"--cachedir={CACHE}/compose-{suite()}", treefile,
        APTOSTREE_DPKG_ONLY="1",
    )  # fmt: skip
    laid, unpacked = base_repo(), repo
    listings = [
        subprocess.run(
            ["ostree", f"--repo={r}", "ls", "-R", "-C", "-X", "test/base"],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()
        for r in (laid, unpacked)
    ]  # fmt: skip
    different = set(listings[0]) ^ set(listings[1])
    files = sorted(line for line in different if not line.startswith("d"))
    assert files == []

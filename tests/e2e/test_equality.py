"""The tree built here against the tree that plain dpkg makes of the same packages.

mmdebstrap is the oracle.  What may differ is listed, each with its reason; anything else fails.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures import oracle
from fixtures.booted import booted, private_mounts  # noqa: F401 - one is a fixture
from fixtures.machines import TREEFILE, Machine, base_repo, make_machine, run, suite
from fixtures.oracle import stanzas
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


LAYERED_ONLY_PLAIN = ONLY_PLAIN | {
    "/etc/ssh/ssh_host_*": "made on the machine",
    "/etc/ssl/private/ssl-cert-snakeoil.key": "made on the machine",
    "/etc/ssl/certs/ssl-cert-snakeoil.pem": "made on the machine",
}
# Services with accounts, data, certificates, capabilities, triggers and state of every kind.
LAYERED = (
    "cups", "docker.io", "fail2ban", "htop", "iputils-ping", "libvirt-daemon-system",
    "mariadb-server", "nginx", "openssh-server", "postgresql", "strace", "vim",
)  # fmt: skip


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("equality") / "ours"
    subprocess.run(["ostree", "checkout", f"--repo={base_repo()}", "-H", "test/base", str(target)],
                   check=True)  # fmt: skip
    return target


@pytest.fixture(scope="module")
def plain(ours) -> Path:
    return oracle.plain(ours)


@pytest.fixture(scope="module")
def layered(tmp_path_factory) -> Iterator[Machine]:
    """A machine with everything of LAYERED, installed in one go with what it recommends."""
    machine = make_machine(tmp_path_factory.mktemp("layered"))
    machine("refresh-md")
    machine("install", *LAYERED)
    yield machine
    machine.release()


@pytest.fixture(scope="module")
def plain_layered(layered) -> Path:
    return oracle.plain(layered.tree)


def scan_deployment(tree: Path) -> dict[str, oracle.Item]:
    """Its vendor configuration as /etc; the machine's own is not the tree's."""
    found = oracle.scan(tree, moved={"/etc": "/of-the-machine", "/usr/etc": "/etc"})
    return {p: i for p, i in found.items() if not p.startswith("/of-the-machine")}


NOTHING: dict[str, list[str]] = {"only ours": [], "only plain": [], "different": []}


def test_the_trees_are_equal(ours, plain):
    report = oracle.differences(
        scan_deployment(ours), oracle.scan(plain, moved={}),
        only_here=ONLY_OURS, only_there=ONLY_PLAIN, differs=DIFFERS,
    )  # fmt: skip
    assert report == NOTHING, json.dumps(report, indent=1)


def snakeoil_links(items: dict[str, oracle.Item]) -> list[str]:
    """The names by which OpenSSL finds the machine's own certificate; they depend on its subject."""
    return [p for p, i in items.items() if (i.kind, i.content) == ("l", "ssl-cert-snakeoil.pem")]


def test_no_link_to_a_removed_certificate_stays(layered):
    assert snakeoil_links(scan_deployment(layered.tree)) == []


def test_mailcap_is_what_update_mime_wrote(layered, plain_layered):
    mailcap = layered.tree / "usr/etc/mailcap"
    assert mailcap.read_bytes() == (plain_layered / "etc/mailcap").read_bytes()


def test_layered_trees_are_equal(layered, plain_layered):
    here = scan_deployment(layered.tree)
    there = oracle.scan(plain_layered, moved={})
    for items in (here, there):
        for link in snakeoil_links(items):
            del items[link]
    report = oracle.differences(
        here, there, only_here=ONLY_OURS, only_there=LAYERED_ONLY_PLAIN, differs=DIFFERS,
    )  # fmt: skip
    enabled = [p for p in there if p.startswith("/etc/systemd/system/") and ".wants/" in p]
    assert any(p.endswith("/nginx.service") for p in enabled)  # so wants-links are compared
    assert report == NOTHING, json.dumps(report, indent=1)


# /var of a machine after its first boot against /var of plain Debian, by the same tables.
VAR_ONLY_OURS = {
    "/var/.ostree-selabeled": "libostree's", "/var/lib/apt-ostree*": "history and ids",
    "/var/home": "/home", "/var/mnt": "/mnt", "/var/roothome*": "/root", "/var/srv": "/srv",
    "/var/usrlocal*": "/usr/local", "/var/cache/apt-ostree*": "its package lists",
    "/var/lib/dbus/machine-id": "the usual link",
}  # fmt: skip
VAR_ONLY_PLAIN = {
    "/var/cache/*": "made again when needed", "/var/log/*": "logs of the installation",
    "/var/lib/dpkg*": "in the image", "/var/lib/apt*": "apt's own",
    "/var/lib/pam*": "in the image", "/var/lib/ucf*": "in the image",
    "/var/lib/shells.state": "in the image", "/var/lib/systemd/deb-systemd-*": "in the image",
    "/var/lib/python/python3*_installed": "note of an installation in progress",
    "/var/lib/systemd/catalog/database": "made at boot by systemd-journal-catalog-update",
}  # fmt: skip
VAR_DIFFERS = {
    "/var/lib/dpkg": "a link to the image's", "/var/run": "relative", "/var/lock": "relative",
    "/var/cache/debconf/*": "made by make-ssl-cert; the image's is elsewhere",
    "/var/cache/apt/archives/partial": "apt sets its mode", "/var/lib/apt/lists/partial": "likewise",
}  # fmt: skip
# Databases are made by a run of their daemons: no two runs give the same bytes.
VAR_CONTENT = ("/var/lib/mysql/", "/var/lib/postgresql/", "/var/cache/")


@pytest.mark.usefixtures("private_mounts")
def test_var_after_a_boot_is_as_on_plain_debian(layered, plain_layered, tmp_path):
    with booted(layered, tmp_path / "boot") as root:
        here = oracle.scan(root / "var", moved={}, names=root)
    there = oracle.scan(plain_layered / "var", moved={}, names=plain_layered)
    trees = [
        {f"/var{p}": replace(i, content="") if f"/var{p}".startswith(VAR_CONTENT) else i
         for p, i in items.items()}
        for items in (here, there)
    ]  # fmt: skip
    report = oracle.differences(
        *trees, only_here=VAR_ONLY_OURS, only_there=VAR_ONLY_PLAIN, differs=VAR_DIFFERS
    )
    assert report == NOTHING, json.dumps(report, indent=1)


def admindirs(tree: Path, plain: Path) -> tuple[Path, Path]:
    return tree / oracle.DPKG, plain / "var/lib/dpkg"


def accounts(folder: Path, file: str) -> dict[str, list[str]]:
    """Everything about each account but the numbers."""
    rows = [line.split(":") for line in (folder / file).read_text().splitlines()]
    return {row[0]: row[4:] if file == "passwd" else sorted(row[3].split(",")) for row in rows}


def check_databases(tree: Path, plain: Path) -> None:
    mine, theirs = admindirs(tree, plain)
    assert stanzas(mine / "status") == stanzas(theirs / "status")
    # dash diverts sh's manual page where the directory of manual pages is there: ours keeps it
    diverted = [set((d / "diversions").read_text().splitlines()[::3]) for d in (mine, theirs)]
    assert diverted[0] - {"/usr/share/man/man1/sh.1.gz"} == diverted[1]
    assert (mine / "statoverride").read_text() == (theirs / "statoverride").read_text()
    etc = [tree / "usr/etc", plain / "etc"]
    for file in ("passwd", "group"):
        assert accounts(etc[0], file) == accounts(etc[1], file)
    assert len({frozenset((e / "shells").read_text().splitlines()) for e in etc}) == 1
    interests = [
        {p.name: sorted(p.read_text().splitlines()) for p in (d / "triggers").iterdir()}
        for d in (mine, theirs)
    ]
    for name in ("Lock", "Unincorp"):
        assert interests[1].pop(name, []) == []
    assert interests[0] == interests[1]
    members = [{p.name for p in (d / "info").iterdir()} for d in (mine, theirs)]
    assert members[0] ^ members[1] == set()
    for name in sorted(members[0]):
        assert (mine / "info" / name).read_bytes() == (theirs / "info" / name).read_bytes(), name


def records(path: Path) -> dict[str, str]:
    return {r.split("\n", 1)[0]: r for r in path.read_text().strip().split("\n\n")}


def unit_states(root: Path, folders: dict[str, str]) -> dict[str, list[str]]:
    """deb-systemd-helper's notes: which units it enabled, by which links."""
    return {
        f"{name}/{path.relative_to(root / folder)}": sorted(path.read_text().splitlines())
        for name, folder in folders.items()
        for path in (root / folder).rglob("*")
        if path.is_file()
    }


def test_the_package_databases_are_equal(ours, plain):
    check_databases(ours, plain)


def test_the_package_databases_of_layered_trees_are_equal(layered, plain_layered):
    check_databases(layered.tree, plain_layered)


def test_the_state_of_units_and_questions_is_equal(layered, plain_layered):
    helper, var = "usr/lib/sysimage/deb-systemd-helper", "var/lib/systemd/deb-systemd"
    here = unit_states(layered.tree, {
        "enabled": f"{helper}/enabled", "masked": f"{helper}/masked",
        "user-enabled": f"{helper}/user-enabled", "user-masked": f"{helper}/user-masked",
    })  # fmt: skip
    there = unit_states(plain_layered, {
        "enabled": f"{var}-helper-enabled", "masked": f"{var}-helper-masked",
        "user-enabled": f"{var}-user-helper-enabled", "user-masked": f"{var}-user-helper-masked",
    })  # fmt: skip
    assert here == there
    assert any("nginx" in name for name in here)
    for name in ("config.dat", "templates.dat"):
        debconf = [records(layered.tree / "usr/lib/sysimage/debconf" / name),
                   records(plain_layered / "var/cache/debconf" / name)]  # fmt: skip
        assert debconf[0] == debconf[1]


def test_dpkg_is_content_with_layered_trees(layered):
    assert layered.dpkg("--audit") == ""
    assert layered.verify() == []


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
    assert sorted(different) == []

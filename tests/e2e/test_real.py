"""Real packages layered on a base: their programs run, and the tree is in order.

What plain Debian would have is compared in test_equality.py, whether services answer in
test_services.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.bootable import example_machine
from fixtures.booted import booted, inside, private_mounts  # noqa: F401 - one is a fixture
from fixtures.debrepo import make_deb
from fixtures.machines import Machine, make_machine

pytestmark = [
    pytest.mark.root, pytest.mark.network, pytest.mark.slow,
    pytest.mark.usefixtures("private_mounts"),
]  # fmt: skip
# Package -> a command that needs more than its binary, and what it says.
PROGRAMS = {
    "htop": ("htop --version", "htop"),
    "strace": ("strace -c true 2>&1", "execve"),
    "vim": ("vim -es -c 'put =6*7' -c print -c q! 2>&1", "42"),
    "openssh-server": ("mkdir -p /run/sshd && sshd -T", "hostkey /etc/ssh/ssh_host_rsa_key"),
    "cups": ("cupsd -t 2>&1", '"/etc/cups/cupsd.conf" is OK'),
    "docker.io": ("dockerd --version", "Docker version"),
    "fail2ban": ("fail2ban-regex 'Oct 1 10:00:00 h sshd[1]: Failed password for root from 1.2.3.4 "
                 "port 22 ssh2' sshd", "1 matched"),
    "libvirt-daemon-system": ("libvirtd --version", "libvirt"),
    "iputils-ping": ("ping -c 1 127.0.0.1", "1 received"),
}  # fmt: skip
SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@pytest.fixture(scope="module")
def layered(tmp_path_factory) -> Iterator[Machine]:
    made = make_machine(tmp_path_factory.mktemp("real"))
    made("refresh-md")
    made("install", *PROGRAMS)
    yield made
    made.release()


def test_their_programs_run_after_a_boot(layered, tmp_path):
    said = {}
    with booted(layered, tmp_path / "boot") as root:
        for package, (command, _) in PROGRAMS.items():
            said[package] = inside(root, "sh", "-c", command)
    wrong = {p: said[p] for p, (_, expected) in PROGRAMS.items() if expected not in said[p]}
    assert wrong == {}


def test_accounts_have_fixed_numbers_in_sysusers(layered):
    lines = (layered.tree / "usr/lib/sysusers.d/00-apt-ostree.conf").read_text().splitlines()
    # sysusers.d(5): `u NAME UID[:GID] ...`, `g NAME GID`
    fixed = {(w[0], w[1]): w[2].split(":")[0] for line in lines
             if (w := line.split()) and w[0] in ("u", "g")}  # fmt: skip
    for file, kind in (("passwd", "u"), ("group", "g")):
        rows = [r.split(":") for r in (layered.tree / f"usr/etc/{file}").read_text().splitlines()]
        numbers = {name: number for name, _, number, *_ in rows if name != "root"}
        stated = {name: fixed.get((kind, name)) or fixed.get(("u", name)) for name in numbers}
        assert stated == numbers
    assert ("u", "sshd") in fixed
    assert ("g", "docker") in fixed


def test_no_private_key_is_in_the_tree(layered):
    tree = layered.tree / "usr"
    found = [
        str(path)
        for folder in (tree / "etc", tree / "share/factory", tree / "lib/apt-ostree")
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and SECRET.search(path.read_bytes())
    ]  # fmt: skip
    assert found == []
    assert (tree / "etc/machine-id").read_bytes() == b""
    assert not list((tree / "etc/ssh").glob("ssh_host_*"))


def test_a_local_package_in_opt_runs(machine, tmp_path):
    deb = make_deb(
        tmp_path, "vendor", version="1",
        files={"/opt/vendor/bin/tool": "#!/bin/sh\necho from opt\n", "/opt/vendor/data": "x"},
        scripts={"postinst": "#!/bin/sh\nset -e\nchmod 755 /opt/vendor/bin/tool\n"},
    )  # fmt: skip
    machine("install", deb)
    with booted(machine, tmp_path / "boot") as root:
        assert inside(root, "/opt/vendor/bin/tool") == "from opt\n"
    assert machine.verify("vendor") == []
    machine("uninstall", "vendor")
    with booted(machine, tmp_path / "again") as root:
        assert not (root / "usr/lib/opt/vendor").exists()


def test_another_kernel_replaces_the_first_one(tmp_path_factory):
    """Exactly one stays, with one initramfs of its own that libostree boots."""
    work = tmp_path_factory.mktemp("kernel")
    machine = example_machine(work)
    path = machine.path
    machine("refresh-md")
    (before,) = kernels(machine.tree)
    done = machine("override", "remove", f"linux-image-{before}", "linux-image-amd64",
                   "--install=linux-image-cloud-amd64")  # fmt: skip
    assert done.stdout.count("Generating initramfs") == 1
    (after,) = kernels(machine.tree)
    assert "cloud" in after
    assert after != before
    modules = machine.tree / "usr/lib/modules"
    assert sorted(p.name for p in modules.iterdir()) == [after]
    assert (modules / after / "initramfs.img").stat().st_size > 1 << 20
    assert (modules / after / "modules.dep").stat().st_size > 0
    listed = inside(machine.tree, "lsinitrd", f"/usr/lib/modules/{after}/initramfs.img")
    assert f"usr/lib/modules/{after}/" in listed
    assert f"usr/lib/modules/{before}/" not in listed
    assert machine.verify(f"linux-image-{after}") == []
    entries = [e.read_text() for e in (path / "boot/loader/entries").glob("*.conf")]
    assert any(after in e for e in entries)
    machine.release()


def kernels(tree: Path) -> list[str]:
    return sorted(p.parent.name for p in (tree / "usr/lib/modules").glob("*/vmlinuz"))

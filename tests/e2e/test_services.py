"""A layered service works after the next boot as on plain Debian.

The boot is played by the tree's own systemd-sysusers and systemd-tmpfiles on an empty /var; then
the real daemon is started as its user and asked something.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fixtures.booted import booted, inside, private_mounts  # noqa: F401 - one is a fixture

pytestmark = [
    pytest.mark.root, pytest.mark.network, pytest.mark.slow,
    pytest.mark.usefixtures("private_mounts"),
]  # fmt: skip


def test_postgresql_answers(machine, tmp_path):
    machine("refresh-md")
    machine("install", "postgresql")
    with booted(machine, tmp_path / "boot") as root:
        version = next((root / "usr/lib/postgresql").iterdir()).name
        data = root / "var/lib/postgresql" / version / "main"
        assert data.is_dir()
        uid = int(inside(root, "id", "-u", "postgres"))
        assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (uid, 0o700)
        ctl = f"pg_ctlcluster {version} main"
        inside(root, "install", "-d", "-o", "postgres", "-g", "postgres", "/run/postgresql")
        try:
            inside(root, "su", "postgres", "-c", f"{ctl} start")
            said = inside(root, "su", "postgres", "-c", "psql -tAc 'select 6*7'")
            assert said.strip() == "42"
            inside(root, "su", "postgres", "-c", "createdb mine")
        finally:
            inside(root, "su", "postgres", "-c", f"{ctl} stop -m immediate", ok=(0, 1, 2))
    # a rebuild and another boot must not touch the data
    machine("install", "tree")
    with booted(machine, tmp_path / "again") as root:
        try:
            inside(root, "install", "-d", "-o", "postgres", "-g", "postgres", "/run/postgresql")
            inside(root, "su", "postgres", "-c", f"{ctl} start")
            assert "mine" in inside(root, "su", "postgres", "-c", "psql -lqtA")
        finally:
            inside(root, "su", "postgres", "-c", f"{ctl} stop -m immediate", ok=(0, 1, 2))


def test_mariadb_answers(machine, tmp_path):
    machine("refresh-md")
    machine("install", "mariadb-server")
    with booted(machine, tmp_path / "boot") as root:
        uid = int(inside(root, "id", "-u", "mysql"))
        assert (root / "var/lib/mysql").stat().st_uid == uid
        inside(root, "install", "-d", "-o", "mysql", "-g", "mysql", "/run/mysqld")
        daemon = subprocess.Popen(
            ["chroot", str(root), "mariadbd", "--user=mysql", "--skip-networking"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            inside(root, "mariadb-admin", "--wait=30", "ping")
            assert inside(root, "mariadb", "-Ne", "select 6*7").strip() == "42"
        finally:
            daemon.terminate()
            daemon.wait(timeout=60)


def serve(root: Path) -> str:
    """What the packaged site answers, in a network of its own."""
    script = (
        'ip link set lo up; chroot "$1" nginx; curl -sS --fail http://127.0.0.1/; '
        'chroot "$1" nginx -s stop'
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", script, "sh", str(root)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nginx_has_its_page_and_its_unit_enabled(machine, tmp_path):
    machine("refresh-md")
    machine("install", "nginx")
    wants = machine.tree / "etc/systemd/system/multi-user.target.wants/nginx.service"
    assert wants.is_symlink()
    with booted(machine, tmp_path / "boot") as root:
        page = root / "var/www/html/index.nginx-debian.html"
        assert "nginx" in page.read_text()
        assert serve(root) == page.read_text()
        page.write_text("mine")
    machine("install", "tree")
    with booted(machine, tmp_path / "again") as root:
        assert serve(root) == "mine"


def test_ssh_host_keys_are_the_machines_own(machine, tmp_path):
    machine("refresh-md")
    machine("install", "openssh-server")
    assert list((machine.tree / "usr/etc/ssh").glob("ssh_host_*")) == []
    with booted(machine, tmp_path / "boot") as root:
        assert len(list((root / "etc/ssh").glob("ssh_host_*_key"))) >= 3
        inside(root, "install", "-d", "/run/sshd")
        inside(root, "/usr/sbin/sshd", "-t")


def test_ping_keeps_its_capability(machine):
    machine("refresh-md")
    machine("install", "iputils-ping")
    script = machine.tree / "usr/lib/sysimage/dpkg/info/iputils-ping.postinst"
    if not script.exists() or "setcap" not in script.read_text():
        return  # since Debian 13 ping needs none
    found = subprocess.run(
        ["getcap", str(machine.tree / "usr/bin/ping")], capture_output=True, text=True, check=True
    ).stdout
    assert "cap_net_raw" in found

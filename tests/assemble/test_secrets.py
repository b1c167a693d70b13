"""Secrets leave the tree, and every machine makes its own."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from apt_ostree.assemble import secrets

ETC = "usr/etc"


def put(root: Path, path: str, data: str = "x") -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(data)


@pytest.mark.root
def test_secrets_go_and_everything_else_stays(tmp_path):
    for name in ("ssh/ssh_host_ed25519_key", "ssh/ssh_host_ed25519_key.pub",
                 "ssl/private/ssl-cert-snakeoil.key", "ssl/certs/ssl-cert-snakeoil.pem",
                 "iscsi/initiatorname.iscsi", "bind/rndc.key", "munge/munge.key",
                 "unbound/unbound_server.key", "unbound/unbound_server.pem",
                 "dropbear/dropbear_rsa_host_key", "ssh/sshd_config", "ssl/certs/real.pem",
                 "unbound/unbound.conf"):  # fmt: skip
        put(tmp_path, f"{ETC}/{name}")
    put(tmp_path, f"{ETC}/machine-id", "0123456789abcdef0123456789abcdef\n")
    os.symlink("ssl-cert-snakeoil.pem", tmp_path / ETC / "ssl/certs/abcd1234.0")
    os.symlink("real.pem", tmp_path / ETC / "ssl/certs/feed5678.0")
    gone = secrets.remove(tmp_path, tmp_path)
    left = {
        str(p.relative_to(tmp_path / ETC)) for p in (tmp_path / ETC).rglob("*") if not p.is_dir()
    }
    assert left == {
        "ssh/sshd_config", "ssl/certs/real.pem", "ssl/certs/feed5678.0", "unbound/unbound.conf",
        "machine-id",
    }  # fmt: skip
    assert (tmp_path / ETC / "machine-id").read_bytes() == b""
    assert f"{ETC}/ssl/certs/abcd1234.0" in gone
    assert secrets.remove(tmp_path, tmp_path) == ()


@pytest.mark.root
def test_only_what_the_build_changed_is_looked_at(tmp_path):
    put(tmp_path, f"root/{ETC}/ssh/ssh_host_rsa_key")
    (tmp_path / "upper/usr/etc/ssh").mkdir(parents=True)
    assert secrets.remove(tmp_path / "root", tmp_path / "upper") == ()
    put(tmp_path, f"upper/{ETC}/ssh/ssh_host_rsa_key")
    assert secrets.remove(tmp_path / "root", tmp_path / "upper") == (f"{ETC}/ssh/ssh_host_rsa_key",)


@pytest.mark.root
def test_the_unit_is_enabled_and_valid(tmp_path):
    secrets.write_unit(tmp_path)
    secrets.write_unit(tmp_path)
    assert (tmp_path / secrets.WANTS).resolve() == tmp_path / secrets.UNIT
    assert stat.S_IMODE((tmp_path / secrets.SCRIPT).stat().st_mode) == 0o755
    subprocess.run(["sh", "-n", tmp_path / secrets.SCRIPT], check=True)
    text = (tmp_path / secrets.UNIT).read_text()
    exists = tmp_path / "here.service"
    exists.write_text(text.replace("/usr/lib/apt-ostree/make-identity", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", exists], capture_output=True, text=True, check=False
    )
    said = [x for x in done.stderr.splitlines() if "here.service" in x and "Command 'man" not in x]
    assert said == []


def test_every_secret_has_a_reason():
    assert all(s.pattern.startswith("usr/etc/") and s.reason for s in secrets.SECRETS)


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="openssh-client is not installed")
def test_a_machine_makes_its_own_keys_once(tmp_path):
    """The script in a private root: missing and empty keys are made, others stay."""
    root = tmp_path / "root"
    for name in ("usr", "etc/ssh", "tmp", "run"):
        (root / name).mkdir(parents=True)
    shutil.copy("/etc/passwd", root / "etc")
    shutil.copy("/etc/group", root / "etc")
    (root / "etc/ssh/ssh_host_rsa_key").write_text("")
    script = tmp_path / "make-identity"
    # Only whether it is there counts; a link on a tmpfs stands for the daemon.
    script.write_text(secrets.script().replace("/usr/sbin/sshd", "/run/sshd"))
    (tmp_path / "sshd").write_text("")
    os.chmod(tmp_path / "sshd", 0o755)
    for name in ("bin", "lib", "lib64"):
        os.symlink(f"usr/{name}", root / name)
    argv = ["bwrap", "--bind", root, "/", "--ro-bind", "/usr", "/usr", "--dev", "/dev",
            "--proc", "/proc", "--tmpfs", "/run", "--ro-bind", tmp_path / "sshd", "/run/sshd",
            "--ro-bind", script, "/tmp/make-identity", "--clearenv", "--setenv", "PATH",
            "/usr/sbin:/usr/bin", "sh", "/tmp/make-identity"]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    key = root / "etc/ssh/ssh_host_rsa_key"
    first = key.read_text()
    assert "PRIVATE KEY" in first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (root / "etc/ssh/ssh_host_ed25519_key.pub").exists()
    subprocess.run(argv, check=True, capture_output=True)
    assert key.read_text() == first

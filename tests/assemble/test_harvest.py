"""What scripts leave in /var ends as tmpfiles.d lines and factory files, or nowhere."""

import os
import subprocess
from pathlib import Path

import pytest

from apt_ostree.assemble import accounts, normalize, secrets, var, varseed

pytestmark = pytest.mark.root
PASSWD = "root:x:0:0::/root:/bin/sh\npg:x:105:106::/:/bin/false\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "root"
    for name in ("usr/etc", "usr/lib/tmpfiles.d", "usr/lib/sysimage/dpkg/info", "var/lib"):
        (tree / name).mkdir(parents=True)
    (tree / "usr/etc/passwd").write_text(PASSWD)
    (tree / "usr/etc/group").write_text("root:x:0:\npg:x:106:\n")
    return tree


def put(root: Path, path: str, text: str = "x", *, owner: int = 0, mode: int = 0o644) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)
    os.chown(target, owner, owner)


def ship(root: Path, package: str, *paths: str) -> None:
    (root / "usr/lib/sysimage/dpkg/info" / f"{package}.list").write_text(
        "".join(f"{p}\n" for p in paths)
    )


def harvest(root: Path) -> tuple[var.Harvest, str]:
    names = accounts.load(root / accounts.ETC)
    done = var.harvest(root, root, accounts=names, conf=varseed.LAYER_CONF)
    conf = root / "usr/lib/tmpfiles.d" / varseed.LAYER_CONF
    return done, conf.read_text() if conf.exists() else ""


def test_directories_and_links_become_lines(root):
    folder = root / "var/lib/app/data dir"
    folder.mkdir(parents=True)
    folder.chmod(0o2750)
    os.chown(folder, 105, 106)
    (root / "var/lib/app/link").symlink_to("data dir")
    _, lines = harvest(root)
    assert 'd "/var/lib/app/data dir" 2750 pg pg -' in lines
    assert "L /var/lib/app/link - - - - data dir" in lines


def test_a_script_made_directory_is_copied_as_a_whole(root):
    ship(root, "db", "/.", "/var", "/var/lib", "/var/lib/db")
    put(root, "var/lib/db/15/main/base", "data", owner=105, mode=0o600)
    (root / "var/lib/db/15/main").chmod(0o700)
    _, lines = harvest(root)
    assert "C /var/lib/db/15 - - - -" in lines
    assert "d /var/lib/db 0755 root root -" in lines
    assert "/var/lib/db/15/main" not in lines.replace("C /var/lib/db/15 ", "")
    copy = root / "usr/share/factory/var/lib/db/15/main/base"
    assert (copy.read_text(), copy.stat().st_uid, copy.stat().st_mode & 0o777) == (
        "data", 105, 0o600,
    )  # fmt: skip
    assert (copy.parent.stat().st_mode & 0o777) == 0o700


def test_systemd_copies_what_is_missing_and_nothing_else(root, tmp_path):
    ship(root, "db", "/var/lib/db")
    put(root, "var/lib/db/15/base", "factory", owner=105, mode=0o600)
    harvest(root)
    for old in ("db", "app"):
        subprocess.run(["rm", "-rf", str(root / "var/lib" / old)], check=True)
    conf = root / "usr/lib/tmpfiles.d" / varseed.LAYER_CONF
    (root / "etc").symlink_to("usr/etc")
    command = ["systemd-tmpfiles", "--create", f"--root={root}", str(conf)]
    if subprocess.run(["which", "systemd-tmpfiles"], capture_output=True, check=False).returncode:
        pytest.skip("systemd-tmpfiles is not installed")
    subprocess.run(command, check=True, capture_output=True)
    made = root / "var/lib/db/15/base"
    assert (made.read_text(), made.stat().st_uid) == ("factory", 105)
    made.write_text("mine")
    subprocess.run(command, check=True, capture_output=True)
    assert made.read_text() == "mine"


@pytest.mark.parametrize("path", [
    "var/log/app.log", "var/cache/app/index", "var/lib/app/lock", "var/lib/app/x.dpkg-new",
    "var/lib/systemd/random-seed", "var/roothome/.ssh/id",
])  # fmt: skip
def test_noise_and_secrets_go_nowhere(root, path):
    put(root, path)
    done, lines = harvest(root)
    assert not (root / "usr/share/factory" / path).exists()
    assert f"/{path}" not in lines
    assert any(path.startswith(dropped) for dropped, _ in done.dropped)


def test_what_other_files_define_stays_theirs(root):
    put(root, "usr/lib/tmpfiles.d/app.conf", "d /var/lib/app 0700 pg pg -\n")
    (root / "var/lib/app").mkdir()
    _, lines = harvest(root)
    assert "/var/lib/app " not in lines


def test_opt_moves_below_usr(root):
    put(root, "var/opt/vendor/bin/tool", "x", mode=0o755)
    _, lines = harvest(root)
    assert (root / "usr/lib/opt/vendor/bin/tool").read_text() == "x"
    assert "L /var/opt/vendor - - - - ../../usr/lib/opt/vendor" in lines


def test_links_in_var_do_not_lead_out_of_the_tree(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "var/lib/evil").symlink_to(outside)
    harvest(root)
    assert list(outside.iterdir()) == []


def test_the_seed_is_what_the_tree_makes_at_boot(root):
    put(root, "usr/lib/tmpfiles.d/app.conf", "d /var/lib/app 0710 pg pg -\n")
    put(root, "usr/share/factory/var/lib/seed", "s", owner=105)
    put(root, "usr/lib/tmpfiles.d/seed.conf", "C /var/lib/seed - - - -\n")
    varseed.seed(root)
    info = (root / "var/lib/app").stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (105, 106, 0o710)
    assert (root / "var/lib/seed").stat().st_uid == 105
    assert os.readlink(root / "var/lib/dpkg") == "../../usr/lib/sysimage/dpkg"
    assert (root / "var/usrlocal/bin").is_dir()


def test_secrets_are_removed_and_made_on_the_machine(root):
    for path in (
        "ssh/ssh_host_rsa_key",
        "ssh/ssh_host_rsa_key.pub",
        "ssl/private/ssl-cert-snakeoil.key",
    ):
        put(root, f"usr/etc/{path}", "secret")
    put(root, "usr/etc/ssh/sshd_config", "config")
    put(root, "usr/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    gone = secrets.remove(root, root)
    assert len(gone) == 4
    assert (root / "usr/etc/machine-id").read_bytes() == b""
    assert (root / "usr/etc/ssh/sshd_config").exists()
    assert not (root / "usr/etc/ssh/ssh_host_rsa_key").exists()
    secrets.write_unit(root)
    script = root / secrets.SCRIPT
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert (root / secrets.WANTS).resolve() == (root / secrets.UNIT).resolve()


def test_debconf_and_status_have_one_order(root):
    state = root / "usr/lib/sysimage/debconf"
    put(root, "usr/lib/sysimage/debconf/config.dat", "Name: b\n\nName: a\n\n")
    put(root, "usr/lib/sysimage/debconf/passwords.dat", "secret")
    put(root, "usr/lib/sysimage/dpkg/status",
        "Package: b\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"
        "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n")  # fmt: skip
    put(root, "usr/lib/sysimage/dpkg/status-old", "old")
    normalize.package_state(root)
    assert (state / "config.dat").read_text() == "Name: a\n\nName: b\n\n"
    assert not (state / "passwords.dat").exists()
    assert (root / "usr/lib/sysimage/dpkg/status").read_text().startswith("Package: a\n")
    assert not (root / "usr/lib/sysimage/dpkg/status-old").exists()

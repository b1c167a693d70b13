"""Real packages of the archive, with their real scripts, from .deb to a clean database."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fixtures.rootfs import CACHE, essential_root

from apt_ostree.sandbox.bwrap import target_root
from apt_ostree.sandbox.policy import TMPFILES
from apt_ostree.sandbox.scripts import Dpkg

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]

PACKAGES = ("systemd-sysv", "udev", "dbus", "openssh-server", "cron", "man-db", "sudo",
            "iputils-ping", "ca-certificates", "libpam-systemd", "polkitd", "rsyslog",
            "logrotate", "systemd-resolved", "dracut", "kmod")  # fmt: skip


@pytest.fixture(scope="module")
def debs() -> list[Path]:
    archives = CACHE / "sandbox-archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    status = CACHE / "sandbox-status"
    if "TEST_SUITE" in os.environ:
        pytest.skip("apt would download the host's suite")
    shutil.copy(essential_root() / "usr/lib/sysimage/dpkg/status", status)
    settings = {"Dir::State::status": str(status), "Dir::Cache::archives": str(archives),
                "APT::Sandbox::User": "root", "Debug::NoLocking": "1"}  # fmt: skip
    options = [f"-o{name}={value}" for name, value in settings.items()]
    got = subprocess.run(
        ["apt-get", *options, "install", "--yes", "--no-install-recommends", "--download-only", *PACKAGES],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    if got.returncode != 0:
        pytest.skip(f"cannot download: {got.stderr.strip().splitlines()[-1:]}")
    return sorted(archives.glob("*.deb"))


def test_real_packages(tree, token, debs):
    before = len(tree.changes())
    with target_root(tree.root, source_date_epoch=1, env={"T": token}) as box:
        dpkg = Dpkg(box)
        dpkg.unpack(debs, force=["depends"])
        dpkg.configure()
        dpkg.triggers()
        assert dpkg.audit() == ()
        shown = box.run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}\n"]).output
        assert set(shown.split("\n")) == {"ii ", ""}
        assert "cap_net_raw" in box.run(["getcap", "/usr/bin/ping"]).output
        dpkg.purge(["cron", "cron-daemon-common"])
        dpkg.triggers()
        assert dpkg.audit() == ()
    assert len(tree.changes()) > before
    etc = tree.root / "usr/etc"
    assert os.readlink(etc / "systemd/system/multi-user.target.wants/ssh.service")
    assert not os.path.lexists(tree.root / "etc")
    with target_root(tree.root, policy=TMPFILES, env={"T": token}) as box:
        box.run(["systemd-tmpfiles", "--create", "--prefix=/var", "--prefix=/etc"])

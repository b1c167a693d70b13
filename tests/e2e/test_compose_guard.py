"""What a finished tree does about apt: a clear answer instead of a failure half way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from fixtures.debrepo import make_deb
from fixtures.machines import REF, base_repo

pytestmark = [pytest.mark.root, pytest.mark.network]
MASKED = (
    "apt-daily.timer", "apt-daily.service", "apt-daily-upgrade.timer", "apt-daily-upgrade.service",
    "dpkg-db-backup.timer", "unattended-upgrades.service",
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A plain copy of a tree with apt, /etc where a deployment has it."""
    place = tmp_path_factory.mktemp("guard") / "tree"
    subprocess.run(
        ["ostree", f"--repo={base_repo()}", "checkout", "--force-copy", REF, place], check=True
    )
    shutil.copytree(place / "usr/etc", place / "etc", symlinks=True)
    var = place.parent / "var"
    for path in ("lib/apt/lists/partial", "cache/apt/archives/partial", "log/apt", "tmp"):
        (var / path).mkdir(parents=True)
    (var / "lib/dpkg").symlink_to("../../usr/lib/sysimage/dpkg")
    yield place
    shutil.rmtree(place.parent)


def inside(tree: Path, *argv: str, writable: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a program of the tree with its /usr as a booted machine has it."""
    usr = () if writable else ("--ro-bind", f"{tree}/usr", "/usr")
    return subprocess.run(
        ["bwrap", "--bind", tree, "/", *usr, "--bind", f"{tree.parent}/var", "/var", "--proc", "/proc",
         "--dev", "/dev", "--tmpfs", "/run", "--unshare-net", *argv],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "advice"),
    [
        (["apt-get", "-y", "remove", "kmod"], "apt-ostree uninstall kmod"),
        (["apt", "-y", "--reinstall", "install", "./hello.deb"], "apt-ostree install ./hello.deb"),
        (["apt-get", "-y", "purge", "kmod", "udev"], "apt-ostree uninstall kmod udev"),
    ],
)
def test_apt_is_stopped_before_dpkg(tree, argv, advice, tmp_path):
    deb = make_deb(tmp_path, "hello")
    shutil.copyfile(deb, tree / "hello.deb")
    before = (tree / "usr/lib/sysimage/dpkg/status").read_bytes()
    done = inside(tree, "--chdir", "/", *argv)
    assert done.returncode != 0
    assert f"use `{advice}`" in done.stderr
    assert (tree / "usr/lib/sysimage/dpkg/status").read_bytes() == before


def test_apt_works_where_usr_can_be_written(tree):
    done = inside(
        tree, "apt-get", "-y", "--allow-remove-essential", "remove", "kmod", writable=True
    )
    assert done.returncode == 0, done.stderr
    assert not (tree / "usr/bin/kmod").exists()


def test_reading_commands_are_left_alone(tree):
    for argv in (
        ["dpkg", "-l", "udev"],
        ["apt", "list", "--installed"],
        ["apt-cache", "policy", "udev"],
    ):
        done = inside(tree, *argv)
        assert done.returncode == 0, done.stderr
        assert "udev" in done.stdout


def test_units_that_would_run_apt_are_masked(tree):
    units = tree / "usr/etc/systemd/system"
    for name in MASKED:
        assert (units / name).readlink() == Path("/dev/null"), name


def test_the_sources_of_the_compose_are_in_the_tree(tree):
    text = (tree / "usr/etc/apt/sources.list.d/base.sources").read_text()
    assert "Types: deb" in text and "Suites: " in text
    assert (tree / "usr/etc/apt/sources.list.d/base.sources").stat().st_mode & 0o777 == 0o644

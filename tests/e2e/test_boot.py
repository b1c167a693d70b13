"""A composed, deployed and layered tree boots to a login without a failed unit.

The boot loader plays no part here: QEMU gets kernel and initramfs from `/boot`.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from fixtures.bootable import bootable_repo, example_ref
from fixtures.machines import Machine, run

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]
BOOT_S = 400
QEMU = "qemu-system-x86_64"


def entry(sysroot: Path) -> dict[str, str]:
    """The boot entry that comes first."""
    entries = sorted((sysroot / "boot/loader/entries").glob("*.conf"))
    parsed = [dict(line.split(" ", 1) for line in e.read_text().splitlines()) for e in entries]
    return max(parsed, key=lambda e: int(e["version"]))


def boot(disk: Path, sysroot: Path, log: Path, until: re.Pattern[str]) -> str:
    """Boot until the serial console shows `until`; the console's text."""
    first = entry(sysroot)
    boot_dir = f"{sysroot}/boot"
    arguments = f"root=/dev/vda rw console=ttyS0 systemd.show_status=1 {first['options']}"
    command = [
        QEMU, "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024", "-nodefaults",
        "-no-user-config", "-display", "none", "-serial", f"file:{log}", "-no-reboot",
        "-device", "virtio-rng-pci", "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
        "-kernel", boot_dir + first["linux"], "-initrd", boot_dir + first["initrd"],
        "-append", arguments,
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as guest:
        try:
            deadline = time.monotonic() + BOOT_S
            while time.monotonic() < deadline and guest.poll() is None:
                text = log.read_text(errors="replace") if log.exists() else ""
                if until.search(text):
                    return text
                try:
                    guest.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            guest.kill()
    text = log.read_text(errors="replace") if log.exists() else ""
    raise AssertionError(f"did not boot; the console ends with:\n{text[-3000:]}")


def test_a_layered_tree_boots(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed")
    work = tmp_path_factory.mktemp("boot")
    path = work / "sysroot"
    run("init", "--stateroot=debian", path)
    subprocess.run(
        ["ostree", f"--repo={path}/ostree/repo", "pull-local", str(bootable_repo()), example_ref()],
        check=True, capture_output=True,
    )  # fmt: skip
    machine = Machine(path, work / "debs")
    machine("rebase", example_ref())
    machine("install", "htop")
    disk = work / "disk.ext4"
    with disk.open("wb") as out:
        out.truncate(2 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(path), str(disk)], check=True)
    text = boot(disk, path, work / "console.log", re.compile(r"login: "))
    machine.release()
    assert "[FAILED]" not in text
    assert "Reached target" in text

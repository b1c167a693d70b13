"""How a system boots: kernel arguments, files of /etc for the initramfs, going back."""

import re
from pathlib import Path

import pytest

from apt_ostree.assemble import cpio

pytestmark = [pytest.mark.root, pytest.mark.network]


@pytest.fixture
def machine(branch, tmp_path):
    """A machine whose package sources are gone: nothing here may need them."""
    made = branch.machine(tmp_path)
    for source in (made.tree / "etc/apt/sources.list.d").iterdir():
        source.unlink()
    yield made
    made.check()
    made.release()


def entry(machine, index: int = 0) -> dict[str, list[str]]:
    """The boot entry of a deployment, values by key."""
    found = []
    for path in (machine.path / "boot/loader/entries").glob("*.conf"):
        values: dict[str, list[str]] = {}
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        found.append(values)
    return sorted(found, key=lambda e: -int(e["version"][0]))[index]


def words(machine, *argv: str) -> list[str]:
    """The kernel arguments but the one that libostree writes."""
    return [w for w in machine("kargs", *argv).stdout.split() if not w.startswith("ostree=")]


def test_kernel_arguments(machine):
    assert machine("kargs").stdout.strip() == entry(machine)["options"][0]
    assert words(machine) == []
    done = machine("kargs", "--append=console=tty0", "--append=console=ttyS0", "--append=quiet")
    assert done.stdout.endswith(
        'Changes queued for next boot. Run "systemctl reboot" to start a reboot\n'
    )
    assert words(machine) == ["console=tty0", "console=ttyS0", "quiet"]
    assert words(machine, "--deploy-index=1") == []

    refused = {
        "--delete=console": "Multiple values for key 'console' found",
        "--delete=nothing": "No key 'nothing' found",
        "--replace=console=tty9=x": "No karg 'console=tty9' found",
        "--deploy-index=7": "Out of range deployment index 7, expected < 2",
    }
    for argument, text in refused.items():
        extra = ["--append=x"] if "index" in argument else []
        done = machine("kargs", argument, *extra, ok=[1])
        assert done.stderr.splitlines()[0] == f"error: {text}"
        assert done.stderr.splitlines()[1], "no hint"
    assert words(machine) == ["console=tty0", "console=ttyS0", "quiet"]

    for unchanged in ("--append-if-missing=quiet", "--delete-if-present=nothing"):
        assert machine("kargs", unchanged).stdout == "No changes.\n"
        assert machine("kargs", unchanged, "--unchanged-exit-77", ok=[77]).stdout == "No changes.\n"

    machine("kargs", "--replace=console=tty0=tty1", "--append-if-missing=rw",
            "--delete-if-present=quiet")  # fmt: skip
    assert words(machine) == ["console=tty1", "console=ttyS0", "rw"]
    machine("kargs", "--deploy-index=1", "--append=debug")
    assert words(machine) == ["console=tty0", "console=ttyS0", "quiet", "debug"]
    machine("kargs", "--editor", EDITOR="sed -i -e s/quiet/splash/")
    assert words(machine) == ["console=tty0", "console=ttyS0", "splash", "debug"]


def test_kernel_arguments_stay_through_a_new_base_and_go_back_with_it(branch, machine):
    machine("kargs", "--append=keep=1")
    branch.point("2")
    machine("upgrade")
    assert words(machine) == ["keep=1"]
    machine("kargs", "--delete=keep=1")
    done = machine("rollback")
    moved = machine.deployments[0]
    assert done.stdout.splitlines()[0] == (
        f"Moving '{moved['checksum']}.{moved['serial']}' to be first deployment"
    )
    assert words(machine) == ["keep=1"]


def overlay(machine, index: int = 0) -> dict[str, bytes]:
    """What the overlay of a boot entry holds besides directories, by path."""
    archives = entry(machine, index)["initrd"][1:]
    if not archives:
        return {}
    assert len(archives) == 1
    unpacked = machine.path.parent / "unpacked"
    data = (machine.path / "boot" / archives[0].lstrip("/")).read_bytes()
    assert cpio.names(data)[0] == "etc"
    import shutil
    import subprocess

    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    subprocess.run(["cpio", "-idm", "--quiet"], cwd=unpacked, input=data, check=True)
    return {
        str(p.relative_to(unpacked)): str(p.readlink()).encode()
        if p.is_symlink()
        else p.read_bytes()
        for p in unpacked.rglob("*")
        if p.is_symlink() or p.is_file()
    }


def test_tracked_files_reach_the_boot_entry(branch, machine):
    etc = machine.tree / "etc"
    (etc / "crypttab").write_text("luks-1\n")
    (etc / "lvm/profile").mkdir(parents=True)
    (etc / "lvm/lvm.conf").write_text("conf\n")
    (etc / "lvm/link").symlink_to("lvm.conf")
    assert machine("initramfs-etc").stdout == "No tracked files.\n"
    assert len(entry(machine)["initrd"]) == 1

    done = machine("initramfs-etc", "--track=/etc/crypttab", "--track=/etc/lvm")
    assert done.stdout.endswith('Run "systemctl reboot" to start a reboot\n')
    assert machine("initramfs-etc").stdout == "Tracked files:\n  /etc/crypttab\n  /etc/lvm\n"
    assert machine.deployments[0]["initramfs-etc"] == ["/etc/crypttab", "/etc/lvm"]
    expected = {"etc/crypttab": b"luks-1\n", "etc/lvm/lvm.conf": b"conf\n",
                "etc/lvm/link": b"lvm.conf"}  # fmt: skip
    assert overlay(machine) == expected
    assert overlay(machine, 1) == {}
    archive = machine.path / "boot" / entry(machine)["initrd"][1].lstrip("/")
    assert archive.stat().st_mode & 0o077 == 0
    # as the base has been taken: nothing was built
    assert machine.deployments[0]["checksum"] == branch.commits["1"]

    for again in (["--track=/etc/crypttab"], ["--untrack=/etc/none"]):
        assert machine("initramfs-etc", *again).stdout == "No changes.\n"
        machine("initramfs-etc", *again, "--unchanged-exit-77", ok=[77])

    (machine.tree / "etc/crypttab").write_text("luks-2\n")
    assert overlay(machine) == expected
    machine("initramfs-etc", "--force-sync")
    assert overlay(machine)["etc/crypttab"] == b"luks-2\n"

    branch.point("2")
    machine("upgrade")
    assert overlay(machine)["etc/crypttab"] == b"luks-2\n"

    machine("initramfs-etc", "--untrack=/etc/lvm")
    assert list(overlay(machine)) == ["etc/crypttab"]
    machine("initramfs-etc", "--untrack-all")
    assert overlay(machine) == {}
    machine("cleanup", "-r")
    assert list((machine.path / "boot/ostree").glob("initramfs-overlays/*")) == []


def test_tracking_what_cannot_be_tracked(machine):
    for path, text in (
        ("/usr/lib/os-release", "Path outside /etc forbidden: /usr/lib/os-release"),
        ("/etc/../root", "invalid path /etc/../root: must be canonical"),
    ):
        done = machine("initramfs-etc", f"--track={path}", ok=[1])
        assert done.stderr.startswith(f"error: {text}\n")
    done = machine("initramfs-etc", "--track=/etc/no-such-file")
    assert "warning: tracked file /etc/no-such-file does not exist" in done.stdout
    assert overlay(machine) == {}
    done = machine("initramfs", "--enable", ok=[1])
    assert done.stderr.startswith(
        "error: initramfs regeneration and /etc overlay not compatible; use dracut arg -I instead"
    )


def test_initramfs_questions_and_contradictions(machine):
    assert machine("initramfs").stdout == "Initramfs regeneration: disabled\n"
    for argv, text in (
        (["--reboot"], "--reboot must be used with --enable or --disable"),
        (["--arg=x"], "--arg must be used with --enable"),
        (["--enable", "--disable"], "Cannot simultaenously specify --enable and --disable"),
        (["--disable", "--arg=x"], "Cannot simultaenously specify --disable and --arg"),
        (["--disable"], "initramfs regeneration state is already disabled"),
    ):
        assert machine("initramfs", *argv, ok=[1]).stderr.startswith(f"error: {text}")


def test_nothing_to_roll_back_to(machine):
    machine("cleanup", "-r")
    done = machine("rollback", ok=[1])
    assert re.match(r"error: No rollback deployment found\n\S", done.stderr)
    assert not Path(machine.path / "nothing").exists()

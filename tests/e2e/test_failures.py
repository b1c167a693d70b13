"""Whatever ends a change, the machine stays as it was and the next change works."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
from pathlib import Path

import pytest
from fixtures.debrepo import make_deb, make_key, make_repo
from fixtures.machines import CHECKOUT, PROGRAM, make_machine, run

pytestmark = [pytest.mark.root, pytest.mark.network]

# Reached by an install of one package; the others belong to composes, clean-ups and refreshes.
INSTALL_POINTS = (
    "import.before-commit", "import.before-ref",
    "repo.before-commit-transaction", "repo.after-commit-transaction", "install.before-scripts",
    "install.after-scripts", "build.before-commit", "change.before-deploy",
    "deploy.before-checkout", "deploy.before-write", "deploy.after-write", "cleanup.before-prune",
    "fs.before-rename",
)  # fmt: skip
SLOW_SCRIPT = "#!/bin/sh\nset -e\necho working\n: >/usr/share/was-here\n"


def named_points() -> set[str]:
    text = "".join(p.read_text() for p in (CHECKOUT / "src").rglob("*.py"))
    return set(re.findall(r'failpoint\.reach\("([^"]+)"\)', text))


def wait_for(child: subprocess.Popen[str], command: str) -> None:
    """Until a process with this command line (NUL between words) runs."""
    for _ in range(600):
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if entry.read_text(errors="replace").startswith(command):
                    return
            except OSError:
                continue
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.1)
            raise AssertionError(f"ended too early: {child.communicate()}")
    raise AssertionError(f"no process {command!r}")


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every path below a directory with mode, size and time."""
    found = {}
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            info = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (info.st_mode, info.st_size, info.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One machine for all kills: each must leave it usable for the next."""
    work = tmp_path_factory.mktemp("failures")
    machine = make_machine(work)
    machine.publish(
        *(
            make_deb(work, f"pkg{n}", files={f"/usr/share/pkg{n}": "x"},
                     scripts={"postinst": SLOW_SCRIPT})
            for n in range(40)
        )
    )  # fmt: skip
    yield machine
    machine.release()


def test_every_point_of_an_install_exists():
    assert set(INSTALL_POINTS) <= named_points()


@pytest.mark.parametrize("point", INSTALL_POINTS)
@pytest.mark.parametrize("action", ["kill", "error"])
def test_a_crash_leaves_the_machine_whole(shared, point, action):
    package = f"pkg{INSTALL_POINTS.index(point) * 2 + (action == 'kill')}"
    before = shared.tree
    done = shared("install", package, ok=(-9, 1, 0), FAILPOINTS=f"{point}={action}")
    assert "Traceback" not in done.stderr
    if action == "kill":
        assert done.returncode in (-9, 1), "the failure point was not reached"
    assert (before / "usr/bin/dpkg").exists()
    shared("install", "--idempotent", package)
    assert (shared.tree / f"usr/share/{package}").exists()
    shared.check()
    shared("uninstall", package)


def test_killing_at_random_times(shared):
    generator = random.Random(7)
    for _ in range(6):
        child = subprocess.Popen(
            [str(PROGRAM), "install", f"--sysroot={shared.path}", "pkg39"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            child.wait(timeout=generator.uniform(0.1, 2.5))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        shared("status")
        shared("kargs", "--append=quiet")
        shared.check()
        shared("uninstall", "--idempotent", "pkg39")


def test_ctrl_c_ends_with_130_and_leaves_nothing(machine, tmp_path):
    machine.publish(
        make_deb(tmp_path, "hang", scripts={"postinst": "#!/bin/sh\necho hanging\nsleep 1000\n"})
    )
    before = machine.tree
    child = subprocess.Popen(
        [str(PROGRAM), "install", f"--sysroot={machine.path}", "hang"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(child, "sleep\x001000")
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in said
    assert machine.tree == before
    machine.check()


HOSTILE = {
    "exits": ("echo one; echo two; exit 7", r"postinst configure '' failed with exit status 7"),
    "kills": ("kill -9 -1; sleep 5", "postinst"),
    "removes": ("rm -rf --no-preserve-root / 2>/dev/null; true", "."),
    "mounts": ("mount -t tmpfs none /mnt", "postinst configure"),
    "network": ("exec 3<>/dev/tcp/127.0.0.1/22", "postinst configure"),
    "immutable": ("touch /usr/share/i; chattr +i /usr/share/i", "postinst configure"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scripts_fail_cleanly(machine, tmp_path, name):
    code, message = HOSTILE[name]
    script = f"#!/bin/bash\nset -e\n{code}\n"
    machine.publish(make_deb(tmp_path, "evil", scripts={"postinst": script}))
    before, files = machine.tree, snapshot(machine.tree)
    done = machine("install", "evil", ok=(1,))
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    if name == "exits":
        assert "evil.postinst: one" in done.stderr
        assert "evil.postinst: two" in done.stderr
    assert machine.tree == before
    assert snapshot(machine.tree) == files
    machine.check()


def test_dry_runs_change_not_one_byte(machine, tmp_path):
    deb = make_deb(tmp_path, "local", files={"/usr/bin/local": "x"})
    machine.publish(make_deb(tmp_path, "hello", files={"/usr/bin/hello": "x"}))
    machine("install", "hello")
    before = snapshot(machine.path)
    for command in (
        ("install", "-n", str(deb)), ("uninstall", "-n", "hello"), ("upgrade", "-n"),
        ("override", "remove", "-n", "kmod"), ("reset", "-n"), ("rollback", "-n"),
        ("kargs", "-n", "--append=x"), ("cleanup", "-n", "-b"), ("prune", "-n"),
    ):  # fmt: skip
        if command[0] == "override":
            run("override", "remove", f"--sysroot={machine.path}", "-n", "kmod", ok=(0, 1))
        else:
            machine(*command)
        now = snapshot(machine.path)
        changed = {p for p in now.keys() | before.keys() if now.get(p) != before.get(p)}
        assert changed == set(), command


def test_untrusted_sources_are_refused(machine, tmp_path):
    key, other = make_key(tmp_path / "k1"), make_key(tmp_path / "k2")
    deb = make_deb(tmp_path, "hello", files={"/usr/bin/hello": "x"})
    sources = machine.tree / "etc/apt/sources.list.d"
    for old in sources.glob("*"):
        old.unlink()
    for sign, message in ((None, "not signed"), (other, "verif|NO_PUBKEY|signature")):
        where = tmp_path / f"repo-{sign is None}"
        make_repo(where, [deb], sign=sign)
        (sources / "t.sources").write_text(
            f"Types: deb\nURIs: file:{where}\nSuites: stable\nComponents: main\n"
            f"Signed-By: {key.public}\n"
        )
        done = machine("install", "hello", ok=(1,))
        assert re.search(message, done.stderr), done.stderr
    where = tmp_path / "good"
    make_repo(where, [deb], sign=key)
    (sources / "t.sources").write_text(
        f"Types: deb\nURIs: file:{where}\nSuites: stable\nComponents: main\n"
        f"Signed-By: {key.public}\n"
    )
    pool = next((where / "pool").glob("*.deb"))
    pool.write_bytes(pool.read_bytes()[:-10] + b"0123456789")
    machine("refresh-md")
    done = machine("install", "hello", ok=(1,))
    assert "error:" in done.stderr
    assert machine.deployments[0]["packages"] == []
    machine.check()


def test_garbage_is_refused_without_a_traceback(machine, tmp_path):
    junk = tmp_path / "junk.deb"
    junk.write_bytes(b"!<arch>\nnot a package")
    for path in (junk, tmp_path / "missing.deb"):
        done = machine("install", str(path), ok=(1,))
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
    machine.check()


def test_a_full_disk_is_told_before_and_harmless_after(tmp_path):
    image, mountpoint = tmp_path / "disk", tmp_path / "mnt"
    mountpoint.mkdir()
    with image.open("wb") as out:
        out.truncate(700 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mountpoint)], check=True)
    try:
        machine = make_machine(mountpoint)
        blob = os.urandom(30 << 20)
        machine.publish(make_deb(tmp_path, "big", files={"/usr/share/big": blob}))
        free = os.statvfs(mountpoint)
        filler = mountpoint / "filler"
        room = free.f_bavail * free.f_frsize - (40 << 20)
        with filler.open("wb") as out:
            os.posix_fallocate(out.fileno(), 0, room)
        before = machine.tree
        done = machine("install", "big", ok=(1,))
        assert re.search(r"needs about .* only .* free", done.stderr), done.stderr
        assert machine.tree == before
        filler.unlink()
        machine("install", "big")
        assert (machine.tree / "usr/share/big").stat().st_size == 30 << 20
        machine.check()
        machine.release()
    finally:
        subprocess.run(["umount", "-l", str(mountpoint)], check=False)


def test_two_at_once_do_not_mix(machine, tmp_path):
    machine.publish(
        make_deb(tmp_path, "slow", scripts={"postinst": "#!/bin/sh\nsleep 4\n"}),
        make_deb(tmp_path, "fast"),
    )
    first = subprocess.Popen(
        [str(PROGRAM), "install", f"--sysroot={machine.path}", "slow"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout is not None
    first.stdout.readline()
    second = machine("install", "fast", ok=(1,))
    assert "System transaction in progress" in second.stderr
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert machine.deployments[0]["packages"] == ["slow"]

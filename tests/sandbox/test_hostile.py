"""Scripts that try to get out, to stay, or to take the machine down.  Each must fail cleanly."""

from __future__ import annotations

import platform
import re
import shutil
import socket
import threading
from pathlib import Path

import pytest

from apt_ostree.errors import AptOstreeError, CancelledError, CommandError, ScriptError
from apt_ostree.sandbox import pidlimit
from apt_ostree.sandbox.bwrap import Bind, target_root
from apt_ostree.sandbox.policy import Policy

pytestmark = [pytest.mark.root, pytest.mark.network]

SMALL = Policy("test", ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETUID",
                        "CAP_SETGID", "CAP_SYS_CHROOT", "CAP_SETFCAP"),
               timeout_s=20, process_limit=64)  # fmt: skip
amd64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="system call numbers of amd64")


def sandbox(tree, token, **options):
    return target_root(tree.root, env={"T": token}, **{"policy": SMALL, **options})


# script, what its output must contain; each ends with a status other than 0
REFUSED = [
    ("unshare -U true", "Operation not permitted"),
    ("unshare -Ur id", "Operation not permitted"),
    ("unshare -m true", "Operation not permitted"),
    ("unshare -p --fork true", "Operation not permitted"),
    ("nsenter -t 1 -m true", "Operation not permitted"),
    ("mknod /tmp/disk b 254 0", "Operation not permitted"),
    ("echo b >/proc/sysrq-trigger", "Read-only file system|nonexistent"),
    ("echo '|/bin/sh' >/proc/sys/kernel/core_pattern", "Read-only file system"),
    ("echo 1 >/sys/class/net/lo/uevent", "o"),
    ("chmod 000 /dev/null", "Read-only file system"),
    ("chown 1:1 /dev/urandom", "Read-only file system"),
    ("chmod 000 /proc/cpuinfo", "Read-only file system"),
    ("dmesg", "not permitted"),
    ("setpriv --bounding-set +all --inh-caps +sys_admin true", "not permitted"),
    ("echo evil >/proc/sys/kernel/hostname || { echo not permitted; exit 1; }", "not permitted"),
    ("date -s 2001-01-01", "Operation not permitted"),
    ("nice -n -20 true 2>&1 | grep . && exit 1", "Permission denied"),
    ("head -c 1 /proc/kcore", "Operation not permitted|No such file"),
]


@pytest.mark.parametrize(("script", "expected"), REFUSED, ids=[r[0][:40] for r in REFUSED])
def test_refused(tree, token, script, expected):
    with sandbox(tree, token) as box:
        with pytest.raises(CommandError) as caught:
            box.run(["sh", "-c", script])
        assert re.search(expected, "\n".join(caught.value.tail))


# perl expression over syscall(); each must report EPERM (1) or ENOSYS (38)
SYSCALLS = {
    "mount": 'syscall(165, S("x"), S("/mnt"), S("tmpfs"), 0, S(""))',
    "umount": 'syscall(166, S("/proc"), 2)',
    "pivot_root": 'syscall(155, S("/mnt"), S("/mnt"))',
    "fsopen": 'syscall(430, S("tmpfs"), 0)',
    "open_tree": "syscall(428, -100, S('/'), 1)",
    "clone-newuser": "syscall(56, 0x10000011, 0, 0, 0, 0)",
    "unshare-newuser": "syscall(272, 0x10000000)",
    "clone3": 'syscall(435, S(pack("Q8", 0x10000000, 0, 0, 0, 17, 0, 0, 0)), 64)',
    "keyctl": "syscall(250, 0, -4, 1)",
    "add_key": 'syscall(248, S("user"), S("x"), S("y"), 1, -4)',
    "bpf": 'syscall(321, 0, S(""), 0)',
    "open_by_handle_at": 'syscall(304, 0, S(pack("LLQ", 8, 1, 2)), 0)',
    "init_module": 'syscall(175, S("x"), 1, S(""))',
    "reboot": "syscall(169, 0xfee1dead, 672274793, 0x1234567, 0)",
    "swapon": 'syscall(167, S("/tmp/x"), 0)',
    "sethostname": 'syscall(170, S("evil"), 4)',
    "iopl": "syscall(172, 3)",
    "capset-all": 'syscall(126, S(pack("LL", 0x20080522, 0)), S(pack("L6", ~0, ~0, ~0, ~0, ~0, ~0)))',
    "socket-raw": "syscall(41, 2, 3, 1)",
    "x32-abi": "syscall(0x40000000 + 165, S('x'), S('/mnt'), S('tmpfs'), 0, S(''))",
}


@amd64
@pytest.mark.parametrize("name", SYSCALLS)
def test_system_call_is_refused(tree, token, name):
    script = (
        f"sub S {{ my $v = shift; $v }} my $r = {SYSCALLS[name]}; print $r == -1 ? $! + 0 : 'done';"
    )
    with sandbox(tree, token) as box:
        assert box.run(["perl", "-e", script]).output in ("1\n", "38\n")


def test_the_network_is_not_there(tree, token):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with sandbox(tree, token) as box:
            for host in ("127.0.0.1", "192.0.2.1"):
                with pytest.raises(CommandError):
                    box.run(["bash", "-c", f": </dev/tcp/{host}/{port}"])


def test_abstract_sockets_of_the_host_are_not_there(tree, token):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0apt-ostree-" + token)
        server.listen()
        script = ('use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); '
                  f'exit(connect(S, pack("S a*", 1, "\\0apt-ostree-{token}")) ? 0 : 7)')  # fmt: skip
        with (
            target_root(tree.root, policy=SMALL) as box,
            pytest.raises(CommandError, match="status 7"),
        ):
            box.run(["perl", "-e", script])


def test_chroot_does_not_lead_out(tree, token, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("host")
    climb = ('mkdir "/tmp/jail"; chroot "/tmp/jail" or die; chdir ".." for 1..64; chroot "." or die;'
             f'exit(-e "{secret}" ? 0 : 7)')  # fmt: skip
    with sandbox(tree, token) as box:
        with pytest.raises(CommandError, match="status 7"):
            box.run(["perl", "-e", climb])
        for via in ("/proc/1/root", "/proc/1/cwd", "/proc/self/fd/0/../..", "/proc/1/fd/0/../.."):
            with pytest.raises(CommandError):
                box.run(["cat", f"{via}{secret}"])


def test_ptrace_of_the_first_process_gains_nothing(tree, token):
    # PID 1 has no more rights than we: at best the attacker stops his own sandbox
    policy = Policy("test", SMALL.capabilities, timeout_s=1, process_limit=64)
    script = "syscall(101, 16, 1, 0, 0); sleep 1 while 1"
    with target_root(tree.root, policy=policy, env={"T": token}) as box, pytest.raises(ScriptError):
        box.run(["perl", "-e", script])


BOMBS = [
    ":(){ :|:& };: ; while :; do sleep 1; done",
    "while :; do sleep 1000 & done",
    "perl -e 'fork while 1'",
]


@pytest.mark.parametrize("script", BOMBS)
def test_fork_bomb(bomb_shelter, tree, token, script):
    with sandbox(tree, token) as box:
        with pytest.raises(ScriptError, match="more than 64 processes"):
            box.run(["bash", "-c", script])
        assert box.run(["echo", "still usable"]).output == "still usable\n"


@pytest.mark.parametrize("script", BOMBS)
def test_fork_bomb_without_cgroups(bomb_shelter, tree, token, script, monkeypatch):
    """The counting fallback stops a bomb long before the group around it would."""
    with pidlimit.limited(1500) as net:
        assert isinstance(net, pidlimit.Group)
        count_only = pidlimit.Counter.add

        def add(self, pid):
            net.add(pid)
            count_only(self, pid)

        monkeypatch.setattr(pidlimit, "group_parents", lambda: ())
        monkeypatch.setattr(pidlimit.Counter, "add", add)
        with sandbox(tree, token) as box:
            with pytest.raises(ScriptError, match="more than 64 processes"):
                box.run(["bash", "-c", script])
            assert box.run(["echo", "still usable"]).output == "still usable\n"
        monkeypatch.undo()
        assert int((net.path / "pids.events").read_text().split()[1]) == 0


def test_killing_everything_kills_the_sandbox_only(tree, token):
    with sandbox(tree, token) as box, pytest.raises(CommandError):
        box.run(["sh", "-c", "sleep 1000 & kill -9 -1; kill -9 1; exit 3"])


def test_endless_loop(tree, token):
    with sandbox(tree, token) as box, pytest.raises(ScriptError, match="did not end"):
        box.run(["sh", "-c", "while :; do :; done"], timeout_s=0.2)


@pytest.mark.parametrize("script", [
    "setsid sh -c 'sleep 1000 & exec sleep 1000' & exit 0",
    "trap '' TERM HUP; (setsid sleep 1000 <&- >&- 2>&- &) ; exit 0",
    "(sleep 1000 &)",
])  # fmt: skip
def test_daemons_do_not_outlive_their_script(tree, token, script):
    with sandbox(tree, token) as box:
        box.run(["sh", "-c", script])


def test_endless_output_is_bounded(tree, token):
    with sandbox(tree, token) as box:
        with pytest.raises(ScriptError):
            box.run(["sh", "-c", "head -c 100000000 /dev/zero; yes"], timeout_s=1)
        assert sum(len(line) for line in box._output) < 300_000_000
        assert len(box._output) <= 20_000


def test_requests_can_be_forged_but_not_made_to_fail(tree, token):
    with target_root(tree.root, env={"T": token}) as box:
        box.run(["sh", "-c", "head -c 3000000 /dev/urandom >/run/apt-ostree/requests"])
        assert all(r.program for r in box.requests)


def test_links_from_the_tree_do_not_show_the_host(tree, token, tmp_path):
    (tmp_path / "secret").write_text("host")
    (tree.root / "var/way-out").symlink_to(tmp_path)
    with target_root(tree.root, env={"T": token}) as box, pytest.raises(CommandError):
        box.run(["cat", "/var/way-out/secret"])


@pytest.mark.parametrize("program", ["systemctl", "run-parts"])
def test_a_planted_program_is_not_followed_to_the_host(tree, token, tmp_path, program):
    secret = tmp_path / "secret"
    secret.write_text("host")
    place = tree.root / "usr/bin" / program
    place.unlink(missing_ok=True)
    place.symlink_to(secret)
    with target_root(tree.root, env={"T": token}) as box, pytest.raises(CommandError):
        box.run(["cat", f"/run/apt-ostree/real/{program}"])


def test_usr_etc_turned_into_a_link_is_not_followed(tree, token):
    shutil.rmtree(tree.root / "usr/etc")
    (tree.root / "usr/etc").symlink_to("/etc")
    with target_root(tree.root, env={"T": token}) as box:
        found = box.run(["sh", "-c", "ls /etc 2>&1 || :"]).output
    assert "No such file" in found


def test_the_store_below_the_overlay_is_untouched(tree, token):
    from fixtures.rootfs import essential_root

    victim = essential_root() / "usr/bin/perl"
    before = victim.stat()
    with target_root(tree.root, env={"T": token}) as box:
        box.run(
            ["sh", "-c", "chmod 600 /usr/bin/perl; echo x >>/usr/bin/perl; chown 1 /usr/bin/perl"]
        )
    after = victim.stat()
    assert (after.st_mode, after.st_size, after.st_uid) == (before.st_mode, before.st_size, 0)


def test_host_files_stay_as_they_were(tree, token, tmp_path):
    """rm -rf / destroys the tree and what is bound writable, and nothing else."""
    read_only = tmp_path / "deb"
    read_only.write_text("kept")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/x").write_text("lost")
    binds = [
        Bind(read_only, "/run/debs/0.deb", read_only=True),
        Bind(tmp_path / "state", "/var/state"),
    ]
    with target_root(tree.root, var_binds=binds, env={"T": token}) as box:
        with pytest.raises(CommandError):
            box.run(["rm", "-rf", "--no-preserve-root", "/"])
        with pytest.raises((CommandError, AptOstreeError)):
            box.run(["true"])
    assert read_only.read_text() == "kept"
    assert list((tmp_path / "state").iterdir()) == []
    assert Path("/proc/self/exe").exists()


def test_immutable_files_cannot_be_made(tree, token):
    # FS_IOC_SETFLAGS with FS_IMMUTABLE_FL, as chattr +i does
    script = ('open(F, ">", "/var/f"); my $f = pack("L", 0x10); '
              'exit(ioctl(F, 0x40086602, $f) ? 0 : 7)')  # fmt: skip
    with (
        target_root(tree.root, env={"T": token}) as box,
        pytest.raises(CommandError, match="status 7"),
    ):
        box.run(["perl", "-e", script])


def test_cancel_ends_a_fork_bomb(bomb_shelter, tree, token):
    cancel = threading.Event()
    policy = Policy("test", SMALL.capabilities, timeout_s=20, process_limit=100_000)
    with sandbox(tree, token, policy=policy, cancel=cancel) as box, pytest.raises(CancelledError):
        box.run(["bash", "-c", "echo go; while :; do sleep 1000 & done"],
                    on_line=lambda _: cancel.set())  # fmt: skip


def test_nothing_waits_for_the_disk(tree, token):
    with sandbox(tree, token) as box:  # the kernel has no fsync for it: EINVAL
        box.run(["sync", "/dev/null"])

"""The service under a real systemd, with all its restrictions, and users under a real polkitd."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.debrepo import make_deb
from fixtures.machines import PROGRAM, make_machine

pytestmark = [pytest.mark.root, pytest.mark.network]

TOP = Path(__file__).parents[2]
DATA = TOP / "data"
NOBODY = 65534
TIMEOUT_S = 120
PLACES = {
    "dbus-1/interfaces": "usr/share/dbus-1/interfaces",
    "dbus-1/system.d": "usr/share/dbus-1/system.d",
    "dbus-1/system-services": "usr/share/dbus-1/system-services",
    "polkit-1/actions": "usr/share/polkit-1/actions",
    "systemd": "usr/lib/systemd/system",
}
DROP_IN = """\
[Unit]
ConditionPathExists=

[Service]
ExecStart=
ExecStart=/usr/bin/apt-ostree start-daemon --sysroot={sysroot}
BindPaths={machine}
BindReadOnlyPaths={checkout}
Environment=PYTHONDONTWRITEBYTECODE=1
StandardOutput=append:/test/out/daemon
StandardError=append:/test/out/daemon
"""
TOLD = """\
[Service]
StandardOutput=append:/test/out/automatic-log
StandardError=append:/test/out/automatic-log
"""
TARGET = """\
[Unit]
DefaultDependencies=no
Requires=work.service
AllowIsolate=yes
"""
WORK = """\
[Unit]
DefaultDependencies=no
Requires=dbus.socket
After=dbus.socket
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=/bin/sh /test/work
StandardOutput=file:/test/out/work
StandardError=inherit
"""
# Somebody who sits at the machine may register by default; there is no session here.
RULE = """\
polkit.addRule(function(action, subject) {
    var granted = ["org.aptostree.dev1.client-management", "org.aptostree.dev1.cleanup"];
    if (granted.indexOf(action.id) >= 0 && subject.user == "nobody")
        return polkit.Result.YES;
});
"""
# Each step writes what it prints and its status to a file of its own.
STEPS = {
    "install": "apt-ostree install quick --sysroot={sysroot}",
    "process": "cat /proc/$(systemctl show -p MainPID --value apt-ostreed)/status",
    "mounts": "cat /proc/$(systemctl show -p MainPID --value apt-ostreed)/mountinfo",
    "reload": "touch /run/ostree-booted; systemctl reload apt-ostreed",
    "automatic": "systemctl start --wait apt-ostreed-automatic && cat /test/out/automatic-log",
    "allowed": "{as_nobody} apt-ostree cleanup -m --sysroot={sysroot}",
    "refused": "{as_nobody} apt-ostree uninstall quick --sysroot={sysroot}",
    "stop": "systemctl stop apt-ostreed",
    "result": "systemctl show -p Result,ExecMainStatus apt-ostreed",
}
POSTINST = """\
#!/bin/sh
set -e
adduser --system --group --no-create-home --quiet quickd
chown quickd /usr/bin/quick
chmod 4755 /usr/bin/quick
"""


@contextmanager
def control_group():
    """A group of version 2 to boot in, so that what systemd makes is below it and goes with it."""
    mounts = Path("/proc/self/mounts").read_text()
    where = re.search(r"^\S+ (\S+) cgroup2 ", mounts, re.MULTILINE)
    own = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    if where is None or own is None:
        pytest.skip("needs control groups of version 2")
    path = Path(where[1], own[1], f"apt-ostree-test-{os.getpid()}")
    try:
        path.mkdir()
    except OSError as err:
        pytest.skip(f"needs to make control groups: {err.strerror}")
    try:
        yield path
    finally:
        for directory, _, _ in os.walk(path, topdown=False):
            os.rmdir(directory)


def install_files(config, machine):
    for source, target in PLACES.items():
        shutil.copytree(DATA / source, config / target)
    program = config / "usr/bin/apt-ostree"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec /usr/bin/python3 {PROGRAM} "$@"\n')
    program.chmod(0o755)
    units = config / "etc/systemd/system"
    # The unit hides /tmp and /home, where a checkout may lie.
    names = {"sysroot": machine.path, "machine": machine.path.parent, "checkout": TOP}
    for path, text in (
        (units / "apt-ostreed.service.d/test.conf", DROP_IN.format(**names)),
        (units / "apt-ostreed-automatic.service.d/test.conf", TOLD),
        (units / "work.target", TARGET),
        (units / "work.service", WORK),
        (config / "etc/polkit-1/rules.d/50-test.rules", RULE),
        (config / "work", script(names)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (config / "out").mkdir()


def script(names):
    as_nobody = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    lines = ["export APTOSTREE_DEBUG_USE_DAEMON=1 PYTHONDONTWRITEBYTECODE=1"]
    for name, command in STEPS.items():
        shown = command.format(**names, as_nobody=as_nobody)
        lines += [f"{{ {shown}; }} >/test/out/{name} 2>&1", f"echo $? >/test/out/{name}.status"]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def machine():
    directory = Path(subprocess.check_output(
        ["mktemp", "-d", "/var/tmp/apt-ostree-test-XXXXXX"], text=True).strip())  # fmt: skip
    directory.chmod(0o755)
    (directory / "scratch").mkdir(mode=0o755)
    (directory / "scratch").chmod(0o1777)
    made = make_machine(directory)
    made.publish(make_deb(directory, "quick", files={"/usr/bin/quick": "#!/bin/sh\n"},
                          scripts={"postinst": POSTINST}))  # fmt: skip
    yield made
    made.release()
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def ran(machine, tmp_path_factory):
    """What each step printed, and its status, after a boot that ran them all."""
    if not Path("/lib/systemd/systemd").exists():
        pytest.skip("needs systemd of the package systemd")
    config = tmp_path_factory.mktemp("booted")
    install_files(config, machine)
    flags = ["--mount", "--pid", "--fork", "--kill-child=KILL", "--ipc", "--uts", "--cgroup"]
    with control_group() as group:
        done = subprocess.run(
            ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group, "timeout",
             f"--signal={signal.SIGKILL.name}", str(TIMEOUT_S), "unshare", *flags,
             "--propagation", "private", Path(__file__).with_name("booted.sh"), config,
             machine.path.parent, TOP],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
    out = config / "out"
    daemon = out / "daemon"
    if not (out / "result.status").exists():
        log = daemon.read_text() if daemon.exists() else ""
        pytest.fail(f"the boot did not come to its end: {done.stdout}\n{log}")
    return {name: (int((out / f"{name}.status").read_text()), (out / name).read_text())
            for name in STEPS}  # fmt: skip


def test_packages_are_installed_with_all_restrictions(ran, machine):
    status, text = ran["install"]
    assert status == 0, text
    assert "working without the daemon" not in text
    made = (machine.tree / "usr/bin/quick").stat()
    assert made.st_mode & 0o7777 == 0o4755
    assert made.st_uid != 0


def test_the_daemon_has_no_more_rights_than_the_unit_leaves(ran):
    _, text = ran["process"]
    fields = dict(line.split(":\t", 1) for line in text.split("\n") if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    bounding = int(fields["CapBnd"], 16)
    numbers = {"CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27, "CAP_SYS_MODULE": 16, "CAP_SYS_TIME": 25,
               "CAP_SYS_BOOT": 22, "CAP_NET_RAW": 13}  # fmt: skip
    kept = {name for name, number in numbers.items() if bounding >> number & 1}
    assert kept == {"CAP_SYS_ADMIN", "CAP_MKNOD"}
    _, mounts = ran["mounts"]
    points = {line.split()[4]: line.split()[5].split(",") for line in mounts.split("\n") if line}
    assert "/var/tmp" in points
    assert "ro" in points["/proc/sys"]
    assert "/root" in points


def test_the_daemon_reloads_and_stops_cleanly(ran):
    assert ran["reload"] == (0, "")
    assert ran["stop"] == (0, "")
    assert ran["result"] == (0, "Result=success\nExecMainStatus=0\n")


def test_the_automatic_update_follows_the_policy(ran):
    """There is no configuration, so it is to do nothing."""
    assert ran["automatic"] == (0, "Automatic updates are not enabled; exiting...\n")


def test_polkit_decides_what_a_user_may_do(ran):
    status, text = ran["allowed"]
    assert status == 0, text
    status, text = ran["refused"]
    assert status == 1
    assert "operation UpdateDeployment not allowed for user" in text

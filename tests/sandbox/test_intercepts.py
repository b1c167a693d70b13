from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import CommandError
from apt_ostree.sandbox import intercepts
from apt_ostree.sandbox.bwrap import Cover, target_root
from apt_ostree.sandbox.intercepts import TABLE, Topic, Treatment

needs_root = [pytest.mark.root, pytest.mark.network]


def put(tree, path, text='#!/bin/sh\necho real $0 "$@"\n'):
    place = tree.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(0o755)


def test_the_table_is_complete():
    for item in TABLE:
        assert item.why
        assert bool(item.shell) == (item.treatment is Treatment.WRAP)
        if "record" in item.shell or item.treatment is Treatment.RECORD:
            assert item.topic is not None
    assert len({i.program for i in TABLE}) == len(TABLE)


@given(st.binary(max_size=300))
def test_any_record_can_be_read(data):
    for request in intercepts.parse_requests(data):
        assert request.topic


def test_requests_are_read_in_order():
    data = b"update-grub\t\nnonsense\tx\ndracut\t--force x\nno tab\nupdate-grub"
    found = [(r.program, r.arguments, r.topic) for r in intercepts.parse_requests(data)]
    assert found == [
        ("update-grub", "", Topic.BOOTLOADER),
        ("dracut", "--force x", Topic.INITRAMFS),
    ]


# program to put into the tree, script, expected output, expected requests
CALLS = [
    ("usr/sbin/update-initramfs", "update-initramfs -u -k all", "", ["update-initramfs -u -k all"]),
    ("usr/sbin/update-initramfs", "/usr/sbin/update-initramfs -u", "", ["update-initramfs -u"]),
    ("usr/sbin/update-initramfs", "/sbin/update-initramfs -u", "", ["update-initramfs -u"]),
    ("usr/bin/dracut", "dracut --force", "", ["dracut --force"]),
    ("usr/sbin/grub-install", "PATH=/usr/sbin:/bin; grub-install /dev/sda", "", ["grub-install /dev/sda"]),
    ("usr/sbin/telinit", "telinit u; echo $?", "0", []),
    ("usr/sbin/dkms", "dkms add -m x -v 1", "real /run/apt-ostree/real/dkms add -m x -v 1", []),
    ("usr/sbin/dkms", "dkms build -m x -v 1 -k 6.1; echo $?", "0", ["dkms build -m x -v 1 -k 6.1"]),
    ("usr/bin/udevadm", "udevadm trigger; echo $?", "0", []),
    ("usr/sbin/sysctl", "sysctl --system; sysctl -n kernel.x", "real /run/apt-ostree/real/sysctl -n kernel.x", []),
    ("usr/bin/apt-get", "apt-get install x || echo failed $?", "failed 1", []),
    ("usr/bin/systemd-run", "systemd-run true || echo failed $?", "failed 1", []),
    ("usr/bin/linux-check-removal", "linux-check-removal 6.1.0-1-amd64; echo $?", "0", []),
    ("usr/bin/true-x", "command -v dracut update-grub systemctl || echo absent", "absent", []),
    ("usr/bin/true-x", "start-stop-daemon --start --exec /bin/false; echo $?", "0", []),
    ("usr/bin/true-x", "/sbin/start-stop-daemon --bogus; echo $?", "0", []),
    ("usr/bin/true-x", "/usr/sbin/policy-rc.d x start; echo $?", "101", []),
    ("etc/kernel/postinst.d/zz", "run-parts --report --arg=6.1 /etc/kernel/postinst.d", "",
     ["run-parts --report --arg=6.1 /etc/kernel/postinst.d"]),
    ("usr/etc/cron.d2/job", "run-parts /etc/cron.d2", "real /etc/cron.d2/job", []),
    ("usr/bin/true-x", "/usr/bin/run-parts --list /etc/cron.daily | grep dpkg", "/etc/cron.daily/dpkg", []),
]  # fmt: skip


@pytest.mark.root
@pytest.mark.network
@pytest.mark.parametrize(
    ("program", "script", "output", "requests"), CALLS, ids=[c[1][:40] for c in CALLS]
)
def test_call(tree, token, program, script, output, requests):
    if program.startswith("etc/"):
        program = f"usr/{program}"
    put(tree, program)
    before = tree.changes()
    with target_root(tree.root, env={"T": token}) as box:
        said = box.run(["sh", "-c", f"{{ {script}; }} 2>/run/err"]).output.strip()
        assert said == output
        assert [f"{r.program} {r.arguments}".strip() for r in box.requests] == requests
    assert tree.changes() == before


SYSTEMCTL = [
    ("enable foo.service", "real enable foo.service"),
    ("--now enable foo.service", "real enable foo.service"),
    ("disable --now --quiet foo", "real disable --quiet foo"),
    ("--root=/ preset foo", "real --root=/ preset foo"),
    ("mask a b", "real mask a b"),
    ("is-enabled foo", "real is-enabled foo"),
    ("--version", "real --version"),
    ("start foo", "status 0"),
    ("--system daemon-reload", "status 0"),
    ("try-restart foo", "status 0"),
    ("is-active foo", "inactive\nstatus 3"),
    ("is-system-running", "offline\nstatus 1"),
    ("status foo", "status 3"),
]


@pytest.mark.root
@pytest.mark.network
@pytest.mark.parametrize(("arguments", "expected"), SYSTEMCTL)
@pytest.mark.parametrize("program", ["systemctl", "/usr/bin/systemctl", "/bin/systemctl"])
def test_systemctl(tree, token, program, arguments, expected):
    put(tree, "usr/bin/systemctl", '#!/bin/sh\necho real "$@"\nexec 2>&1; exit 0\n')
    with target_root(tree.root, env={"T": token}) as box:
        text = box.run(["sh", "-c", f"{program} {arguments}; echo status $?"]).output
    assert (
        text.strip().removesuffix("\nstatus 0" if expected.startswith("real") else "") == expected
    )


@pytest.mark.root
@pytest.mark.network
def test_stand_ins_work_for_other_accounts(tree, token):
    put(tree, "usr/bin/dracut")
    with target_root(tree.root, env={"T": token}) as box:
        box.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dracut", "-f"])
        assert [r.arguments for r in box.requests] == ["-f"]


@pytest.mark.root
@pytest.mark.network
def test_the_real_program_is_there_without_stand_ins(tree, token):
    put(tree, "usr/bin/dracut")
    with target_root(tree.root, env={"T": token}) as box:
        assert box.run(["dracut", "-f"], cover=Cover.NONE).output == "real /usr/bin/dracut -f\n"
        assert box.requests == ()


@pytest.mark.root
@pytest.mark.network
def test_covered_by_name_only_can_be_replaced(tree, token):
    put(tree, "usr/bin/dracut")
    replace = ["sh", "-c", "cp /usr/bin/dracut /usr/bin/new && mv -f /usr/bin/new /usr/bin/dracut"]
    with target_root(tree.root, env={"T": token}) as box:
        box.run(replace, cover=Cover.NAMES)
        assert box.run(["dracut"], cover=Cover.NAMES).output == ""
        with pytest.raises(CommandError):
            box.run(replace, cover=Cover.PATHS)


@pytest.mark.root
@pytest.mark.network
def test_a_link_between_programs_leads_to_the_stand_in(tree, token):
    put(tree, "usr/bin/systemctl")
    (tree.root / "usr/sbin/reboot").symlink_to("/bin/systemctl")
    with target_root(tree.root, env={"T": token}) as box:
        assert box.run(["/usr/sbin/reboot", "--force"]).output == ""


@pytest.mark.root
@pytest.mark.network
def test_invoke_rc_d_does_not_start(tree, token):
    put(
        tree,
        "usr/etc/init.d/svc",
        "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: svc\n### END INIT INFO\necho STARTED\n",
    )
    with target_root(tree.root, env={"T": token}) as box:
        said = box.run(["sh", "-c", "/usr/sbin/invoke-rc.d svc start || exit 9"]).output
    assert "STARTED" not in said
    assert "policy-rc.d denied execution of start" in said


@pytest.mark.root
@pytest.mark.network
def test_the_programs_in_the_tree_keep_their_mode(tree, token):
    mode = (tree.root / "usr/bin/run-parts").stat().st_mode
    with target_root(tree.root, env={"T": token}) as box:
        box.run(["true"])
    assert (tree.root / "usr/bin/run-parts").stat().st_mode == mode
    assert stat.S_IMODE(mode) == 0o755

"""What is different on the running system: deployments are staged until it shuts down."""

import pytest
from fixtures.debrepo import make_deb
from fixtures.hosts import running

from apt_ostree.wire import driver

pytestmark = [pytest.mark.root, pytest.mark.network]


@pytest.fixture
def host(tmp_path_factory):
    directory = tmp_path_factory.mktemp("host")
    with running(directory) as made:
        unit = "[Service]\nExecStart=/usr/bin/one\n"
        made.publish(
            make_deb(
                directory,
                "one",
                files={
                    "/usr/bin/one": "#!/bin/sh\necho 1\n",
                    "/etc/one.conf": "a=1\n",
                    "/usr/lib/systemd/system/one.service": unit,
                    "/var/lib/one/": "",
                },
                conffiles=["/etc/one.conf"],
            ),
            make_deb(directory, "two", files={"/usr/bin/two": "#!/bin/sh\necho 2\n"}),
        )
        yield made


def test_a_change_is_staged_and_takes_effect_at_the_next_boot(host):
    first = host.deployments[0]
    assert first["booted"]
    out = host("install", "one")
    assert "Staging deployment...done" in out
    assert "Added:\n  one-1.0.all\n" in out
    assert out.endswith('Run "systemctl reboot" to start a reboot\n')
    staged, booted = host.deployments
    assert (staged["staged"], staged["booted"], booted["id"]) == (True, False, first["id"])
    assert host("status", "--pending-exit-77", ok=(77,)).count("Diff: 1 added") == 1
    # edits of /etc until the shutdown are kept, and a second change keeps the first request
    host.inside("sh", "-c", "echo edited >/etc/motd")
    host("install", "two")
    staged, booted = host.deployments
    assert staged["requested-packages"] == ["one", "two"]
    host.inside("sh", "-c", "echo later >/etc/later")
    host.reboot()
    now, before = host.deployments
    assert (now["booted"], now["staged"], before["id"]) == (True, False, first["id"])
    assert host.inside("sh", "/usr/bin/one") == "1\n"
    assert host.inside("cat", "/etc/motd", "/etc/later") == "edited\nlater\n"
    host("rollback")
    assert not host.deployments[0]["booted"]
    host.reboot()
    assert host.deployments[0]["id"] == first["id"]
    assert "one" not in host.inside("ls", "/usr/bin").split()


def test_what_is_staged_can_be_dropped_and_locked(host):
    host("install", "one")
    error = host("rollback", ok=(1,))
    assert "error: Staged deployment (remove with cleanup -p)" in error
    host("cleanup", "-p")
    (only,) = host.deployments
    assert only["booted"]
    host("install", "one", "--lock-finalization")
    assert host.deployments[0]["finalization-locked"] is True
    host("install", "two")
    assert "finalization-locked" not in host.deployments[0]
    assert host.deployments[0]["requested-packages"] == ["one", "two"]


def test_kernel_arguments_are_staged(host):
    host("kargs", "--append=quiet")
    assert "quiet" in host("kargs").split()
    assert "quiet" not in host("kargs", "--deploy-index=1").split()
    host.reboot()
    assert "quiet" in host("kargs").split()
    host("initramfs-etc", "--track=/etc/hostname", ok=(0, 1))


def test_finalizing_needs_the_right_commit_and_reboots(host):
    assert "error: No pending staged deployment found" in host(
        "finalize-deployment", "--allow-missing-checksum", ok=(1,)
    )
    host("install", "one", "--lock-finalization")
    first = host.deployments[0]
    error = host("finalize-deployment", "0" * 64, ok=(1,))
    assert f"error: Expected staged base checksum {'0' * 64}, but found" in error
    host.reboot()  # locked: the power may go, nothing takes effect
    assert host.deployments[0]["booted"]
    host("install", "one", "--lock-finalization")
    host("finalize-deployment", first["base-checksum"])
    assert host.systemctl_calls[-1] == "reboot"
    host.reboot()
    assert host.deployments[0]["requested-packages"] == ["one"]
    host("install", "two")
    error = host("finalize-deployment", "--allow-missing-checksum", ok=(1,))
    assert "error: Staged deployment already unlocked" in error


def test_applying_live_and_going_back(host):
    assert "error: No target commit specified and no pending deployment" in host(
        "apply-live", ok=(1,)
    )
    host("install", "one")
    out = host("apply-live")
    for task in ("Computing /etc diff to preserve", "Updating /usr", "Updating /etc",
                 "Running systemd-tmpfiles for /run and /var"):  # fmt: skip
        assert f"{task}...done" in out
    assert out.endswith("Added:\n  one-1.0.all\nSuccessfully updated running filesystem tree.\n")
    assert host.inside("sh", "/usr/bin/one") == "1\n"
    assert host.inside("cat", "/etc/one.conf") == "a=1\n"
    assert host.inside("stat", "-c%F", "/var/lib/one") == "directory\n"
    assert "daemon-reload" in host.systemctl_calls
    pending, booted = host.deployments
    assert booted["live-replaced"] == pending["checksum"]
    assert booted["unlocked"] == "transient"
    assert "LiveCommit" in host("status")
    assert host.inside("sh", "-c", "touch /usr/x || echo read-only").endswith("read-only\n")
    assert not (host.tree / "usr/bin/one").exists()  # the deployment itself is as it was
    # once more changes nothing; more is added; less needs to be allowed
    assert "Updating /usr" not in host("apply-live")
    host("install", "two")
    host("apply-live")
    assert host.inside("sh", "/usr/bin/two") == "2\n"
    host("uninstall", "two")
    assert "error: packages would be removed: 1, allow replacement" in host("apply-live", ok=(1,))
    host("apply-live", "--allow-replacement")
    host.inside("test", "!", "-e", "/usr/bin/two")
    # an edit of /etc stays when the file would go
    host.inside("sh", "-c", "echo a=2 >/etc/one.conf")
    host("apply-live", "--reset")
    host.inside("test", "!", "-e", "/usr/bin/one")
    assert host.inside("cat", "/etc/one.conf") == "a=2\n"
    host.reboot()
    booted = host.deployments[0]
    assert booted["requested-packages"] == ["one"]
    assert "live-replaced" not in booted
    assert booted["unlocked"] == "none"


def test_an_interrupted_apply_is_finished_and_not_mixed(host):
    host("install", "one")
    host("apply-live", ok=(-9,), FAILPOINTS="live.after-usr=kill")
    pending, booted = host.deployments
    assert booted["live-inprogress"] == pending["checksum"]
    assert "InterruptedLiveCommit" in host("status")
    host("install", "two")
    error = host("apply-live", ok=(1,))
    assert f"error: Previously interrupted while targeting commit {pending['checksum']}" in error
    host("apply-live", f"--target={pending['checksum']}")
    assert host.inside("cat", "/etc/one.conf") == "a=1\n"
    assert "live-inprogress" not in host.deployments[1]


def test_usr_can_be_unlocked_for_this_boot(host):
    assert "Development mode enabled" in host("usroverlay")
    host.inside("touch", "/usr/bin/mine")
    assert host.deployments[0]["unlocked"] == "development"
    host("install", "one")
    error = host("apply-live", ok=(1,))
    assert "error: apply-live is incompatible with unlock state: development" in error
    host.reboot()
    host.inside("test", "!", "-e", "/usr/bin/mine")


def test_installing_live(host):
    error = host("install", "one", "-A", "--reboot", ok=(1,))
    assert "error: Cannot specify `apply-live` and `reboot`" in error
    out = host("install", "one", "-A")
    assert "notice: auto-inferring -y/--assumeyes when not run interactively" in out
    assert out.endswith("Added:\n  one-1.0.all\nSuccessfully updated running filesystem tree.\n")
    assert host.inside("sh", "/usr/bin/one") == "1\n"
    host("install", "two", "-A", "-y")
    assert host.inside("sh", "/usr/bin/two") == "2\n"
    pending, booted = host.deployments
    assert booted["live-replaced"] == pending["checksum"]
    host.reboot()
    assert host.deployments[0]["requested-packages"] == ["one", "two"]


def test_all_of_it_through_the_daemon(host):
    host.serve()
    out = host("install", "one")
    assert "note: working without the daemon" not in out
    assert "Staging deployment...done\nAdded:\n  one-1.0.all\n" in out
    assert host.json("status")["deployments"][0]["staged"] is True
    assert "Successfully updated running filesystem tree." in host("apply-live")
    assert host.inside("sh", "/usr/bin/one") == "1\n"
    assert "LiveCommit" in host("status")
    host("apply-live", "--reset")
    host.inside("test", "!", "-e", "/usr/bin/one")
    host("install", "two", "-A", "-y", "--lock-finalization")
    assert host.inside("sh", "/usr/bin/two") == "2\n"
    host("finalize-deployment", "--allow-missing-checksum")
    assert host.systemctl_calls[-1] == "reboot"
    error = host("uninstall", "two", ok=(1,))
    assert "error: Reboot initiated, cannot start new transaction" in error
    host.reboot()
    host.serve()
    assert host.deployments[0]["requested-packages"] == ["one", "two"]
    assert host("kargs", "--append=quiet").count("Staging deployment...done") == 1
    host("cleanup", "-p")
    assert host("upgrade").endswith("No upgrade available.\n")


def test_a_program_takes_updates_over(host):
    assert "error: '--register-driver' needs the daemon" in host(
        "deploy", "--register-driver=Zincati", ok=(1,)
    )
    host.serve()
    error = host("deploy", "", "--register-driver=Zincati", ok=(1,))
    assert "error: could not find caller systemd unit" in error  # nothing has one here
    driver.store(host.run_dir, driver.UpdateDriver("Zincati", "zincati.service"))
    assert host.json("status")["update-driver"] == {
        "driver-name": "Zincati", "driver-sd-unit": "zincati.service"
    }  # fmt: skip
    shown = host("status", "-v")
    assert "AutomaticUpdatesDriver: Zincati (zincati.service)\n  DriverState: " in shown
    # its unit is not active, so that nobody else is kept from updating
    assert host("upgrade").endswith("No upgrade available.\n")

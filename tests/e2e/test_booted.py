"""What is different on the running system: deployments are staged until it shuts down."""

import pytest
from fixtures.debrepo import make_deb
from fixtures.hosts import running

pytestmark = [pytest.mark.root, pytest.mark.network]


@pytest.fixture
def host(tmp_path_factory):
    directory = tmp_path_factory.mktemp("host")
    with running(directory) as made:
        made.publish(
            make_deb(directory, "one", files={"/usr/bin/one": "#!/bin/sh\necho 1\n"}),
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

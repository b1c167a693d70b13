"""Defects that real packages showed, each reproduced with a small package of the same shape."""

import pytest
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]


def test_equal_files_are_not_one_inode_for_scripts(machine, tmp_path):
    # nfs-common: ucf copies the template over the identical file that the package ships
    script = "#!/bin/sh\nset -e\ncp /usr/share/x/default /etc/default/x\n"
    files = {"/etc/default/x": "a=1\n", "/usr/share/x/default": "a=1\n"}
    machine.publish(make_deb(tmp_path, "x", files=files, scripts={"postinst": script}))
    machine("install", "x")
    assert (machine.tree / "usr/etc/default/x").read_text() == "a=1\n"


def test_a_selinux_configuration_without_policy_does_not_stop_the_deployment(machine, tmp_path):
    # policycoreutils: the file makes libostree look for a policy
    script = (
        "#!/bin/sh\nset -e\nmkdir -p /etc/selinux\n"
        "printf 'SELINUX=permissive\\nSELINUXTYPE=default\\n' >/etc/selinux/config\n"
    )
    machine.publish(make_deb(tmp_path, "x", scripts={"postinst": script}))
    machine("install", "x")
    assert not (machine.tree / "usr/etc/selinux/config").exists()


def test_alternatives_for_manual_pages_work_without_documentation(machine, tmp_path):
    # openjdk-17-jre-headless: links below /usr/share/man, which the base leaves out
    script = (
        "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/bin/x x /usr/bin/x-1 10 "
        "--slave /usr/share/man/man1/x.1.gz x.1.gz /usr/share/man/man1/x-1.1.gz\n"
    )
    files = {"/usr/bin/x-1": "#!/bin/sh\n", "/usr/share/man/man1/x-1.1.gz": "man"}
    machine.publish(make_deb(tmp_path, "x", files=files, scripts={"postinst": script}))
    machine("install", "x")
    assert (machine.tree / "usr/bin/x").is_symlink()


def test_dpkg_reads_archives_of_slow_packages(machine, tmp_path):
    # any package with an acting preinst: its .deb must be found in a sysroot's repository
    script = "#!/bin/sh\nset -e\ntouch /usr/share/x-was-here\n"
    deb = make_deb(tmp_path, "x", files={"/usr/bin/x": "x"}, scripts={"preinst": script})
    machine.publish(deb)
    machine("install", "x")
    assert (machine.tree / "usr/share/x-was-here").exists()
    assert (machine.tree / "usr/bin/x").exists()


def test_packages_that_collide_are_left_to_dpkg(machine, tmp_path):
    # files of both were cached, and only the look at both together shows that dpkg must do one
    machine.publish(
        make_deb(tmp_path, "aaa", files={"/usr/share/common": "a", "/usr/share/aaa": "a"}),
        make_deb(tmp_path, "bbb", replaces="aaa", files={"/usr/share/common": "b"}),
        make_deb(tmp_path, "ccc", replaces="aaa", files={"/usr/share/aaa": "c"}),
    )
    machine("install", "aaa", "bbb")
    assert (machine.tree / "usr/share/common").read_text() == "b"
    done = machine("install", "ccc")
    assert "aaa:all disappeared" in done.stdout
    assert (machine.tree / "usr/share/aaa").read_text() == "c"
    machine.check()


def test_snapd_gets_its_directory_below_var(machine, tmp_path):
    machine.publish(make_deb(tmp_path, "snapd", files={"/snap/": "", "/usr/bin/snap": "x"}))
    machine("install", "snapd")
    assert (machine.tree / "snap").readlink().as_posix() == "var/lib/snapd/snap"
    lines = (machine.tree / "usr/lib/tmpfiles.d/apt-ostree-var-layer.conf").read_text()
    assert "d /var/lib/snapd/snap 0755 root root -\n" in lines

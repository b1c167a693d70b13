"""The builders of the other tests: dpkg and apt accept what they make."""

from __future__ import annotations

import subprocess

import pytest
from fixtures.debrepo import File, make_deb, make_key, make_repo, sign


def _deb(*args):
    return subprocess.run(["dpkg-deb", *map(str, args)], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("compression", ["gz", "xz", "none"])
def test_dpkg_deb_reads_it(tmp_path, compression):
    deb = make_deb(
        tmp_path, "hello", "1:2-3", arch="amd64", compression=compression,
        files={
            "usr/bin/hello": File("#!/bin/sh\n", mode=0o4755, owner=("daemon", 1)),
            "/etc/hello.conf": "a=1\n",
            "usr/share/x/": "",
            "usr/bin/hi": File(link="hello"),
            "usr/bin/hey": File(hardlink="usr/bin/hello"),
        },
        conffiles=["/etc/hello.conf"], triggers="interest /usr/share/x",
        scripts={"postinst": "echo hi"}, depends="libc6", multi_arch="foreign",
    )  # fmt: skip
    listing = _deb("-c", deb).stdout.splitlines()
    assert deb.name == "hello_1%3a2-3_amd64.deb"
    assert [line.split(None, 5)[5] for line in listing] == [
        "./", "./usr/", "./usr/bin/", "./usr/bin/hello", "./etc/", "./etc/hello.conf",
        "./usr/share/", "./usr/share/x/", "./usr/bin/hi -> hello",
        "./usr/bin/hey link to ./usr/bin/hello",
    ]  # fmt: skip
    assert listing[3].startswith("-rwsr-xr-x daemon/root")
    fields = sorted(_deb("-f", deb, "Depends", "Multi-Arch", "Version").stdout.splitlines())
    assert fields == ["Depends: libc6", "Multi-Arch: foreign", "Version: 1:2-3"]
    members = _deb("--ctrl-tarfile", deb)
    assert "postinst" in members.stdout


def test_equal_arguments_give_equal_bytes(tmp_path):
    one = make_deb(tmp_path / "1", "a", files={"usr/a": "x"}, compression="xz")
    two = make_deb(tmp_path / "2", "a", files={"usr/a": "x"}, compression="xz")
    assert one.read_bytes() == two.read_bytes()


def test_gpgv_accepts_the_signature(tmp_path):
    key = make_key(tmp_path)
    repo = make_repo(tmp_path / "repo", [make_deb(tmp_path, "a")], sign=key)
    dist = repo.path / "dists" / "stable"
    for args in ([dist / "InRelease"], [dist / "Release.gpg", dist / "Release"]):
        subprocess.run(["gpgv", "--keyring", key.public, *args], check=True, capture_output=True)
    inline, _ = sign(make_key(tmp_path, "other"), "x\n")
    (tmp_path / "wrong").write_bytes(inline)
    done = subprocess.run(
        ["gpgv", "--keyring", key.public, tmp_path / "wrong"], check=False, capture_output=True
    )
    assert done.returncode != 0

"""The steps of a compose one by one give what `compose tree` gives."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from fixtures.composes import REF, Composer, Files
from fixtures.debrepo import File, make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]

TEXT = """
packages: [app]
documentation: false
opt-usrlocal: root
units: [app.service]
no-initramfs: true
remove-files: [usr/games]
add-files: [[hello, etc/hello]]
postprocess:
  - |
    #!/bin/sh
    set -e
    useradd -r -d /var/lib/agent agent
    dpkg-query -W app >/usr/share/seen
    mkdir -p /var/lib/agent
    chown agent: /var/lib/agent
    test -e /var/lib/dpkg/status
"""
SERVICE = "[Service]\nExecStart=/usr/bin/app\n"


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    made = Composer(tmp_path_factory.mktemp("steps"), cache="optroot")
    (made.directory / "hello").write_text("hello\n")
    scripts = {
        "postinst": "adduser=1; groupadd -r workers; useradd -r -g workers worker\n"
        "mkdir -p /var/lib/app/state; echo 1 >/var/lib/app/state/db; chown -R worker /var/lib/app\n"
        "touch /usr/bin/app-capable; ln -s /nowhere /var/lib/app/link"
    }
    made.publish(
        make_deb(
            made.directory / "debs", "app", depends="passwd", scripts=scripts,
            files={"usr/bin/app": File("x", mode=0o755), "opt/acme/run": "x",
                   "usr/lib/systemd/system/app.service": SERVICE,
                   "var/lib/shipped/data": "d"},
        )
    )  # fmt: skip
    made.tree(TEXT)
    return made


def test_install_postprocess_commit_equals_tree(composer, tmp_path):
    wanted = composer.content()
    path = composer.write(TEXT)
    done = composer.compose(
        "install", f"--cachedir={composer.cachedir}", f"--repo={composer.repo}", "--force-nocache",
        path, tmp_path,
    )  # fmt: skip
    root = tmp_path / "rootfs"
    assert done.stdout.endswith(f"rootfs: {root}\n")
    assert (root / "etc/passwd").is_file() and not (root / "usr/etc").exists()
    assert (root / "usr/games").exists()  # nothing of postprocess yet
    composer.compose("postprocess", root, path)
    assert not (root / "etc").exists()
    assert not any((root / "var").iterdir())
    composer.compose("postprocess", root, path)  # a second time changes nothing
    done = composer.compose("commit", f"--repo={composer.repo}", path, root)
    assert f"{REF} => {composer.commit}" in done.stdout
    assert "Metadata Total: " in done.stdout
    if composer.content() != wanted:
        diff = composer.ostree("diff", f"{REF}^", REF)
        pytest.fail(f"the trees differ:\n{diff}")


def test_rootfs_is_the_finished_tree_with_etc_in_place(composer, tmp_path):
    dest = tmp_path / "out"
    before = sorted(p for p in tmp_path.iterdir())
    composer.compose("rootfs", f"--cachedir={composer.cachedir}", composer.write(TEXT), dest)
    assert (dest / "etc/hello").read_text() == "hello\n"
    assert not (dest / "usr/etc").exists()
    assert (dest / "usr/share/apt-ostree/treefile.json").is_file()
    assert os.readlink(dest / "home") == "var/home"
    assert sorted(tmp_path.iterdir()) == sorted([*before, dest])
    done = composer.compose("rootfs", composer.write(TEXT), dest, ok=(1,))
    assert f"Refusing to operate on extant target {dest}" in done.stderr
    # what happens to it cannot reach the cache
    (dest / "usr/bin/app").write_text("changed")
    subprocess.run(["ostree", "fsck", "-q", f"--repo={composer.cachedir}/repo"], check=True)


def test_install_with_postprocess_is_finished(composer, tmp_path):
    done = composer.compose(
        "install",
        "--postprocess",
        f"--cachedir={composer.cachedir}",
        composer.write(TEXT),
        tmp_path,
    )
    root = tmp_path / "rootfs"
    assert (root / "usr/etc/hello").is_file() and not (root / "etc").exists()
    assert "apt-ostree-0-integration.conf" in done.stdout
    again = composer.compose("install", composer.write(TEXT), tmp_path, ok=(1,))
    assert "rootfs' exists" in again.stderr


def test_state_and_accounts_of_the_tree(composer):
    files = Files.of(composer)
    conf = "".join(files.text(p) for p in files.below("/usr/lib/tmpfiles.d"))
    assert "/var/lib/app" in conf and "/var/lib/agent" in conf
    assert "/usr/share/factory/var/lib/app/state/db" in files
    assert "/usr/share/factory/var/lib/shipped/data" in files
    assert files.mode("/opt").startswith("d") and "/opt/acme/run" in files
    assert files.mode("/usr/local").startswith("d")
    users = files.text("/usr/lib/sysusers.d/00-apt-ostree.conf")
    assert "worker" in users and "agent" in users


def test_roots_that_cannot_be_committed(composer, tmp_path):
    path = composer.write(TEXT)

    def refused(verb, *argv):
        done = composer.compose(verb, *argv, ok=(1,))
        assert "Traceback" not in done.stderr
        return done.stderr

    repo = f"--repo={composer.repo}"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "Missing /usr" in refused("commit", repo, path, empty)
    assert "Missing /usr" in refused("postprocess", empty, path)
    (empty / "usr/bin").mkdir(parents=True)
    assert "Missing usr/etc in rootfs" in refused("commit", repo, path, empty)
    assert "no package database" in refused("postprocess", empty, path)
    (empty / "usr/etc").mkdir()
    (empty / "etc").mkdir()
    assert "Found both /etc and /usr/etc" in refused("commit", repo, path, empty)
    assert "is not a directory" in refused("commit", repo, path, tmp_path / "nowhere")
    shutil.rmtree(empty)

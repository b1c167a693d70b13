"""The program on a real sysroot, with deployments that the ostree program made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "bin" / "apt-ostree"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("ostree") is None, reason="needs ostree"),
]


def ostree(*words):
    done = subprocess.run(["ostree", *map(str, words)], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def sysroot(tmp_path_factory):
    """Two deployments of one branch in stateroot `debian`, versions 1 and 2."""
    base = tmp_path_factory.mktemp("sysroot")
    root, tree = base / "root", base / "tree"
    root.mkdir()
    ostree("admin", "init-fs", "--modern", root)
    ostree("admin", "os-init", "debian", "--sysroot", root)
    (tree / "usr/etc").mkdir(parents=True)
    modules = tree / "usr/lib/modules/6.1.0-1-amd64"
    modules.mkdir(parents=True)
    (modules / "vmlinuz").write_text("kernel")
    (modules / "initramfs.img").write_text("initramfs")
    (tree / "usr/lib/os-release").write_text('ID=debian\nPRETTY_NAME="Debian"\n')
    (tree / "usr/etc/os-release").symlink_to("../lib/os-release")
    for version in ("1", "2"):
        (tree / "usr/etc/version").write_text(version)
        ostree(
            "commit", f"--repo={root}/ostree/repo", "-b", "debian/x", f"--tree=dir={tree}",
            f"--add-metadata-string=version={version}", "--add-metadata=ostree.bootable=true",
        )  # fmt: skip
        ostree(
            "admin", "deploy", "--sysroot", root, "--os=debian", "--karg=quiet", "debian/x",
        )  # fmt: skip
    yield root
    for deployment in (root / "ostree/deploy/debian/deploy").iterdir():
        subprocess.run(["chattr", "-i", deployment], check=False)


def apt_ostree(*words, **kwargs):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, words)],
        capture_output=True, check=False, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
        **kwargs,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_status_of_real_deployments(sysroot):
    new = ostree("rev-parse", f"--repo={sysroot}/ostree/repo", "debian/x")
    old = ostree("rev-parse", f"--repo={sysroot}/ostree/repo", "debian/x^")
    code, out, err = apt_ostree("status", f"--sysroot={sysroot}")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == ["State: idle", "Deployments:", "  debian/x"]
    assert [line.split()[1] for line in lines if "Version:" in line] == ["2", "1"]
    assert [line.split()[1] for line in lines if " Commit:" in line] == [new, old]
    code, out, _ = apt_ostree("status", "--json", f"--sysroot={sysroot}", "--pending-exit-77")
    assert code == 77
    found = json.loads(out)["deployments"]
    assert [d["checksum"] for d in found] == [new, old]
    assert [(d["osname"], d["booted"], d["origin"]) for d in found] == [
        ("debian", False, "debian/x")
    ] * 2


def test_jsonpath_on_real_deployments(sysroot):
    code, out, _ = apt_ostree("status", "-J", "$.deployments[*].version", f"--sysroot={sysroot}")
    assert (code, json.loads(out)) == (0, ["2", "1"])


def test_a_directory_that_is_no_sysroot(tmp_path):
    code, out, err = apt_ostree("status", f"--sysroot={tmp_path}")
    assert (code, out) == (1, "")
    assert err.startswith("error: ") and "Traceback" not in err
    assert "internal error" not in err

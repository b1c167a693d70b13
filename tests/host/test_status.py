"""The deployment dictionary, from real deployments."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from fixtures.debrepo import make_key

from apt_ostree.host import status
from apt_ostree.model.deployment import Deployment
from apt_ostree.model.origin import LocalPackage, Origin, RemoteReplacement
from apt_ostree.ostree.glib import GLib

pytestmark = pytest.mark.root
ALWAYS = {
    "id", "osname", "serial", "checksum", "booted", "staged", "pinned", "unlocked", "timestamp",
    "base-commit-meta", "packages", "base-removals", "base-local-replacements",
    "base-remote-replacements", "requested-packages", "requested-local-packages",
    "requested-local-fileoverride-packages", "requested-base-removals",
    "requested-base-local-replacements", "regenerate-initramfs",
}  # fmt: skip


def six(name, version):
    values = (f"{name}-{version}.amd64", name, 0, version, "", "amd64")
    return GLib.Variant("(sstsss)", values)


def test_a_plain_deployment_has_just_what_holds(site):
    base = site.base(["libc6=2.36"], metadata={"ostree.source-title": "a tree"})
    made = site.deploy(base)
    (found,) = status.deployments(site.path)
    assert set(found) == ALWAYS | {"origin", "version"}
    assert found["id"] == made.id == f"debian-{base}.0"
    assert found["origin"] == "debian/13"
    assert (found["version"], found["timestamp"]) == ("13.1", 1_700_000_000)
    assert found["base-commit-meta"] == {"ostree.source-title": "a tree", "version": "13.1"}
    assert (found["booted"], found["unlocked"], found["packages"]) == (False, "none", [])


def test_a_layered_deployment(site):
    base = site.base(["libc6=2.36", "nano=1", "vim=1"])
    local = LocalPackage("a" * 64, "own-1.amd64")
    origin = Origin(
        refspec="debian/13",
        requested=("htop", "idle"),
        local=(local,),
        override_remove=("nano",),
        override_remote=(RemoteReplacement("repo=x", ("vim",)),),
        regenerate_initramfs=True,
        initramfs_args=("-v",),
        custom_url="u",
        custom_description="d",
    )
    top = site.layered(
        base,
        ["libc6=2.36", "vim=2", "htop=3"],
        requests=["htop"],
        metadata={
            "aptostree.removed-base-packages": ("av", [six("nano", "1")]),
            "aptostree.replaced-base-remote-packages": (
                "a{sv}",
                {"repo=x": GLib.Variant("a(vv)", [(six("vim", "2"), six("vim", "1"))])},
            ),
        },
    )
    site.deploy(top, origin=origin)
    (found,) = status.deployments(site.path)
    assert found["checksum"] == top
    assert (found["base-checksum"], found["base-version"]) == (base, "13.1")
    assert found["base-timestamp"] == 1_700_000_000
    assert (found["packages"], found["requested-packages"]) == (["htop"], ["htop", "idle"])
    assert found["base-removals"] == [("nano-1.amd64", "nano", 0, "1", "", "amd64")]
    assert found["requested-base-remote-replacements"] == [["repo=x", ["vim"]]]
    assert set(found["layered-commit-meta"]) == {
        "aptostree.clientlayer", "aptostree.state-sha512", "version",
    }  # fmt: skip
    assert found["requested-local-packages"] == ["own-1.amd64"]
    assert (found["regenerate-initramfs"], found["initramfs-args"]) == (True, ["-v"])
    assert found["custom-origin"] == ["u", "d"]
    read = Deployment.from_dict(json.loads(json.dumps(found)))
    assert read.remote_replacements[0][1][0].new.version == "2"


def test_a_moved_ref_is_pending(site):
    site.deploy(site.base(["libc6=1"]))
    newer = site.base(["libc6=2"], version="13.2", timestamp=1_700_000_500)
    (found,) = status.deployments(site.path)
    pending = {k: v for k, v in found.items() if k.startswith("pending-base")}
    assert pending == {
        "pending-base-checksum": newer,
        "pending-base-version": "13.2",
        "pending-base-timestamp": 1_700_000_500,
    }


def test_a_pruned_base_and_a_broken_origin_do_not_hide_the_deployment(site):
    base = site.base(["libc6=1"])
    made = site.deploy(site.layered(base, ["libc6=1", "a=1"]))
    Path(f"{made.directory}.origin").write_text("[origin]\nnothing=1\n")
    (site.path / f"ostree/repo/objects/{base[:2]}/{base[2:]}.commit").unlink()
    (found,) = status.deployments(site.path)
    assert found["base-checksum"] == base
    assert "base-timestamp" not in found
    assert found["base-commit-meta"] == {}
    assert "Failed to find refspec" in found["origin-error"]


def test_an_end_of_life_and_a_missing_remote(site):
    base = site.base(["libc6=1"], metadata={"ostree.endoflife": "use 14"})
    site.deploy(base, origin=Origin(refspec="gone:debian/13"))
    (found,) = status.deployments(site.path)
    assert found["endoflife"] == "use 14"
    assert found["remote-error"] == 'Remote "gone" not found'
    assert "gpg-enabled" not in found


@pytest.mark.parametrize("verify", [True, False])
def test_a_remote_says_whether_signatures_count(site, verify):
    repo = f"--repo={site.path}/ostree/repo"
    flag = f"--set=gpg-verify={'true' if verify else 'false'}"
    subprocess.run(["ostree", "remote", "add", repo, flag, "o", "file:///none"], check=True)
    site.deploy(site.base(["libc6=1"]), origin=Origin(refspec="o:debian/13"))
    (found,) = status.deployments(site.path)
    assert found["gpg-enabled"] is verify
    assert "signatures" not in found


def test_the_lists_are_there_for_history(site):
    site.deploy(site.base(["libc6=2.36"]))
    sysroot = site.sysroot
    found = status.describe(sysroot.repo, sysroot.deployments[0], has_lists=True)
    assert found["base-commit-meta"]["aptostree.rpmdb.pkglist"] == [
        ("libc6", "0", "2.36", "", "amd64")
    ]


def test_the_top_object(site):
    assert status.status(site.path) == {
        "deployments": [],
        "transaction": None,
        "cached-update": None,
        "update-driver": None,
    }


def test_neither_apt_nor_yaml_is_imported(site):
    site.deploy(site.base(["libc6=2.36"]))
    code = (
        "import sys, pathlib; from apt_ostree.host import status;"
        "assert status.status(pathlib.Path(sys.argv[1]))['deployments'];"
        "print(sorted({'apt', 'apt_pkg', 'yaml'} & sys.modules.keys()))"
    )
    source = str(Path(status.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, str(site.path)],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_three_deployments_are_read_at_once(site):
    many = [f"package-{n}=1.{n}-1" for n in range(300)]
    base = site.base(many)
    for number in range(3):
        site.deploy(site.layered(base, [*many, f"a={number}"]), keep_all=True)
    best = min(_timed(lambda: status.deployments(site.path)) for _ in range(5))
    assert len(status.deployments(site.path)) == 3
    assert best < 0.1


def _timed(work) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def test_signatures_are_judged_by_the_remote_s_keyring(site, tmp_path):
    key = make_key(tmp_path / "key")
    repo = f"--repo={site.path}/ostree/repo"
    base = site.base(["libc6=1"])
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:  # short: a socket's path has a limit
        for command in (
            ["gpg", "--batch", "--homedir", home, "--import", key.secret],
            ["ostree", "gpg-sign", repo, f"--gpg-homedir={home}", base, key.fingerprint],
            ["gpgconf", "--homedir", home, "--kill", "all"],
            ["ostree", "remote", "add", repo, f"--gpg-import={key.public}", "o", "file:///none"],
        ):
            subprocess.run(command, check=True, capture_output=True)
    site.deploy(base, origin=Origin(refspec="o:debian/13"))
    (found,) = status.deployments(site.path)
    (signature,) = found["signatures"]
    assert (signature[0], signature[5]) == (True, key.fingerprint)
    assert json.dumps(signature)

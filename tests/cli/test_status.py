"""`status`: golden texts of many deployments, JSON, JSONPath, exit status."""

import json

import pytest

from apt_ostree.cli.render.deployment import BlockContext, block, signatures
from apt_ostree.cli.render.output import Style
from apt_ostree.cli.render.status import (
    Activity,
    Automatic,
    Driver,
    StatusOptions,
    StatusView,
    status,
)  # fmt: skip
from apt_ostree.cli.render.update import AvailableUpdate
from apt_ostree.errors import AptOstreeError
from apt_ostree.insight import diff
from apt_ostree.model.deployment import Deployment
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import Advisory, PackageDiff

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
BOOTED = {
    "id": f"debian-{'2' * 64}.0", "osname": "debian", "serial": 0, "checksum": "2" * 64,
    "booted": True, "staged": False, "pinned": True, "unlocked": "none",
    "origin": "origin:debian/trixie/amd64/minimal", "version": "13.20251224.0",
    "timestamp": 1766534400, "packages": [], "requested-packages": [],
    "base-commit-meta": {"aptostree.rpmmd-repos": [
        {"id": "debian:trixie", "timestamp": 1766500000},
        {"id": "debian:trixie-updates", "timestamp": 1766500001},
    ]},
}  # fmt: skip
OLD, NEW = Package("bash", "amd64", "5.2-1"), Package("bash", "amd64", "5.3-1")
PENDING = {
    **BOOTED, "id": f"debian-{'3' * 64}.0", "checksum": "3" * 64, "booted": False, "staged": True,
    "pinned": False, "version": "13.20260101.0", "timestamp": 1767225600,
    "base-checksum": "1" * 64, "base-version": "13.20260101.0", "base-timestamp": 1767225600,
    "gpg-enabled": True,
    "signatures": [[True, False, False, False, False, FINGERPRINT, 1767225600, 0, "RSA", "SHA512", "Ann",
                    "ann@example.org"]],
    "layered-commit-meta": {"ostree.source-title": "from debian/trixie"},
    "packages": ["strace", "htop", "a b"], "requested-packages": ["strace", "htop", "a b", "vim"],
    "requested-local-packages": ["tool-1-1.amd64"],
    "requested-local-fileoverride-packages": ["forced-1-1.amd64"],
    "base-removals": [list(Package(n, "amd64", "1:7-2").as_tuple()) for n in ("nano", "ed")],
    "requested-base-removals": ["nano", "ed", "gone"],
    "base-local-replacements": [[list(NEW.as_tuple()), list(OLD.as_tuple())]],
    "requested-base-local-replacements": [NEW.nevra, "dash-1-1.amd64"],
    "base-remote-replacements": {"repo=x": [[list(NEW.as_tuple()), list(OLD.as_tuple())]]},
    "requested-base-remote-replacements": [["repo=x", ["bash", "zsh"]]],
    "regenerate-initramfs": True, "initramfs-args": ["-I", "/etc/my file"],
    "initramfs-etc": ["/etc/cmdline.d/x.conf"], "cliwrap": True, "unlocked": "hotfix",
    "endoflife": "no more updates",
}  # fmt: skip
DIFF = PackageDiff.between(
    [OLD, Package("nano", "amd64", "7"), Package("c", "all", "2")],
    [NEW, Package("htop", "amd64", "3"), Package("c", "all", "1")],
    compare=lambda a, b: (a > b) - (a < b),
)
ADVISORIES = (
    Advisory("DSA-5000-1", 1, 4, ("bash-5.3-1.amd64", "htop-3.amd64"), (("https://x/1", "CVE-1"),)),
    Advisory("DSA-2", 1, 0, ("c-1.all",)),
    Advisory("DLA-9", 2, 4, ("not-security-1.all",)),
)


def text(view, *, style=None, **options):
    return "\n".join(status(view, StatusOptions(**options), style or Style())) + "\n"


def view(*raw, **extra):
    return StatusView(deployments=tuple(Deployment.from_dict(d) for d in raw), **extra)


def test_the_example_of_the_manual(golden):
    pending = {k: PENDING[k] for k in BOOTED} | {
        "base-checksum": "1" * 64, "base-timestamp": 1767225600, "gpg-enabled": True,
        "signatures": PENDING["signatures"], "packages": ["strace", "htop"], "unlocked": "none",
    }  # fmt: skip
    automatic = Automatic("stage", "apt-ostreed-automatic.timer: last run 3h 4min ago")
    golden("status-plain", text(view(pending, BOOTED, pending_diff=DIFF, automatic=automatic)))


def test_every_key(golden):
    shown = view(PENDING, BOOTED, pending_diff=DIFF, pending_advisories=ADVISORIES)
    golden("status-full", text(shown))
    golden("status-verbose", text(shown, is_verbose=True, expands_advisories=True))
    golden("status-booted", text(shown, only_booted=True))


def test_narrow_ascii_terminal(golden):
    many = {**BOOTED, "packages": [f"package-number-{n}" for n in range(9)]}
    golden("status-ascii", text(view(many), style=Style(is_unicode=False, columns=60)))


def test_top_part(golden):
    parts = [
        text(view(activity=Activity("install htop", "client(id:cli uid:0)"))),
        text(view(driver=Driver("Zincati", "zincati.service", "active; Waiting"))),
        text(view(driver=Driver("Zincati", "zincati.service", "active")), is_verbose=True),
        text(view(automatic=Automatic("none"))),
        text(view(automatic=Automatic("none")), is_verbose=True),
        text(view(finalize_failure="error: No space left on device")),
        text(view(), only_booted=True),
    ]
    golden("status-top", "\n".join(parts))


def test_other_origins_and_live_changes(golden):
    image = {k: v for k, v in BOOTED.items() if k != "origin"} | {
        "container-image-reference": "ostree-unverified-registry:quay.io/x/y:z",
        "container-image-reference-digest": "sha256:abc",
    }
    pinned = {**BOOTED, "origin": "f" * 64, "custom-origin": ["https://example.org", "by hand"]}
    broken = {k: v for k, v in BOOTED.items() if k not in ("origin", "version")} | {
        "remote-error": 'Remote "foo" not found',
    }  # fmt: skip
    unchecked = {**BOOTED, "gpg-enabled": False, "origin-error": "expected a [group] at line 1"}
    live = {**BOOTED, "live-replaced": "9" * 64, "live-inprogress": "8" * 64}
    other = {**BOOTED, "osname": "other", "booted": False}
    update = AvailableUpdate(False, "7" * 64, diff=DIFF)
    shown = view(
        image,
        pinned,
        broken,
        unchecked,
        live,
        other,
        live_diffs={BOOTED["id"]: DIFF},
        update=update,
    )
    golden("status-origins", text(shown))


def test_colours_only_with_a_terminal():
    bold = "\n".join(block(Deployment.from_dict(BOOTED), BlockContext(), Style(has_colour=True)))
    plain = "\n".join(block(Deployment.from_dict(BOOTED), BlockContext(), Style()))
    assert "\x1b[1m13.20251224.0\x1b[0m (2025-12-24T00:00:00Z)" in bold
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("valid", "missing", "expected"),
    [
        (True, False, f"Valid signature by {FINGERPRINT}"),
        (False, False, f"Invalid signature by {FINGERPRINT}"),
        (False, True, f"Can't check signature: public key {FINGERPRINT} not found"),
    ],
)
def test_signature_verdicts(valid, missing, expected):
    signature = [valid, False, False, False, missing, FINGERPRINT, 0, 0, "RSA", "SHA512", "", ""]
    lines = list(signatures([signature, signature], is_verbose=False))
    assert lines == [f"{'GPGSignature':>25}: {expected}", f"{'':>27}{expected}"]


@pytest.fixture
def deployed(provide):
    provide("host.status", deployments=lambda sysroot: [PENDING, BOOTED])
    provide("insight.diff", packages=lambda repo, before, after: DIFF, paired=diff.paired)


def test_json(run, deployed):
    code, out, err = run("status", "--json", "--sysroot=/mnt")
    value = json.loads(out)
    assert (code, err) == (0, "")
    assert value["deployments"] == [PENDING, BOOTED]
    assert out.startswith('{\n  "deployments" : [\n    {\n      "id" : ')
    assert [value[k] for k in ("transaction", "cached-update", "update-driver")] == [None] * 3
    booted = json.loads(run("status", "--json", "-b", "--sysroot=/mnt")[1])
    assert booted["deployments"] == [BOOTED]


def test_jsonpath_and_pending_77(run, deployed):
    words = ("status", "--jsonpath", "$.deployments[?(@.booted)].checksum", "--sysroot=/mnt")
    assert run(*words) == (0, f'[\n  "{"2" * 64}"\n]\n', "")
    assert run(*words, "--pending-exit-77")[0] == 77
    code, out, err = run("status", "-J", "$.[", "--sysroot=/mnt")
    assert (code, out) == (1, "")
    assert err.startswith("error: While compiling jsonpath: ")


def test_text_of_the_command(run, deployed):
    code, out, _ = run("status", "--sysroot=/mnt")
    assert code == 0
    assert "● origin:debian/trixie/amd64/minimal\n" in out
    assert "                     Diff: 1 upgraded, 1 downgraded, 1 removed, 1 added\n" in out


def test_a_deployment_without_a_list_of_packages_is_shown(run, provide):
    def packages(repo, before, after):
        raise AptOstreeError("Failed to find any packages in root")

    provide("host.status", deployments=lambda sysroot: [PENDING, BOOTED])
    provide("insight.diff", packages=packages, paired=diff.paired)
    code, out, err = run("status", "--sysroot=/mnt")
    assert (code, err) == (0, "")
    assert "● origin:debian/trixie/amd64/minimal\n" in out
    assert "Diff:" not in out

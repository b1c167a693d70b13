"""Commands that only look: what they ask for and how they show it."""

import json
from pathlib import Path

import pytest

from apt_ostree.insight import diff
from apt_ostree.model.package import Package
from apt_ostree.model.package_diff import Advisory, PackageDiff
from apt_ostree.model.plan import SourceInfo

SYSROOT = "--sysroot=/mnt"
A, B, C = "a" * 64, "b" * 64, "c" * 64
PACKAGES = {
    A: [Package("bash", "amd64", "5.2-1"), Package("nano", "amd64", "7")],
    B: [Package("bash", "amd64", "5.3-1"), Package("htop", "amd64", "1:3")],
}
DSA = Advisory("DSA-1", 1, 3, ("bash-5.3-1.amd64",), (("https://x/CVE-1", "CVE-1: hole"),))
REVS = {"old": A, "new": B, A: A, B: B}


def compare(a, b):
    return (a > b) - (a < b)


@pytest.fixture
def commits(provide):
    seen = []

    def packages(repo, before, after):
        seen.append((repo, before, after))
        return PackageDiff.between(PACKAGES[before], PACKAGES[after], compare=compare)

    provide(
        "insight.diff",
        resolve=lambda repo, rev: REVS.get(rev),
        listing=lambda repo, commit: PACKAGES[commit],
        packages=packages,
        paired=diff.paired,
        advisories=lambda repo, commit, since=None: (DSA,) if commit == B else (),
        changelogs=lambda repo, diff, after: {"bash": ["Thu Jan 01 2026 Ann <a@x>\n* fix"]},
    )
    return seen


def deployment(checksum, *, booted=False, osname="debian", base=None):
    found = {"checksum": checksum, "booted": booted, "osname": osname}
    return found | ({"base-checksum": base} if base else {})


def test_db_list(run, commits):
    code, out, _ = run("db", "list", "-r", "/repo", "old", B)
    assert (code, out.splitlines()) == (
        0,
        [f"ostree commit: old ({A})", " bash-5.2-1.amd64", " nano-7.amd64",
         f"ostree commit: {B}", " bash-5.3-1.amd64", " htop-1:3.amd64"],
    )  # fmt: skip
    assert run("db", "list", "-a", "new", "bash")[1].splitlines()[2:] == [
        "", "SecAdvisories:", "  DSA-1  Important  bash-5.3-1.amd64",
        "        CVE-1: hole", "        https://x/CVE-1",
    ]  # fmt: skip
    assert run("rpm", "list", "new", "h*", "zz")[1].splitlines()[1:] == [" htop-1:3.amd64"]
    assert run("db", "list") == (0, "", "")
    value = json.loads(run("db", "list", "--json", "old", "nano")[1])
    assert value == [
        {"rev": "old", "commit": A,
         "packages": [{"name": "nano", "arch": "amd64", "version": "7"}]}
    ]  # fmt: skip
    code, out, err = run("db", "list", "nowhere")
    assert (code, out, err.splitlines()[0]) == (1, "", "error: Refspec 'nowhere' not found")


def test_db_version_is_a_count_and_a_hash_of_all_versions(run, commits):
    code, out, _ = run("db", "version", "old")
    first, second = out.splitlines()
    assert (code, first) == (0, f"ostree commit: old ({A})")
    assert second.startswith("  rpmdbv is: ") and len(second) == 13 + 66
    count, digest = second.split()[-1].split(":")
    # printf 'bash=5.2-1/amd64\nnano=7/amd64\n' | sha256sum
    import hashlib

    assert (count, digest) == (
        "2", hashlib.sha256(b"bash=5.2-1/amd64\nnano=7/amd64\n").hexdigest(),
    )  # fmt: skip


def test_db_diff_of_two_revisions(run, commits, golden):
    outputs = [
        run("db", "diff", "--repo=/r", "old", "new", *options)
        for options in ([], ["-F", "diff"], ["--format=json"], ["-c"], ["-a"])
    ]
    assert [code for code, _, _ in outputs] == [0] * 5
    assert commits == [(Path("/r"), A, B)] * 5
    assert json.loads(outputs[2][1])["pkgdiff"][0] == [
        "htop", 0, {"NewPackage": ["htop", "1:3", "amd64"]},
    ]  # fmt: skip
    golden("db-diff", "\n".join(out for _, out, _ in outputs))


@pytest.mark.parametrize(
    ("words", "deployments", "sides"),
    [
        ([], [deployment(B), deployment(A, booted=True)],
         ["booted deployment", A, "pending deployment", B]),
        ([], [deployment(B, booted=True), deployment(C, osname="x"), deployment(A)],
         ["rollback deployment", A, "booted deployment", B]),
        (["new"], [deployment(A, booted=True)], ["booted deployment", A, "new", B]),
        (["--base"], [deployment(C, base=B), deployment(C, booted=True, base=A)],
         ["booted deployment", A, "pending deployment", B]),
    ],
)  # fmt: skip
def test_db_diff_against_the_booted_system(run, commits, provide, words, deployments, sides):
    provide("host.status", deployments=lambda sysroot: deployments)
    code, out, _ = run("db", "diff", *words)
    assert code == 0
    assert out.splitlines()[:2] == [
        f"ostree diff commit from: {sides[0]} ({sides[1]})",
        f"ostree diff commit to:   {sides[2]} ({sides[3]})",
    ]
    assert json.loads(run("db", "diff", *words, "--format=json")[1])["ostree-commit-to"] == sides[3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "c"], 'usage error: "apt-ostree db diff" takes at most 2 arguments'),
        (["-F", "json", "-c"], "usage error: json format and --changelogs not supported"),
        (["-F", "diff", "-a"], "usage error: diff format and --advisories not supported"),
        (["-F", "x"], "usage error: Format argument is invalid, pick one of: diff, block, json"),
    ],
)
def test_db_diff_usage(run, commits, words, message):
    code, out, err = run("db", "diff", *words)
    assert (code, out, err.splitlines()[-1]) == (1, "", f"error: {message}")


@pytest.mark.parametrize(
    ("deployments", "message"),
    [
        ([deployment(A)], "No pending or rollback deployment to diff against"),
        ([], "Not booted into any deployment"),
        ([deployment(A, booted=True)], "No pending or rollback deployment to diff against"),
    ],
)
def test_db_diff_with_nothing_to_compare(run, commits, provide, deployments, message):
    provide("host.status", deployments=lambda sysroot: deployments)
    code, _, err = run("db", "diff")
    assert (code, err.splitlines()[0]) == (1, f"error: {message}")


def test_search_groups(run, provide):
    found = [
        ("Summary & Name Matched", "foo", "A foo tool"),
        ("Name Matched", "libfoo", "A library"),
        ("Name Matched", "foo-doc", "Manual"),
    ]
    provide("host.metadata", search=lambda sysroot, stateroot, terms, progress: found)
    assert run("search", "foo", SYSROOT) == (
        0,
        "\n===== Summary & Name Matched =====\nfoo : A foo tool\n"
        "\n===== Name Matched =====\nlibfoo : A library\nfoo-doc : Manual\n",
        "",
    )
    assert json.loads(run("search", "foo", "--json", SYSROOT)[1])[1] == {
        "group": "Name Matched", "name": "libfoo", "summary": "A library",
    }  # fmt: skip
    found.clear()
    assert run("search", "zz", SYSROOT) == (0, "No matches found.\n", "")


def test_info(run, provide):
    records = [
        {"control": {"Package": "foo", "Version": "1"}, "status": "layered", "installed": "1",
         "reason": "requested as 'foo'"},
        {"control": {"Package": "bar"}, "candidate": "2"},
    ]  # fmt: skip
    provide("host.metadata", info=lambda sysroot, stateroot, names, progress: records)
    assert run("info", "foo", "bar", SYSROOT)[1].splitlines() == [
        "Package: foo",
        "Version: 1",
        "APT-OSTree-Status: layered",
        "APT-OSTree-Installed: 1",
        "APT-OSTree-Reason: requested as 'foo'",
        "",
        "Package: bar",
        "APT-OSTree-Candidate: 2",
    ]
    assert json.loads(run("info", "foo", "--json", SYSROOT)[1]) == records


def test_list(run, provide):
    asked = []
    rows = [
        {"name": "bash", "version": "5.2", "arch": "amd64", "origin": "base", "candidate": "5.3"},
        {"name": "htop", "version": "3", "arch": "amd64", "origin": "layered", "candidate": None},
    ]

    def found(sysroot, stateroot, patterns, *, which, deployment, progress):
        asked.append((sysroot, stateroot, patterns, which, deployment))
        return rows

    provide("host.packages", list=found)
    assert run("list", "b*", SYSROOT)[1].splitlines() == [
        "bash  5.2  amd64  base",
        "htop  3    amd64  layered",
    ]
    assert run("list", "--upgradable", "--deployment=x", SYSROOT)[1].splitlines() == [
        "bash  5.2  amd64  base     5.3",
        "htop  3    amd64  layered",
    ]
    assert json.loads(run("list", "--json", "--base", SYSROOT)[1]) == rows
    assert asked == [
        (Path("/mnt"), None, ("b*",), "all", None),
        (Path("/mnt"), None, (), "upgradable", "x"),
        (Path("/mnt"), None, (), "base", None),
    ]


def test_why(run, provide):
    found = {
        "target": "/usr/bin/htop",
        "package": "htop",
        "chain": [{"kind": "file", "text": "htop 3"}, {"kind": "request", "text": "requested"}],
    }
    provide("insight.why", explain=lambda sysroot, stateroot, target, *, deployment: found)
    assert run("why", "/usr/bin/htop", SYSROOT)[1] == (
        "/usr/bin/htop\n└─ htop 3\n   └─ requested\n"
    )
    assert json.loads(run("why", "x", "--json", SYSROOT)[1]) == found
    assert run("why", SYSROOT)[2].endswith("usage error: One PACKAGE or /PATH must be specified\n")


def test_history(run, provide):
    limits = []
    entries = [{"deployment-create-timestamp": 1767225600, "boot-count": 0}] * 2

    def found(sysroot, *, limit, has_failures):
        assert has_failures
        limits.append(limit)
        return entries

    provide("insight.history", entries=found)
    assert "<< Missing history information >>" in run("history", SYSROOT)[1]
    out = run("ex", "history", "--json", "-n5", SYSROOT)[1]
    decoder = json.JSONDecoder()
    value, end = decoder.raw_decode(out)
    assert (value, out[end]) == (entries[0], "\n")
    entries = []
    code, out, err = run("ex", "history", "--all", SYSROOT)
    assert (code, out) == (0, "<< No entries found >>\n")
    assert err == "NOTICE: Experimental commands are subject to change.\n"
    assert limits == [3, 5, None]


def test_refresh(run, provide):
    sources = (SourceInfo("debian:trixie", 1767225600, 7),)
    asked = []

    def refresh(sysroot, stateroot, force, progress, *, dry_run):
        asked.append((sysroot, stateroot, force, dry_run))
        progress.message("apt source 'debian:trixie'; generated: 2026-01-01T00:00:00Z packages: 7")
        return sources

    provide("host.metadata", refresh=refresh)
    assert run("makecache", "-f", SYSROOT)[1].startswith("apt source 'debian:trixie'; ")
    assert run("refresh-md", "-q", "--os=x", SYSROOT) == (0, "", "")
    assert json.loads(run("refresh-md", "--json", SYSROOT)[1])[0]["packages"] == 7
    assert run("refresh-md", "-n", SYSROOT)[1].endswith("Exiting because of '--dry-run' option\n")
    assert [(stateroot, force, dry) for _, stateroot, force, dry in asked] == [
        (None, True, False),
        ("x", False, False),
        (None, False, False),
        (None, False, True),
    ]


def test_initramfs_state(run, provide):
    found = [{
        "id": "x", "osname": "debian", "serial": 0, "checksum": A, "booted": False,
        "staged": False, "pinned": False, "unlocked": "none", "timestamp": 0,
        "regenerate-initramfs": True, "initramfs-args": ["-I", "/etc/x"],
        "initramfs-etc": ["/etc/a"],
    }]  # fmt: skip
    provide("host.status", deployments=lambda sysroot: found)
    assert run("initramfs", SYSROOT)[1] == (
        "Initramfs regeneration: enabled\nInitramfs args: -I /etc/x \n"
    )
    assert run("initramfs-etc", SYSROOT)[1] == "Tracked files:\n  /etc/a\n"
    found[0]["initramfs-etc"], found[0]["regenerate-initramfs"] = [], False
    assert run("initramfs-etc", SYSROOT)[1] == "No tracked files.\n"
    code, _, err = run("initramfs", "--os=other", SYSROOT)
    assert (code, err) == (1, "error: No deployments found for OS 'other'\n")


def test_init_and_checkout(run, provide, commits, tmp_path):
    asked = []
    provide(
        "host.sysroot",
        init=lambda path, stateroot, *, dry_run: asked.append((path, stateroot)) or not dry_run,
    )
    provide(
        "host.checkout",
        run=lambda sysroot, rev, dest, progress, *, copy: asked.append((rev, dest, copy)) or B,
    )
    target = tmp_path / "new"
    assert run("init", str(target))[1] == f"Initialized {target} with stateroot 'debian'\n"
    assert run("init", "--os=x", "-n", str(target))[1].splitlines()[0] == "No changes."
    assert run("checkout", "new", str(target), "--copy", SYSROOT)[1] == (
        f"Checked out {B} to {target}\n"
    )
    assert run("checkout", "new", str(target), "-n", SYSROOT)[1].startswith("Would check out b")
    assert asked == [(target, "debian"), (target, "x"), ("new", target, True)]
    err = run("checkout", "new", str(tmp_path), SYSROOT)[2]
    assert err == f"error: Refusing to operate on extant target {tmp_path}\n"
    assert run("init", "--stateroot=../x", str(target))[2] == (
        "error: Invalid stateroot name '../x'\n"
    )

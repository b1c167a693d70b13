"""Moving between bases: upgrade, rebase, deploy, and the layers that come along."""

import json
import subprocess

import pytest
from fixtures.branch import BRANCH, REMOTE, error, first, ostree
from fixtures.debrepo import make_deb, make_repo

pytestmark = [pytest.mark.root, pytest.mark.network]


def test_a_new_base_keeps_layers_and_overrides(branch, machine, tmp_path):
    d = tmp_path / "built"
    mine = make_deb(d, "mine", files={"/usr/bin/mine": "mine"})
    old = make_deb(d, "libk", "0.5", files={"/usr/lib/libk.so.0": "0"})
    machine.publish(make_deb(d, "hello", "1", files={"/usr/bin/hello": "1"}),
                    make_deb(d, "tool", files={"/usr/bin/tool": "layered"}))  # fmt: skip
    machine("install", "hello", "tool", mine)
    mine.unlink()
    machine("override", "replace", old)
    old.unlink()
    machine.publish(make_deb(d, "hello", "2", files={"/usr/bin/hello": "2"}))

    branch.point("2")
    done = machine("upgrade")
    assert done.stdout.endswith('Run "systemctl reboot" to start a reboot\n')
    assert "Changes queued" not in done.stdout
    assert "Inactive requests:\n  tool (already provided by tool-1.0.all)" in done.stdout
    now = first(machine)
    assert (now["version"], now["base-version"]) == ("2", "2")
    assert now["base-checksum"] == branch.commits["2"]
    assert now["packages"] == ["hello"]
    assert now["requested-packages"] == ["hello", "tool"]
    assert now["requested-local-packages"] == ["mine-1.0.all"]
    [[new, before]] = now["base-local-replacements"]
    assert (new[0], before[0]) == ("libk-0.5.all", "libk-2.all")
    assert (machine.tree / "usr/bin/hello").read_text() == "2"
    assert (machine.tree / "usr/bin/mine").read_text() == "mine"
    assert (machine.tree / "usr/lib/libk.so.0").exists()
    assert not (machine.tree / "usr/lib/libk.so.2").exists()
    shown = machine("status", "-v").stdout
    assert "         InactiveRequests: tool\n" in shown
    assert "           LocalOverrides: libk 2 -> 0.5\n" in shown

    # the base gives up what was asked for: the request comes back to life
    branch.point("3")
    machine("upgrade")
    assert first(machine)["packages"] == ["hello", "tool"]
    assert (machine.tree / "usr/bin/tool").read_text() == "layered"
    for argv, status in ((["upgrade"], 0), (["upgrade", "--unchanged-exit-77"], 77)):
        assert machine(*argv, ok=[status]).stdout.endswith("No upgrade available.\n")


def test_overrides_that_have_nothing_to_act_on_wait(branch, machine):
    branch.point("2")
    machine("upgrade")
    machine("override", "remove", "tool")
    assert [r[0] for r in first(machine)["base-removals"]] == ["tool-1.0.all"]
    branch.point("3")
    machine("upgrade")
    assert first(machine)["base-removals"] == []
    assert first(machine)["requested-base-removals"] == ["tool"]
    assert "     InactiveBaseRemovals: tool\n" in machine("status", "-v").stdout
    machine("deploy", "2")
    assert not (machine.tree / "usr/bin/tool").exists()


def test_looking_for_updates(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", "1"))
    machine("install", "hello")
    for option in ("--check", "--preview"):
        assert machine("upgrade", option, ok=[77]).stdout.endswith("No updates available.\n")

    # a layer alone
    machine.packages += [make_deb(d, "hello", "2")]
    before = first(machine)["id"]
    publish_silently(machine)
    assert "  AvailableUpdate" not in machine("status").stdout
    checked = machine("upgrade", "--check").stdout
    assert checked.endswith("AvailableUpdate:\n           Diff: 1 upgraded\n")

    # base and layer
    branch.point("2")
    shown = machine("upgrade", "--check").stdout.split("AvailableUpdate:\n")[1].splitlines()
    assert shown[0].startswith("        Version: 2 (")
    assert shown[1:] == [
        f"         Commit: {branch.commits['2']}",
        "           Diff: 2 upgraded, 1 added",
    ]
    verbose = machine("upgrade", "--preview").stdout
    assert "       Upgraded: hello 1 -> 2\n                 libk 1 -> 2\n" in verbose
    assert "          Added: tool-1.0.all\n" in verbose
    value = machine.json("upgrade", "--check")
    assert value["rpm-diff"] == {
        "upgraded": [[1, "hello", ["1", "all"], ["2", "all"]],
                     [0, "libk", ["1", "all"], ["2", "all"]]],
        "downgraded": [], "removed": [],
        "added": [[0, "tool", "1.0", "all"]],
    }  # fmt: skip
    assert value["checksum"] == branch.commits["2"]
    assert value["ref-has-new-commit"] is True
    assert first(machine)["id"] == before

    # only what tells of the update was fetched
    assert error(machine, "upgrade", "--cache-only").startswith("error: commit ")
    fsck = subprocess.run(["ostree", "fsck", f"--repo={machine.repo}", "-q"], check=False)
    assert fsck.returncode == 0
    machine("prune", "--dry-run")

    # and the upgrade brings exactly that
    machine("upgrade")
    after = machine("db", "diff", "--format=json").stdout
    kinds = [(name, kind) for name, kind, _ in json.loads(after)["pkgdiff"]]
    assert kinds == [("tool", 0), ("hello", 2), ("libk", 2)]
    assert machine("upgrade", "--check", ok=[77]).stdout.endswith("No updates available.\n")


def publish_silently(machine) -> None:
    """New packages at the source, of which the machine does not know yet."""
    make_repo(machine.debs, machine.packages)


def test_older_commits(branch, machine):
    branch.point("2")
    machine("upgrade")
    branch.point("1")
    text = error(machine, "upgrade")
    assert text.startswith("error: Upgrade target revision ")
    assert "chronologically older" in text
    assert text.endswith("use --allow-downgrade to permit")
    assert error(machine, "deploy", "--disallow-downgrade", "1") == text
    machine("upgrade", "--allow-downgrade")
    assert first(machine)["version"] == "1"


def test_deploying_versions(branch, machine):
    branch.point("3")
    machine("upgrade")
    # version 2 was never here: only the remote knows it
    preview = machine("deploy", "--preview", "version=2")
    assert "+tool-1.0.all" in preview.stdout.splitlines()
    assert first(machine)["version"] == "3"
    done = machine("deploy", "2")
    assert done.stdout.endswith('Run "systemctl reboot" to start a reboot\n')
    assert first(machine)["version"] == "2"
    assert (machine.tree / "usr/bin/tool").exists()
    assert machine("deploy", "version=2").stdout.endswith("No change.\n")
    machine("deploy", "version=2", "--unchanged-exit-77", ok=[77])
    machine("deploy", f"revision={branch.commits['1']}")
    assert first(machine)["checksum"] == branch.commits["1"]
    machine("deploy", branch.commits["2"])
    assert first(machine)["version"] == "2"

    assert error(machine, "deploy", "99") == f"error: Version 99 not found in {REMOTE}:{BRANCH}"
    assert error(machine, "deploy", "99", "-C") == (
        f"error: Version 99 not cached in {REMOTE}:{BRANCH}"
    )
    assert error(machine, "deploy").startswith("error: usage error: REVISION must be specified")
    stray = ostree(branch.repo, "commit", "--orphan", f"--tree=ref={branch.commits['2']}",
                   "--add-metadata-string=version=stray",
                   "--timestamp=@1700000000").splitlines()[-1]  # fmt: skip
    ostree(machine.repo, "pull-local", str(branch.repo), stray)
    assert error(machine, "deploy", stray) == (
        f"error: Checksum {stray} not found in {REMOTE}:{BRANCH}"
    )
    machine("deploy", "--skip-branch-check", stray)
    assert first(machine)["version"] == "stray"
    # a later upgrade follows the branch again
    machine("upgrade")
    assert first(machine)["version"] == "3"


def test_rebasing(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello"))
    machine("install", "hello")
    for name in ("other", "third"):
        ostree(branch.repo, "refs", "--force", f"--create={name}/branch", branch.commits["2"])
    done = machine("rebase", "other/branch")
    assert done.stdout.endswith(
        'Changes queued for next boot. Run "systemctl reboot" to start a reboot\n'
    )
    assert first(machine)["origin"] == f"{REMOTE}:other/branch"
    assert first(machine)["packages"] == ["hello"]
    refs = ostree(machine.repo, "refs")
    assert f"{REMOTE}:{BRANCH}" not in refs.splitlines()
    assert error(machine, "rebase", "other/branch") == (
        f"error: Old and new refs are equal: {REMOTE}:other/branch"
    )
    machine("rebase", "-b", "third/branch", "--skip-purge")
    assert f"{REMOTE}:other/branch" in ostree(machine.repo, "refs").splitlines()

    ostree(machine.repo, "remote", "add", "--no-gpg-verify", "second", f"file://{branch.repo}")
    done = machine("rebase", "-m", "second")
    assert "Rebasing to second:third/branch" in done.stdout
    assert first(machine)["origin"] == "second:third/branch"
    machine("rebase", f"ostree://{REMOTE}:{BRANCH}", branch.commits["1"])
    assert (first(machine)["origin"], first(machine)["version"]) == (f"{REMOTE}:{BRANCH}", "1")

    machine("rebase", branch.commits["2"], "--custom-origin-url=https://example.invalid/x",
            "--custom-origin-description=built by hand")  # fmt: skip
    assert first(machine)["origin"] == branch.commits["2"]
    assert first(machine)["custom-origin"] == ["https://example.invalid/x", "built by hand"]
    assert machine("upgrade").stdout.endswith("Pinned to commit by custom origin: built by hand\n")
    assert error(machine, "deploy", "1") == ("error: Cannot look up version while pinned to commit")
    machine("rebase", f"{branch.repo}:{BRANCH}")
    assert machine("upgrade").stdout.endswith("Pinned to commit; no upgrade available\n")
    assert first(machine)["packages"] == ["hello"]
    for argv, text in (
        (["/no/such/repo"], "Missing ':' in LOCALPATH:REF rebase"),
        (["/no/such/repo:"], "Missing REF in LOCALPATH:REF rebase"),
        (["nowhere:some/branch"], 'Remote "nowhere" not found'),
        ([], "usage error: Must specify refspec, or -b branch or -m remote"),
        (["a", "b", "c"], "usage error: Too many arguments"),
        (["--custom-origin-url=x", "other/branch"],
         "--custom-origin-description must be supplied with --custom-origin-url"),
    ):  # fmt: skip
        assert error(machine, "rebase", *argv) == f"error: {text}"


def test_an_origin_that_is_not_configured(branch, machine):
    path = next((machine.path / "ostree/deploy/debian/deploy").glob("*.origin"))
    path.write_text(path.read_text() + "unconfigured-state=register this system first\n")
    branch.point("2")
    assert error(machine, "upgrade") == (
        "error: origin unconfigured-state: register this system first"
    )

"""Overrides: other versions of base packages, packages left out, and what becomes of both."""

import pytest
from fixtures.branch import error, first
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]
UNDO = 'Use "apt-ostree override reset" to undo overrides\n'
REBOOT = 'Run "systemctl reboot" to start a reboot\n'


def libk(machine) -> str:
    """The version that is there, by the file of that version and by dpkg."""
    versions = [p.name.removeprefix("libk.so.") for p in machine.tree.glob("usr/lib/libk.so.*")]
    assert len(versions) == 1, "files of another version were left"
    shown = machine.dpkg("-l", "libk").splitlines()[-1].split()
    assert shown[0] == "ii"
    return shown[2]


def make_libk(directory, version: str):
    return make_deb(
        directory, "libk", version, files={f"/usr/lib/libk.so.{version}": version}
    )  # fmt: skip


def replaced(deployment: dict) -> dict[str, list[tuple[str, str]]]:
    """(new, old) of every replacement by where it comes from, `""` for files."""
    found = {"": deployment["base-local-replacements"], **deployment["base-remote-replacements"]}
    return {k: [(new[0], old[0]) for new, old in pairs] for k, pairs in found.items() if pairs}


def block(machine) -> str:
    return machine("status", "-v").stdout.split("\n\n")[0]


def test_up_and_down_from_files(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello"))
    up, down = make_libk(d, "9"), make_libk(d, "0.5")
    done = machine("override", "replace", up)
    assert "Upgrading 1 packages:\n  libk 1 -> 9 (@local)\n" in done.stdout
    assert done.stdout.endswith(UNDO + REBOOT)
    assert libk(machine) == "9"
    done = machine("override", "replace", down)
    assert "Downgrading 1 packages:\n  libk 1 -> 0.5 (@local)\n" in done.stdout
    assert libk(machine) == "0.5"
    assert replaced(first(machine)) == {"": [("libk-0.5.all", "libk-1.all")]}
    assert "           LocalOverrides: libk 1 -> 0.5\n" in machine("status").stdout
    assert error(machine, "override", "replace", down) == (
        "error: Override already exists for package 'libk-0.5.all'"
    )
    for deb in (up, down):
        deb.unlink()
    for argv in (["cleanup", "-b"], ["prune"], ["install", "hello"]):
        machine(*argv)
    assert libk(machine) == "0.5"
    listed = {p["name"]: p["origin"] for p in machine.json("list", "libk", "hello", "core")}
    assert listed == {"libk": "override", "hello": "layered", "core": "base"}
    # by its name and version too
    done = machine("override", "reset", "libk-0.5.all", "--uninstall", "hello")
    assert done.stdout.endswith(REBOOT)
    assert UNDO not in done.stdout
    assert libk(machine) == "1"
    assert "base-checksum" not in first(machine)


def test_by_source_and_by_suite(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_libk(d, "3"), make_deb(d, "hello"))
    replace = ("override", "replace", "--experimental")
    machine(*replace, "--from", "repo=test", "libk")
    assert libk(machine) == "3"
    assert first(machine)["requested-base-remote-replacements"] == [["repo=test", ["libk"]]]
    assert replaced(first(machine)) == {"repo=test": [("libk-3.all", "libk-1.all")]}
    tree = first(machine)["base-checksum"], machine.inside("cat", "/usr/lib/libk.so.3").stdout
    # the same tree for another reason: status must tell the reason that counts now
    machine(*replace, "-r", "suite=stable", "libk")
    assert replaced(first(machine)) == {"suite=stable": [("libk-3.all", "libk-1.all")]}
    assert (first(machine)["base-checksum"],
            machine.inside("cat", "/usr/lib/libk.so.3").stdout) == tree  # fmt: skip
    shown = block(machine)
    assert "          RemoteOverrides: suite=stable\n" in shown
    assert "└─ libk 1 -> 3" in shown
    assert "Inactive" not in shown
    assert error(machine, *replace, "--from=suite=stable", "libk") == (
        "error: Override already exists for package 'libk'"
    )

    # it follows its source
    machine.publish(make_libk(d, "4"))
    machine("upgrade")
    assert libk(machine) == "4"
    # a file takes its place, and it takes the file's
    machine("override", "replace", make_libk(d, "0.5"))
    assert libk(machine) == "0.5"
    assert "requested-base-remote-replacements" not in first(machine)
    machine(*replace, "--from=repo=test", "libk", "--install", "hello")
    assert libk(machine) == "4"
    assert first(machine)["requested-base-local-replacements"] == []
    assert first(machine)["packages"] == ["hello"]

    # over an upgrade of the base, and back to what that brings
    branch.point("2")
    machine("upgrade")
    assert replaced(first(machine)) == {"repo=test": [("libk-4.all", "libk-2.all")]}
    machine("override", "reset", "--all")
    assert libk(machine) == "2"
    assert first(machine)["packages"] == ["hello"]

    for argv, text in (
        (["--from=repo=nope", "libk"], "Unknown apt source: nope"),
        (["--from=repo=test", "core"], "Packages not found in 'test': core"),
        (["--from=repo=test", "no-such"], "Packages not found in 'test': no-such"),
        (["--from=suite=nope", "libk"], "Packages not found in 'nope': libk"),
        (["--from=repo", "libk"], "Parsing override source 'repo': Not in KIND=NAME format"),
        (["--from=x=y", "libk"], "Parsing override source 'x=y': Invalid kind 'x'"),
        (["--from=repo=", "libk"], "Parsing override source 'repo=': Empty name"),
    ):
        assert error(machine, *replace, *argv) == f"error: {text}"
    assert error(machine, "override", "replace", "--from=repo=test", "libk") == (
        "error: Must specify --experimental to use --freeze or --from"
    )
    assert error(machine, "override", "replace", "libk") == (
        "error: Non-local replacement overrides not implemented yet"
    )


def test_what_is_not_in_the_base(machine, tmp_path):
    d = tmp_path / "built"
    hello = make_deb(d, "hello")
    machine.publish(hello)
    assert error(machine, "override", "remove", "nowhere") == 'error: Package "nowhere" not found'
    assert error(machine, "override", "replace", hello) == (
        'error: Package "hello-1.0.all" not found'
    )
    assert error(machine, "override", "replace", "--experimental", "--from=repo=test", "hello") == (
        'error: Package "hello" not found'
    )
    assert error(machine, "override", "reset", "core") == ("error: No overrides for package 'core'")
    assert error(machine, "override", "remove", "dpkg") == (
        "error: Package 'dpkg' is essential and cannot be removed"
    )
    for argv, text in (
        (["replace"], "At least one PACKAGE must be specified"),
        (["remove"], "At least one PACKAGE must be specified"),
        (["reset"], "At least one PACKAGE must be specified"),
        (["reset", "--all", "core"], "Cannot specify PACKAGEs with --all"),
    ):
        assert error(machine, "override", *argv) == f"error: usage error: {text}"


def test_one_override_a_package(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_libk(d, "1"), make_deb(d, "core", "2.0", files={"/usr/bin/core": "2"}))
    machine("override", "remove", "core:all")
    assert first(machine)["requested-base-removals"] == ["core"]
    exists = "error: Override already exists for package '{}'"
    replace = ("override", "replace", "--experimental", "--from=repo=test")
    assert error(machine, "override", "remove", "core:amd64") == exists.format("core")
    assert error(machine, *replace, "core") == exists.format("core")
    assert error(machine, "override", "replace", d / "core_2.0_all.deb") == (
        exists.format("core-2.0.all")
    )
    done = machine("install", "core", ok=[1])
    assert done.stderr.splitlines()[-2:] == [
        "error: Cannot request 'core' provided by removed package 'core'",
        "apt-ostree override reset core",
    ]
    machine("override", "reset", "core:all")
    machine(*replace, "core:amd64")
    assert first(machine)["requested-base-remote-replacements"] == [["repo=test", ["core"]]]
    assert error(machine, "override", "remove", "core") == exists.format("core")

    # the version that the base has: a file would do nothing, a source may have a newer one later
    assert error(machine, "override", "replace", make_libk(d / "own", "1")) == (
        "error: Request to reinstall exact base package versions: libk-1.all"
    )
    done = machine(*replace, "libk")
    assert "Inactive base replacements:\n  libk (already provided by libk-1.all)\n" in done.stdout
    machine.publish(make_libk(d, "4"))
    machine("upgrade")
    assert libk(machine) == "4"
    machine("override", "reset", "--all")

    # the base catches up with a file
    machine("override", "replace", make_libk(d, "2"))
    branch.point("2")
    done = machine("upgrade")
    assert (
        "Inactive base replacements:\n  libk-2.all (already provided by libk-2.all)" in done.stdout
    )
    assert replaced(first(machine)) == {}
    assert "   InactiveLocalOverrides: libk-2.all" in block(machine)


def test_several_at_once(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", files={"/usr/bin/hello": "hi"}), make_deb(d, "other"))
    machine("install", "other")
    done = machine("override", "remove", "core", "--replace", make_libk(d, "3"),
                   "--install", "hello", "--uninstall", "other")  # fmt: skip
    assert done.stdout.endswith(UNDO + REBOOT)
    now = first(machine)
    assert [r[0] for r in now["base-removals"]] == ["core-1.0.all"]
    assert replaced(now) == {"": [("libk-3.all", "libk-1.all")]}
    assert now["packages"] == ["hello"]
    assert not (machine.tree / "usr/bin/core").exists()
    assert "      RemovedBasePackages: core 1.0\n" in machine("status").stdout
    assert error(machine, "override", "remove", "core") == (
        "error: Override already exists for package 'core'"
    )
    done = machine("override", "reset", "core", "--install", "other", "--dry-run")
    assert done.stdout.endswith("Exiting because of '--dry-run' option\n")
    assert first(machine) == now
    machine("override", "reset", "core", "libk", "--install", "other")
    assert (machine.tree / "usr/bin/core").exists()
    assert libk(machine) == "1"
    assert first(machine)["packages"] == ["hello", "other"]
    machine("override", "replace", make_libk(d, "0.9"), "--remove", "core")
    assert libk(machine) == "0.9"
    assert not (machine.tree / "usr/bin/core").exists()
    machine("reset", "--overrides")
    assert libk(machine) == "1"
    assert first(machine)["packages"] == ["hello", "other"]
    assert machine("override", "reset", "--all").stdout == "No changes.\n"


@pytest.mark.slow
def test_waiting_for_the_base(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello"))
    branch.point("2")
    machine("upgrade")
    tool = make_deb(d, "tool", "9", files={"/usr/bin/tool": "9"})
    machine("override", "replace", tool, "--remove", "core")
    tool.unlink()
    branch.point("3")
    done = machine("upgrade")
    assert "Inactive base replacements:\n  tool-9.all\n" in done.stdout
    assert "   InactiveLocalOverrides: tool-9.all" in block(machine)
    assert "Inactive" not in machine("status").stdout
    assert not (machine.tree / "usr/bin/tool").exists()
    machine("prune")
    machine("install", "hello")
    branch.point("2")
    machine("upgrade", "--allow-downgrade")
    assert (machine.tree / "usr/bin/tool").read_text() == "9"
    assert replaced(first(machine)) == {"": [("tool-9.all", "tool-1.0.all")]}

    machine("override", "reset", "tool")
    machine("override", "remove", "tool")
    branch.point("3")
    done = machine("upgrade")
    assert "Inactive base removals:\n  tool\n" in done.stdout
    assert "    InactiveBaseRemovals: tool" in block(machine)
    # a source's package, likewise
    branch.point("2")
    machine("upgrade", "--allow-downgrade")
    machine("override", "reset", "tool")
    machine.publish(make_deb(d, "tool", "5"))
    machine("override", "replace", "--experimental", "--from=repo=test", "tool")
    branch.point("3")
    done = machine("upgrade")
    assert "Inactive base replacements:\n  tool\n" in done.stdout
    assert "  InactiveRemoteOverrides: repo=test\n" in block(machine)
    machine("override", "reset", "tool")
    assert "Inactive" not in block(machine)


def test_requests_in_other_words(machine, tmp_path):
    """The tree stays the same, what is said of it does not."""
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", depends="libhello"), make_deb(d, "libhello"))
    machine("install", "hello")
    content = machine.tree
    machine("install", "libhello")
    assert machine.tree.name.split(".")[0] != content.name.split(".")[0]
    assert first(machine)["packages"] == ["hello", "libhello"]
    assert "InactiveRequests" not in block(machine)
    machine("install", "hello=1.0")
    assert first(machine)["packages"] == ["hello=1.0", "libhello"]
    machine("uninstall", "libhello")
    assert first(machine)["packages"] == ["hello=1.0"]
    assert "LayeredPackages: hello=1.0\n" in machine("status").stdout

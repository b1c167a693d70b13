"""Packages given as files: kept by content for as long as they are asked for, file or no file."""

import pytest
from fixtures.branch import error_lines, first
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]


def content(machine, path: str) -> str:
    return (machine.tree / path).read_text()


def clean_up(machine) -> None:
    machine("cleanup", "-m", "-p", "-r", "-b")
    machine("prune")


def test_the_file_may_go(branch, machine, tmp_path):
    d = tmp_path / "built"
    mine = make_deb(d, "mine", "1", files={"/usr/bin/mine": "1"}, depends="helper")
    machine.publish(make_deb(d, "helper"), make_deb(d, "other"))
    done = machine("install", mine)
    assert "Installing 2 packages:\n  helper-1.0.all (test)\n  mine-1.all (@local)" in done.stdout
    mine.unlink()
    assert "            LocalPackages: mine-1.all\n" in machine("status").stdout
    for argv in (
        ["install", "other"], ["kargs", "--append=quiet"], ["uninstall", "other"],
    ):  # fmt: skip
        clean_up(machine)
        machine(*argv)
        assert content(machine, "usr/bin/mine") == "1"
    branch.point("2")
    machine("upgrade")
    assert first(machine)["version"] == "2"
    assert content(machine, "usr/bin/mine") == "1"
    assert first(machine)["requested-local-packages"] == ["mine-1.all"]
    assert first(machine)["packages"] == []

    # another package wants the same path: only dpkg can say so, and it needs the file again
    clean_up(machine)
    clash = make_deb(d, "clash", files={"/usr/bin/mine": "clash"})
    lines = error_lines(machine, "install", clash)
    assert "trying to overwrite '/usr/bin/mine'" in "\n".join(lines)
    machine("install", "--force-replacefiles", clash)
    clash.unlink()
    assert content(machine, "usr/bin/mine") == "clash"
    assert first(machine)["requested-local-fileoverride-packages"] == ["clash-1.0.all"]
    assert "      LocalForcedPackages: clash-1.0.all\n" in machine("status").stdout
    clean_up(machine)
    machine("install", "other")
    assert content(machine, "usr/bin/mine") == "clash"
    assert error_lines(machine, "install", "--force-replacefiles", "helper")[0] == (
        "error: Non-local fileoverrides not implemented"
    )
    machine("uninstall", "clash-1.0.all")
    assert content(machine, "usr/bin/mine") == "1"

    machine("uninstall", "mine")
    assert first(machine)["requested-local-packages"] == []
    assert not (machine.tree / "usr/bin/mine").exists()
    assert first(machine)["packages"] == ["other"]
    assert error_lines(machine, "uninstall", "mine") == [
        "error: Package/capability 'mine' is not currently requested",
        "apt-ostree list --layered",
    ]


def kept(machine) -> int:
    return sum(1 for p in (machine.repo / "refs/heads/aptostree/local").glob("*") if p.is_file())


def test_versions_and_contents_of_one_name(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d / "repo", "mine", "2", files={"/usr/bin/mine": "the source's"}),
                    make_deb(d, "other"))  # fmt: skip
    old = make_deb(d, "mine", "1", files={"/usr/bin/mine": "1"})
    one = make_deb(d / "one", "mine", "2", files={"/usr/bin/mine": "one"})
    two = make_deb(d / "two", "mine", "2", files={"/usr/bin/mine": "two"})
    machine("install", old)
    machine("install", one)
    assert content(machine, "usr/bin/mine") == "one"
    assert first(machine)["requested-local-packages"] == ["mine-2.all"]
    assert (
        error_lines(machine, "install", one)[0] == "error: Package 'mine-2.all' is already layered"
    )
    machine("install", "--idempotent", one)
    machine("install", "--idempotent", "--unchanged-exit-77", one, ok=[77])
    # the same name and version, but not the same package
    machine("install", two)
    assert content(machine, "usr/bin/mine") == "two"
    for deb in (old, one, two):
        deb.unlink()
    assert kept(machine) == 2
    machine("rollback")
    machine("install", "other")
    assert content(machine, "usr/bin/mine") == "one"
    machine("uninstall", "mine")
    machine("install", "mine")
    assert content(machine, "usr/bin/mine") == "the source's"
    assert first(machine)["packages"] == ["mine", "other"]
    machine("cleanup", "-r")
    assert kept(machine) == 0, "nobody asks for them any more"


def test_what_the_base_gains_and_loses_again(branch, machine, tmp_path):
    d = tmp_path / "built"
    tool = make_deb(d, "tool", "7", files={"/usr/bin/tool": "7"})
    machine.publish(make_deb(d, "hello"))
    machine("install", tool, "hello")
    tool.unlink()
    branch.point("2")
    done = machine("upgrade")
    assert "Inactive requests:\n  tool-7.all (already provided by tool-1.0.all)\n" in done.stdout
    assert "tool" in content(machine, "usr/bin/tool") or "base" in content(machine, "usr/bin/tool")
    shown = machine("status", "-v").stdout.split("\n\n")[0]
    assert "InactiveRequests: tool-7.all" in shown
    assert "LocalPackages" not in shown
    assert first(machine)["requested-local-packages"] == ["tool-7.all"]
    clean_up(machine)
    branch.point("3")
    machine("upgrade")
    assert content(machine, "usr/bin/tool") == "7"
    assert "            LocalPackages: tool-7.all\n" in machine("status").stdout


def test_a_file_that_takes_part_only_later(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello"))
    branch.point("2")
    machine("upgrade")
    tool = make_deb(d, "tool", "7", files={"/usr/bin/tool": "7"})
    assert error_lines(machine, "install", tool) == [
        'error: "tool-7.all" is already provided by: tool-1.0.all. '
        "Use --allow-inactive to explicitly require it."
    ]
    machine("install", "--allow-inactive", tool)
    tool.unlink()
    clean_up(machine)
    machine("install", "hello")
    branch.point("3")
    machine("upgrade")
    assert content(machine, "usr/bin/tool") == "7"
    assert first(machine)["packages"] == ["hello"]

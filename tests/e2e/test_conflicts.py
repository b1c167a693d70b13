"""A failed solve says who is in whose way, and every command it proposes really helps."""

import shlex

import pytest
from fixtures.branch import BRANCH, REMOTE
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]


@pytest.fixture
def machine(branch, tmp_path):
    made = branch.machine(tmp_path)
    yield made
    made.check()
    made.release()


def refused(machine, *argv: object) -> list[str]:
    """Lines of the error; nothing may have changed."""
    before = [d["id"] for d in machine.deployments]
    done = machine(*argv, ok=[1])
    assert [d["id"] for d in machine.deployments] == before
    lines = done.stderr.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("error: "))
    return lines[start:]


def proposals(lines: list[str]) -> list[str]:
    start = lines.index("To solve this:") + 1
    return [line.strip() for line in lines[start:] if line.startswith("  apt-ostree ")]


def carry_out(machine, proposal: str) -> None:
    """Run a proposed command (or two of them) as it stands."""
    for command in proposal.split(" && "):
        program, *words = shlex.split(command)
        assert program == "apt-ostree"
        machine(*words)


def all_of_them_help(machine, lines: list[str], *, count: int) -> None:
    """Each proposal reaches another deployment from here; the hint is one of them."""
    found = proposals(lines)
    assert len(found) == count, found
    assert lines[-1] == found[0]
    for proposal in found:
        carry_out(machine, proposal)
        machine("rollback")


def test_a_layer_needs_a_newer_base_package(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(
        make_deb(d, "libk", "2", files={"/usr/lib/libk.so.2": "2"}),
        make_deb(d, "app", depends="mid"),
        make_deb(d, "mid", depends="libk (>= 2)"),
        make_deb(d, "other"),
    )
    lines = refused(machine, "install", "app", "other")
    assert lines[:7] == [
        "error: Some base packages would be replaced",
        "Forbidden base package replacements:",
        "  libk 1 -> 2 (test)",
        " Problem: request 'app' cannot be satisfied",
        "  - app-1.0.all depends on mid",
        "  - mid-1.0.all depends on libk (>= 2)",
        "  - the base has libk-1.all, and base packages are locked",
    ]
    all_of_them_help(machine, lines, count=2)


def test_the_new_base_has_it(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(
        make_deb(d, "libk", "2", files={"/usr/lib/libk.so.2": "2"}),
        make_deb(d, "app", depends="libk (>= 2)"),
    )
    lines = refused(machine, "install", "app")
    assert "A base made from the same sources would do too: apt-ostree upgrade" in lines
    branch.point("2")
    machine("upgrade", "--install", "app")
    assert machine.deployments[0]["packages"] == ["app"]


def test_a_new_base_and_an_old_layer_exclude_each_other(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "old", depends="libk (<< 2)"), make_deb(d, "fine"))
    machine("install", "old", "fine")
    branch.point("2")
    lines = refused(machine, "upgrade")
    assert " Problem: request 'old' cannot be satisfied" in lines
    assert "  - old-1.0.all depends on libk (<< 2)" in lines
    assert "  - the base has libk-2.all, and base packages are locked" in lines
    assert proposals(lines) == ["apt-ostree upgrade --uninstall old"]
    lines = refused(machine, "rebase", f"{REMOTE}:{BRANCH}", branch.commits["2"])
    assert not any("override replace" in line for line in lines)
    all_of_them_help(machine, refused(machine, "upgrade"), count=1)
    machine("upgrade", "--uninstall", "old")
    assert machine.deployments[0]["version"] == "2"
    assert machine.deployments[0]["packages"] == ["fine"]


def test_a_request_conflicts_with_the_base(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "rival", conflicts="core"), make_deb(d, "other"))
    lines = refused(machine, "install", "rival", "other")
    assert lines[0] == "error: Base packages would be removed: core"
    assert "  - rival-1.0.all conflicts with core" in lines
    assert "  - core-1.0.all is in the base, and base packages are locked" in lines
    assert proposals(lines)[0] == "apt-ostree override remove core --install rival --install other"
    all_of_them_help(machine, lines, count=2)


def test_a_request_conflicts_with_an_earlier_one(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "one", depends="inner"), make_deb(d, "inner", conflicts="two"),
                    make_deb(d, "two"))  # fmt: skip
    machine("install", "one")
    lines = refused(machine, "install", "two")
    assert any("inner-1.0.all conflicts with two" in line for line in lines)
    assert proposals(lines) == ["apt-ostree install two --uninstall one"]
    all_of_them_help(machine, lines, count=1)


def test_a_local_file_that_needs_what_nobody_has(machine, tmp_path):
    deb = make_deb(tmp_path / "built", "lost", depends="nowhere (>= 3)")
    machine.publish(make_deb(tmp_path / "built", "other"))
    lines = refused(machine, "install", deb, "other")
    assert " Problem: request 'lost-1.0.all' cannot be satisfied" in lines
    assert "  - no apt source has nowhere" in lines
    all_of_them_help(machine, lines, count=1)


def test_an_override_stands_in_the_way(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "app", depends="core"))
    machine("override", "remove", "core")
    lines = refused(machine, "install", "app")
    assert "  - core is removed by the override 'core'" in lines
    assert proposals(lines) == ["apt-ostree override reset core --install app"]
    all_of_them_help(machine, lines, count=1)


def test_removing_what_the_base_needs_names_the_dependents(machine):
    lines = refused(machine, "override", "remove", "libk")
    assert lines[0] == "error: Base packages would be removed: core"
    assert "  - core-1.0.all depends on libk" in lines
    assert proposals(lines) == ["apt-ostree override remove libk core"]
    all_of_them_help(machine, lines, count=1)


def test_a_source_lost_the_version(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "app", depends="dep (= 1)"), make_deb(d, "dep", "2"))
    lines = refused(machine, "install", "app")
    assert "  - app-1.0.all depends on dep (= 1)" in lines
    assert "  - the apt sources offer dep 2 only" in lines


def test_a_source_lost_the_package(branch, machine, tmp_path):
    d = tmp_path / "built"
    gone = make_deb(d, "gone")
    machine.publish(gone, make_deb(d, "stays"), make_deb(d, "new"))
    machine("install", "gone", "stays")
    machine.packages.remove(gone)
    machine.publish()
    lines = refused(machine, "install", "new")
    assert lines[0] == "error: Packages not found: gone"
    assert proposals(lines) == ["apt-ostree install new --uninstall gone"]
    branch.point("2")
    again = refused(machine, "upgrade")
    assert proposals(again) == ["apt-ostree upgrade --uninstall gone"]
    all_of_them_help(machine, lines, count=1)
    all_of_them_help(machine, again, count=1)


def test_a_typing_mistake_is_pointed_out(machine, tmp_path):
    machine.publish(make_deb(tmp_path / "built", "hello"))
    lines = refused(machine, "install", "helo")
    assert lines == ["error: Packages not found: helo", "did you mean 'hello'?"]

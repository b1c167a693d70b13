"""What a failed solve says: who is in whose way, and commands that help."""

from __future__ import annotations

import pytest
from fixtures.debrepo import make_deb

from apt_ostree.apt.solve import Asked, SolveRequest, solve
from apt_ostree.errors import SolveError
from apt_ostree.model.progress import Silent


def fail(world, *install, status=None, **fields):
    asked = Asked(
        install=install,
        remove=fields.get("override_remove", ()),
        replace_from=fields.get("override_replace_from", ()),
    )
    request = SolveRequest(
        install=install, lock_installed=status is not None,
        asked=asked if status else None, **fields,
    )  # fmt: skip
    with pytest.raises(SolveError) as caught:
        solve(world.root(status=status), request, Silent())
    return caught.value


@pytest.fixture
def lib(world):
    """The base has libk 1; the sources have moved to libk 2, whose users need exactly that."""
    d = world.debs
    base = make_deb(d, "libk", "1")
    world.publish(
        make_deb(d, "libk", "2"),
        make_deb(d, "user", "2", depends="mid"),
        make_deb(d, "mid", "2", depends="libk (= 2)"),
        make_deb(d, "other"),
        make_deb(d, "foe", conflicts="core"),
        make_deb(d, "lost", depends="nowhere (>= 3)"),
        make_deb(d, "old-dep", depends="other (>= 9)"),
    )
    world.refresh()
    world.status = world.install(base, make_deb(d, "core"), make_deb(d, "plain", depends="core"))
    return world


def test_version_skew_names_the_chain_and_a_way_out(lib):
    error = fail(lib, "other", "user", status=lib.status)
    assert error.message == "Some base packages would be replaced"
    assert error.details[:7] == (
        "Forbidden base package replacements:",
        "  libk 1 -> 2 (test)",
        " Problem: request 'user' cannot be satisfied",
        "  - user-2.all depends on mid",
        "  - mid-2.all depends on libk (= 2)",
        "  - the base has libk-1.all, and base packages are locked",
        "To solve this:",
    )
    command = "apt-ostree override replace --experimental --from repo=test libk"
    assert f"  {command} --install other --install user" in error.details
    assert "  apt-ostree install other" in error.details
    assert error.hint.startswith("apt-ostree override replace")
    assert error.details[-1] == (
        "A base made from the same sources would do too: apt-ostree upgrade"
    )


def test_the_printed_override_does_solve_it(lib):
    request = SolveRequest(
        install=("user",), lock_installed=True, override_replace_from=(("repo=test", ("libk",)),)
    )
    plan = solve(lib.root(status=lib.status), request, Silent())
    assert [(str(s.action), s.package.name) for s in plan.steps] == [
        ("upgrade", "libk"), ("install", "mid"), ("install", "user")]  # fmt: skip


def test_conflict_with_the_base(lib):
    error = fail(lib, "foe", status=lib.status)
    assert error.message == "Base packages would be removed: core, plain"
    assert "  - foe-1.0.all conflicts with core" in error.details
    assert "  - core-1.0.all is in the base, and base packages are locked" in error.details
    assert "  apt-ostree override remove core plain --install foe" in error.details


def test_base_package_that_conflicts_with_a_request(world):
    d = world.debs
    world.publish(make_deb(d, "new"))
    world.refresh()
    status = world.install(make_deb(d, "guard", breaks="new"))
    error = fail(world, "new", status=status)
    assert "  - guard-1.0.all breaks new" in error.details


def test_dependency_that_no_source_has(lib):
    error = fail(lib, "lost")
    assert error.message == "Could not depsolve transaction; 1 problem detected:"
    assert error.details == (
        " Problem: request 'lost' cannot be satisfied",
        "  - lost-1.0.all depends on nowhere (>= 3)",
        "  - no apt source has nowhere",
    )


def test_dependency_that_the_sources_have_too_old(lib):
    error = fail(lib, "old-dep")
    assert "  - the apt sources offer other 1.0 only" in error.details


def test_several_problems_are_numbered(lib):
    error = fail(lib, "lost", "old-dep")
    assert error.message == "Could not depsolve transaction; 2 problems detected:"
    heads = [d for d in error.details if d.startswith(" Problem")]
    assert heads == [
        " Problem 1: request 'lost' cannot be satisfied",
        " Problem 2: request 'old-dep' cannot be satisfied",
    ]


def test_requests_that_exclude_each_other(world):
    d = world.debs
    world.publish(
        make_deb(d, "one", depends="inner"), make_deb(d, "inner", conflicts="two"),
        make_deb(d, "two"), make_deb(d, "three"),
    )  # fmt: skip
    world.refresh()
    error = fail(world, "one", "two", "three")
    assert error.message == "Could not depsolve transaction; 1 problem detected:"
    assert any("inner-1.0.all conflicts with two" in line for line in error.details)
    assert [d for d in error.details if "take" in d] == [
        "  take 'one' out of packages", "  take 'two' out of packages"]  # fmt: skip


def test_override_removal_that_the_base_needs(lib):
    error = fail(lib, status=lib.status, override_remove=("core",))
    assert error.message == "Base packages would be removed: plain"
    assert "  - plain-1.0.all depends on core" in error.details
    assert "  - core is removed by the override 'core'" in error.details
    assert "  apt-ostree override remove core plain" in error.details
    assert not any("reset" in d for d in error.details), "it was never made"


def test_override_removal_that_a_request_needs(world):
    d = world.debs
    world.publish(make_deb(d, "app", depends="core"))
    world.refresh()
    status = world.install(make_deb(d, "core"))
    request = SolveRequest(
        install=("app",),
        lock_installed=True,
        override_remove=("core",),
        asked=Asked(install=("app",)),
    )
    with pytest.raises(SolveError) as caught:
        solve(world.root(status=status), request, Silent())
    assert "  - core is removed by the override 'core'" in caught.value.details
    assert "  apt-ostree override reset core --install app" in caught.value.details


def test_replacement_that_breaks_the_base(world):
    d = world.debs
    world.publish(make_deb(d, "lib", "2"))
    world.refresh()
    status = world.install(make_deb(d, "lib", "1"), make_deb(d, "app", depends="lib (= 1)"))
    error = fail(world, status=status, override_replace_from=(("repo=test", ("lib",)),))
    assert "  - app-1.0.all depends on lib (= 1)" in error.details
    command = "apt-ostree override replace --experimental --from repo=test lib --remove app"
    assert f"  {command}" in error.details


def test_alternatives_are_all_looked_at(world):
    d = world.debs
    world.publish(make_deb(d, "app", depends="gone | bad"), make_deb(d, "bad", depends="gone2"))
    world.refresh()
    error = fail(world, "app")
    assert "  - app-1.0.all depends on gone | bad" in error.details
    assert "  - bad-1.0.all depends on gone2" in error.details


def test_cycles_end(world):
    d = world.debs
    world.publish(make_deb(d, "a", depends="b"), make_deb(d, "b", depends="a, gone"))
    world.refresh()
    error = fail(world, "a")
    assert "  - no apt source has gone" in error.details

"""Solving: what a request means, what is chosen and why, and what may never change."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import replace

import pytest
from fixtures.debrepo import make_deb, make_repo

from apt_ostree.apt import sources
from apt_ostree.apt.refresh import refresh
from apt_ostree.apt.solve import CachedDeb, LocalDeb, Pin, SolveRequest, solve
from apt_ostree.errors import LockfileError, SolveError
from apt_ostree.model.plan import Inactive, InactiveKind, Plan, ReasonKind, Verb
from apt_ostree.model.progress import Silent


def ask(world, *install, status=None, progress=None, root=None, **fields):
    root = root or world.root(status=status)
    request = SolveRequest(install=install, lock_installed=status is not None, **fields)
    return solve(root, request, progress or Silent())


def steps(plan):
    return [(str(s.action), f"{s.package.name}={s.package.version}") for s in plan.steps]


def names(plan):
    return [s.package.name for s in plan.steps]


def local(deb):
    control = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True)
    data = deb.read_bytes()
    return LocalDeb(deb, hashlib.sha256(data).hexdigest(), len(data), control.stdout)


@pytest.fixture
def small(world):
    """a -> b (pre) -> c; a recommends r; mail is provided by m1 and m2, solo by m1 only."""
    d = world.debs
    world.publish(
        make_deb(d, "a", "2.0-1", arch="amd64", depends="c", pre_depends="b (>= 1)",
                 recommends="r", files={"usr/bin/a": "x" * 5000}, source="src-a"),
        make_deb(d, "a", "1.0-1", arch="amd64"),
        make_deb(d, "b", "1.5", multi_arch="same", arch="amd64"), make_deb(d, "c"),
        make_deb(d, "r"), make_deb(d, "m1", provides="mail, solo"), make_deb(d, "m2",
        provides="mail", conflicts="mail", replaces="mail"), make_deb(d, "libfoo1"),
        contents=True,
    )  # fmt: skip
    world.refresh()
    return world


def test_a_plan_has_everything_the_build_needs(small):
    plan = ask(small, "a", base="f" * 64)
    assert steps(plan) == [("install", "a=2.0-1"), ("install", "b=1.5"), ("install", "c=1.0")]
    deb = small.debs / "a_2.0-1_amd64.deb"
    a = plan.steps[0]
    assert a.archive.sha256 == hashlib.sha256(deb.read_bytes()).hexdigest()
    assert a.archive.size_bytes == deb.stat().st_size
    assert a.archive.uri == f"{small.repo.uri}/pool/a_2.0-1_amd64.deb"
    assert (a.archive.source_id, a.archive.suite, a.source) == ("test", "stable", "src-a")
    assert (a.package.arch, plan.steps[2].package.arch) == ("amd64", "all")
    assert [(str(s.reason.kind), s.reason.of) for s in plan.steps] == [
        ("request", "a"), ("pre-depends", "a"), ("depends", "a")]  # fmt: skip
    assert a.installed_bytes >= 5000
    assert plan.sources[0].generated > 0
    assert plan.base == "f" * 64
    assert Plan.from_dict(plan.as_dict()) == plan


def test_order_configures_what_pre_depends_needs_first(small):
    order = [(str(o.verb), o.key) for o in ask(small, "a").order]
    assert order.index(("configure", "b:amd64")) < order.index(("unpack", "a:amd64"))
    assert order[-1][0] == "configure"
    assert sorted(order) == sorted(
        (verb, key) for key in ("a:amd64", "b:amd64", "c:all") for verb in ("configure", "unpack")
    )


def test_recommends_follow_the_root(small):
    plan = ask(small, "a", root=small.root(recommends=True))
    assert next(s.reason for s in plan.steps if s.package.name == "r").kind is (
        ReasonKind.RECOMMENDS)  # fmt: skip
    assert "r" not in names(ask(small, "a"))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("a", "a=2.0-1"),
        ("a:amd64", "a=2.0-1"),
        ("a=1.0-1", "a=1.0-1"),
        ("a/stable", "a=2.0-1"),
        ("solo", "m1=1.0"),
        ("libfo*", "libfoo1=1.0"),
    ],
)
def test_forms_of_a_request(small, request_, expected):
    plan = ask(small, request_)
    assert expected in [x for _, x in steps(plan)]
    reasons = {s.package.name: s.reason for s in plan.steps}
    assert reasons[expected.split("=")[0]].of == request_


def test_all_missing_names_in_one_error(small):
    with pytest.raises(SolveError) as caught:
        ask(small, "nope", "a", "libfoo2", "a=9", "x*y")
    assert caught.value.message == "Packages not found: nope, libfoo2, a=9, x*y"
    assert "did you mean 'libfoo1'?" in caught.value.hint
    assert "the apt sources offer a 2.0-1, 1.0-1" in caught.value.hint


def test_virtual_package_with_several_providers(small):
    with pytest.raises(SolveError, match="virtual package provided by: m1, m2"):
        ask(small, "mail")


def test_path_needs_contents(small):
    with pytest.raises(SolveError, match="Packages not found: /usr/bin/a") as caught:
        ask(small, "/usr/bin/a")
    assert "Targets: Packages Contents-deb" in caught.value.hint


def test_path_by_contents(small):
    root = small.root(sources=small.sources(targets="Packages Contents-deb"))
    refresh(root, Silent())
    assert "a" in names(ask(small, "/usr/bin/a", root=root))
    assert "a" in names(ask(small, "/bin/a", root=root))
    with pytest.raises(SolveError, match="/usr/bin/none"):
        ask(small, "/usr/bin/none", root=root)


def test_task(world):
    world.publish(make_deb(world.debs, "one", task="desk, web"), make_deb(world.debs, "two",
                  task="web-server"), make_deb(world.debs, "three"))  # fmt: skip
    world.refresh()
    assert names(ask(world, "web^")) == ["one"]
    with pytest.raises(SolveError, match="none"):
        ask(world, "none^")


def test_essential_set_with_nothing_installed(world):
    world.publish(make_deb(world.debs, "base", essential="yes", depends="libx"),
                  make_deb(world.debs, "libx"), make_deb(world.debs, "apt"),
                  make_deb(world.debs, "app"))  # fmt: skip
    world.refresh()
    plan = ask(world, "app", essential=True)
    assert names(plan) == ["app", "base", "libx"]
    assert [s.reason.kind for s in plan.steps] == [
        ReasonKind.REQUEST, ReasonKind.ESSENTIAL, ReasonKind.DEPENDS]  # fmt: skip


def test_essential_without_any_is_an_error(small):
    with pytest.raises(SolveError, match="no essential packages for amd64"):
        ask(small, "a", essential=True)


def test_requests_that_the_base_satisfies_are_inactive(small):
    d = small.debs
    status = small.install(
        make_deb(d, "c"), make_deb(d, "m2", provides="mail"),
        make_deb(d, "tool", files={"usr/bin/tool": ""}),
    )  # fmt: skip
    plan = ask(small, "c", "mail", "/bin/tool", "c=1.0", status=status)
    assert plan.steps == () and plan.order == ()
    assert plan.inactive == (
        Inactive("c", "c-1.0.all"), Inactive("mail", "m2-1.0.all"),
        Inactive("/bin/tool", "tool-1.0.all"), Inactive("c=1.0", "c-1.0.all"),
    )  # fmt: skip
    with pytest.raises(SolveError, match=r'"c" is already provided by: c-1.0.all. Use --allow-ina'):
        ask(small, "c", status=status, allow_inactive=False)


def test_another_version_of_a_base_package_is_no_request(small):
    status = small.install(make_deb(small.debs, "a", "1.0-1", arch="amd64"))
    with pytest.raises(SolveError, match=r"Package 'a-1.0-1.amd64' is already in the base"):
        ask(small, "a=2.0-1", status=status)


def test_base_stays_although_the_sources_have_newer(small):
    status = small.install(make_deb(small.debs, "b", "1.0", arch="amd64", multi_arch="same"))
    plan = ask(small, "a", status=status)
    assert steps(plan) == [("install", "a=2.0-1"), ("install", "c=1.0")]


def test_held_packages_do_not_matter(small):
    status = small.install(make_deb(small.debs, "b", "1.0", arch="amd64", multi_arch="same"))
    status.write_text(status.read_text().replace("install ok installed", "hold ok installed"))
    assert "a" in names(ask(small, "a", status=status))


def test_override_remove(small):
    d = small.debs
    status = small.install(make_deb(d, "c"), make_deb(d, "x"))
    plan = ask(small, status=status, override_remove=("c", "never-there"))
    assert steps(plan) == [("remove", "c=1.0")]
    assert (plan.steps[0].reason.kind, plan.steps[0].reason.of) == (ReasonKind.OVERRIDE, "c")
    assert plan.steps[0].archive is None
    assert [(o.verb, o.key) for o in plan.order] == [(Verb.REMOVE, "c:all")]
    assert plan.inactive == (Inactive("never-there", kind=InactiveKind.REMOVAL),)
    assert plan.installed_bytes < 0


def test_removed_package_cannot_be_requested(small):
    status = small.install(make_deb(small.debs, "c"))
    with pytest.raises(SolveError, match="Cannot request 'c' provided by removed package 'c'"):
        ask(small, "c", status=status, override_remove=("c",))


@pytest.mark.parametrize("field", ["essential", "protected"])
def test_essential_and_protected_stay_without_force(small, field):
    status = small.install(make_deb(small.debs, "vital", **{field: "yes"}))
    with pytest.raises(SolveError, match=r"'vital' is .* and cannot be removed"):
        ask(small, status=status, override_remove=("vital",))
    plan = ask(small, status=status, override_remove=("vital",), force=True)
    assert steps(plan) == [("remove", "vital=1.0")]


@pytest.mark.parametrize(("version", "action"), [("2.0", "upgrade"), ("0.5", "downgrade")], ids=str)
def test_override_replace_by_a_local_file(small, version, action):
    d = small.debs
    status = small.install(make_deb(d, "tool", "1.0"))
    new = local(make_deb(d, "tool", version, depends="c"))
    plan = ask(small, status=status, override_replace=(new,))
    assert steps(plan) == [("install", "c=1.0"), (action, f"tool={version}")]
    tool = plan.steps[1]
    assert (tool.old_version, tool.archive.path, tool.archive.source_id) == (
        "1.0", str(new.path), "@local")  # fmt: skip
    assert tool.archive.sha256 == new.sha256
    assert plan.download_bytes == plan.steps[0].archive.size_bytes
    assert (tool.reason.kind, tool.reason.of) == (ReasonKind.OVERRIDE, f"tool-{version}.all")
    assert ("unpack", "tool:all") in [(o.verb, o.key) for o in plan.order]


def test_replacement_of_what_the_base_lacks_is_inactive(small):
    status = small.install(make_deb(small.debs, "x"))
    plan = ask(small, status=status, override_replace=(local(make_deb(small.debs, "tool")),))
    assert plan.steps == ()
    assert plan.inactive == (Inactive("tool-1.0.all", kind=InactiveKind.REPLACEMENT),)


def test_override_replace_from_a_source(small):
    status = small.install(make_deb(small.debs, "b", "1.0", arch="amd64", multi_arch="same"))
    for place in ("repo=test", "suite=stable"):
        plan = ask(small, status=status, override_replace_from=((place, ("b",)),))
        assert steps(plan) == [("upgrade", "b=1.5")]
        assert plan.steps[0].reason.of == f"{place} b"
    with pytest.raises(SolveError, match="Packages not found in 'test': gone"):
        ask(small, status=status, override_replace_from=(("repo=test", ("gone",)),))
    with pytest.raises(SolveError, match="Unknown apt source: other") as caught:
        ask(small, status=status, override_replace_from=(("repo=other", ("b",)),))
    assert "- test" in caught.value.details


def test_local_package_with_dependencies(small):
    deb = local(make_deb(small.debs, "mine", "3", depends="c", arch="amd64"))
    for cache in (None, small.base / "cache"):
        if cache:
            cache.mkdir()
        plan = ask(small, root=small.root(cache=cache), local=(deb,))
        assert steps(plan) == [("install", "c=1.0"), ("install", "mine=3")]
        assert plan.steps[1].archive.path == str(deb.path)
        assert (plan.steps[1].reason.kind, plan.steps[1].reason.of) == (
            ReasonKind.REQUEST, "mine-3.amd64")  # fmt: skip


def test_local_package_wins_over_a_newer_one_of_the_sources(small):
    deb = local(make_deb(small.base / "mine", "a", "0.1", arch="amd64"))
    assert steps(ask(small, local=(deb,))) == [("install", "a=0.1")]


def test_local_package_of_the_same_version_is_taken_from_the_file(small):
    """Published and local .deb of one version differ in content: the named file counts."""
    deb = local(make_deb(small.base / "mine", "c", "1.0", files={"usr/c": "mine"}))
    plan = ask(small, local=(deb,))
    assert plan.steps[0].archive.sha256 == deb.sha256


def test_local_package_of_another_architecture(small):
    deb = local(make_deb(small.debs, "mine", arch="armhf"))
    with pytest.raises(SolveError, match="for architecture armhf, this tree has amd64"):
        ask(small, local=(deb,))


def test_local_package_that_is_in_the_base_is_inactive(small):
    status = small.install(make_deb(small.debs, "c"))
    plan = ask(small, status=status, local=(local(make_deb(small.debs, "c", "2")),))
    assert plan.inactive == (Inactive("c-2.all", "c-1.0.all"),)


def test_foreign_architecture(world):
    world.publish(make_deb(world.debs, "lib", arch="amd64", multi_arch="same"),
                  make_deb(world.debs, "lib", arch="i386", multi_arch="same"),
                  make_deb(world.debs, "wine", arch="i386", depends="lib"),
                  arches=("amd64", "i386"))  # fmt: skip
    root = world.root(foreign=("i386",))
    refresh(root, Silent())
    plan = ask(world, "wine:i386", "lib", root=root)
    assert [s.package.key for s in plan.steps] == ["lib:amd64", "lib:i386", "wine:i386"]
    with pytest.raises(SolveError, match="Packages not found: wine:i386"):
        world.refresh()
        ask(world, "wine:i386")


def test_excluded_package_is_not_chosen(small):
    plan = ask(small, "a", root=small.root(recommends=True), exclude=("r",))
    assert "r" not in names(plan)
    with pytest.raises(SolveError) as caught:
        ask(small, "a", exclude=("c",))
    assert "  - c is excluded by exclude-packages" in caught.value.details


def test_pins_choose_versions(small):
    assert "a=1.0-1" in [x for _, x in steps(ask(small, "a", pins={"a": Pin("1.0-1")}))]
    assert "a=1.0-1" in [x for _, x in steps(ask(small, "a", pins={"a:amd64": Pin("1.0-1")}))]


def test_lost_pin_warns_or_fails(small, recorder):
    pins = {"a": Pin("7"), "c": Pin("1.0", "0" * 64)}
    assert "a=2.0-1" in [x for _, x in steps(ask(small, "a", pins=pins, progress=recorder))]
    said = "\n".join(recorder.lines)
    assert "warning: Couldn't find locked package 'a=7'" in said
    assert f"locked package 'c=1.0' with checksum {'0' * 64}" in said
    with pytest.raises(LockfileError, match="Couldn't find locked packages: a, c"):
        ask(small, "a", pins=pins, strict=True)


def test_strict_lock_allows_nothing_else(small):
    pins = {"a": Pin("2.0-1"), "b": Pin("1.5"), "c": Pin("1.0")}
    assert names(ask(small, "a", pins=pins, strict=True)) == ["a", "b", "c"]
    with pytest.raises(SolveError) as caught:
        ask(small, "a", pins={"a": Pin("2.0-1"), "b": Pin("1.5")}, strict=True)
    assert any("not in the lockfile" in line for line in caught.value.details)


def test_cached_only(small):
    full = ask(small, "a")
    cached = tuple(
        CachedDeb(s.package.name, s.package.arch, s.package.version, s.archive.sha256)
        for s in full.steps
    )
    assert ask(small, "a", cached=cached) == full
    with pytest.raises(SolveError) as caught:
        ask(small, "a", cached=cached[:2])
    assert any("not in the package cache" in line for line in caught.value.details)
    wrong = (*cached[:2], CachedDeb("c", "all", "1.0", "0" * 64))
    with pytest.raises(SolveError, match="Found 1 packages to download in cache-only mode"):
        ask(small, "a", cached=wrong)


def _two_sources(world):
    d = world.debs
    one = world.publish(make_deb(d, "x", "1"))
    two = make_repo(world.base / "two", [make_deb(d, "x", "2")], sign=world.key, suite="other")
    both = sources.parse(one.stanza(), "one.sources") + sources.parse(two.stanza(), "two.sources")
    root = world.root(sources=both)
    refresh(root, Silent())
    return root


def test_repo_packages_pick_the_source(world):
    root = _two_sources(world)
    assert steps(ask(world, "x", root=root)) == [("install", "x=2")]
    plan = ask(world, "x", root=root, repo_packages=(("one", ("x",)),))
    assert steps(plan) == [("install", "x=1")]
    assert plan.steps[0].archive.source_id == "one"
    assert [s.id for s in plan.sources] == ["one", "two"]


def test_release_prefers_a_suite(world):
    root = _two_sources(world)
    plan = ask(world, "x", root=replace(root, release="stable"))
    assert steps(plan) == [("install", "x=1")]


def test_preferences_of_the_root_count(world):
    root = _two_sources(world)
    etc = world.base / "etc"
    (etc / "preferences.d").mkdir(parents=True)
    (etc / "preferences.d" / "x").write_text("Package: x\nPin: version 1\nPin-Priority: 1001\n")
    assert steps(ask(world, "x", root=replace(root, etc=etc))) == [("install", "x=1")]


def test_preferences_of_the_host_do_not_count_in_a_compose(world):
    root = _two_sources(world)
    etc = world.base / "etc"
    etc.mkdir()
    (etc / "preferences").write_text("Package: x\nPin: version 1\nPin-Priority: 1001\n")
    assert steps(ask(world, "x", root=replace(root, etc=etc))) == [("install", "x=1")]
    plan = ask(world, "x", root=replace(root, etc=etc, preferences=False))
    assert steps(plan) == [("install", "x=2")]


def test_a_base_that_is_broken_already_is_left_alone(small):
    d = small.debs
    status = small.install(make_deb(d, "sick", depends="cure"), make_deb(d, "well"))
    plan = ask(small, "a", "c", status=status)
    assert names(plan) == ["a", "b", "c"]
    with pytest.raises(SolveError):
        ask(small, "a", status=small.install(make_deb(d, "sick", depends="cure", breaks="a")))


KERNEL = {"arch": "amd64", "installed_size": "50000"}


def test_a_new_kernel_takes_the_place_of_the_old_one(world):
    d = world.debs
    old = make_deb(d, "linux-image-6.1.0-1-amd64", "6.1.1", **KERNEL)
    meta = make_deb(d, "linux-image-amd64", "6.1.1", depends="linux-image-6.1.0-1-amd64 (= 6.1.1)")
    new = make_deb(d, "linux-image-6.1.0-2-amd64", "6.1.2", **KERNEL)
    world.publish(new, make_deb(d, "tool"))
    world.refresh()
    status = world.install(old, meta, make_deb(d, "other"))
    for fields in (
        {"override_replace": (local(new),)},
        {"override_replace_from": (("repo=test", ("linux-image-6.1.0-2-amd64",)),)},
    ):
        plan = ask(world, status=status, **fields)
        assert steps(plan) == [
            ("remove", "linux-image-6.1.0-1-amd64=6.1.1"),
            ("install", "linux-image-6.1.0-2-amd64=6.1.2"),
            ("remove", "linux-image-amd64=6.1.1"),
        ]  # fmt: skip
        assert plan.steps[0].reason.kind is ReasonKind.KERNEL
        assert plan.steps[0].reason.of == "linux-image-6.1.0-2-amd64"
        assert sorted(str(o.verb) for o in plan.order) == [
            "configure",
            "remove",
            "remove",
            "unpack",
        ]


def test_replaced_meta_brings_its_kernel_and_drops_the_old(world):
    d = world.debs
    old = make_deb(d, "linux-image-6.1.0-1-amd64", "6.1.1", **KERNEL)
    meta = make_deb(d, "linux-image-amd64", "6.1.1", depends="linux-image-6.1.0-1-amd64 (= 6.1.1)")
    world.publish(
        make_deb(d, "linux-image-6.1.0-2-amd64", "6.1.2", **KERNEL),
        make_deb(d, "linux-image-amd64", "6.1.2", depends="linux-image-6.1.0-2-amd64 (= 6.1.2)"),
    )
    world.refresh()
    status = world.install(old, meta)
    plan = ask(world, status=status, override_replace_from=(("repo=test", ("linux-image-amd64",)),))
    assert steps(plan) == [
        ("remove", "linux-image-6.1.0-1-amd64=6.1.1"),
        ("install", "linux-image-6.1.0-2-amd64=6.1.2"),
        ("upgrade", "linux-image-amd64=6.1.2"),
    ]


def test_debug_symbols_are_no_kernel(world):
    d = world.debs
    name = "linux-image-6.1.0-1-amd64"
    world.publish(make_deb(d, f"{name}-dbg", "6.1.1", **KERNEL))
    world.refresh()
    status = world.install(make_deb(d, name, "6.1.1", **KERNEL))
    assert names(ask(world, f"{name}-dbg", status=status)) == [f"{name}-dbg"]


def test_equal_requests_give_equal_plans(small):
    one = ask(small, "a", "m1", root=small.root(recommends=True))
    two = ask(small, "m1", "a", root=small.root(recommends=True))
    assert (one.digest, one.steps) == (two.digest, two.steps)


def test_nothing_is_written_without_a_cache(small):
    before = {p: p.stat().st_mtime_ns for p in small.base.rglob("*")}
    ask(small, "a")
    assert {p: p.stat().st_mtime_ns for p in small.base.rglob("*")} == before


def test_a_changed_status_is_seen_although_its_time_is_not(small):
    """Every file of a deployment has the time 0, so apt's own check would not see a change."""
    cache = small.base / "cache"
    cache.mkdir()
    status = small.install(make_deb(small.debs, "c"))
    os.utime(status, (0, 0))
    root = small.root(status=status, cache=cache)
    assert ask(small, "c", root=root, status=status).steps == ()
    status.write_text(status.read_text().replace("Package: c", "Package: q"))
    os.utime(status, (0, 0))
    assert names(ask(small, "c", root=root, status=status)) == ["c"]


def test_no_hook_of_the_root_or_host_runs(small):
    etc = small.base / "etc"
    (etc / "apt.conf.d").mkdir(parents=True)
    mark = small.base / "ran"
    (etc / "apt.conf.d" / "99hook").write_text(
        f'DPkg::Pre-Invoke {{ "touch {mark}"; }};\nDPkg::Pre-Install-Pkgs {{ "touch {mark}"; }};\n'
        f'APT::Update::Pre-Invoke {{ "touch {mark}"; }};\n'
        f'APT::Update::Post-Invoke {{ "touch {mark}"; }};\n'
        f'Acquire::http::Proxy-Auto-Detect "/usr/bin/touch {mark}";\n'
        'APT::Install-Recommends "true";\nAPT::Architecture "armhf";\n'
    )
    root = small.root(etc=etc)
    refresh(root, Silent())
    assert names(ask(small, "a", root=root)) == ["a", "b", "c"]
    assert not mark.exists()

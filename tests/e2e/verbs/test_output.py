"""What programs read: keys and types of every JSON, exit statuses, and that asking never fails."""

import json

import pytest
from fixtures.branch import BRANCH, REMOTE, error, first, ostree
from fixtures.debrepo import make_deb, make_repo

pytestmark = [pytest.mark.root, pytest.mark.network]


PACKAGE = (str, str, int, str, str, str)  # nevra, name, epoch, version, release, arch
REPLACEMENT = (PACKAGE, PACKAGE)
# Shapes: a type, [shape of every item], (shape of each item), {key: shape}, {str: shape of all}
DEPLOYMENT = {
    "id": str, "osname": str, "serial": int, "checksum": str, "booted": bool, "staged": bool,
    "pinned": bool, "unlocked": str, "timestamp": int, "base-commit-meta": dict,
    "packages": [str], "base-removals": [PACKAGE], "base-local-replacements": [REPLACEMENT],
    "base-remote-replacements": {str: [REPLACEMENT]}, "requested-packages": [str],
    "requested-local-packages": [str], "requested-local-fileoverride-packages": [str],
    "requested-base-removals": [str], "requested-base-local-replacements": [str],
    "regenerate-initramfs": bool,
}  # fmt: skip
SOMETIMES = {
    "origin": str, "version": str, "base-checksum": str, "base-version": str,
    "base-timestamp": int, "layered-commit-meta": dict, "gpg-enabled": bool, "remote-error": str,
    "pending-base-checksum": str, "pending-base-version": str, "pending-base-timestamp": int,
    "custom-origin": (str, str), "requested-base-remote-replacements": [(str, [str])],
    "initramfs-args": [str], "initramfs-etc": [str], "inactive-local-packages": [str],
    "endoflife": str,
}  # fmt: skip
STEP = {
    "action": str, "name": str, "arch": str, "version": str, "installed-bytes": int, "source": str,
    "reason": {"kind": str, "of": str},
}  # fmt: skip
STEP_SOMETIMES = {
    "old-version": str,
    "archive": {"sha256": str, "size-bytes": int, "source-id": str, "uri": str, "path": str,
                "suite": str},
}  # fmt: skip
PLAN = {
    "version": int, "base": str, "digest": str, "download-bytes": int, "installed-bytes": int,
    "inputs": {str: str}, "steps": list, "order": [(str, str)],
    "inactive": [{"request": str, "provided-by": str, "kind": str}],
    "sources": [{"id": str, "generated": int, "packages": int}],
}  # fmt: skip
OUTCOME = {"changed": bool, "plan": dict, "timings": {str: float}, "notes": dict}


def check(value: object, shape: object, where: str, *, sometimes: dict | None = None) -> None:
    """Fail with the place where `value` is not of `shape`."""
    match shape:
        case type():
            assert type(value) is shape, f"{where}: {value!r}"
        case [one]:
            assert type(value) is list, where
            for number, item in enumerate(value):
                check(item, one, f"{where}[{number}]")
        case tuple():
            assert type(value) is list and len(value) == len(shape), f"{where}: {value!r}"
            for number, (item, one) in enumerate(zip(value, shape, strict=True)):
                check(item, one, f"{where}[{number}]")
        case dict() if set(shape) == {str}:
            for key, item in value.items():
                check(item, shape[str], f"{where}.{key}")
        case dict():
            known = {**shape, **(sometimes or {})}
            assert set(shape) <= set(value) <= set(known), f"{where}: {set(value) ^ set(shape)}"
            for key, item in value.items():
                check(item, known[key], f"{where}.{key}")


def check_plan(plan: dict) -> None:
    check(plan, PLAN, "plan")
    for step in plan["steps"]:
        check(step, STEP, step["name"], sometimes=STEP_SOMETIMES)


def test_the_keys_of_deployments_and_plans(branch, machine, tmp_path):
    d = tmp_path / "built"
    local = make_deb(d, "mine", "1:1-2", files={"/usr/bin/mine": "1"})
    machine.publish(make_deb(d, "hello"), make_deb(d, "libk", "1:3-1"), make_deb(d, "forced"))
    check(machine.json("status"), {
        "deployments": list, "transaction": type(None), "cached-update": type(None),
        "update-driver": type(None),
    }, "status")  # fmt: skip
    check(first(machine), DEPLOYMENT, "plain", sometimes=SOMETIMES)
    assert first(machine)["origin"] == f"{REMOTE}:{BRANCH}"

    plan = machine.json("install", "-n", local, "hello", "core", "--allow-inactive")
    check_plan(plan)
    assert [(s["name"], s["action"], s["reason"]) for s in plan["steps"]] == [
        ("hello", "install", {"kind": "request", "of": "hello"}),
        ("mine", "install", {"kind": "request", "of": "mine-1:1-2.all"}),
    ]
    assert plan["inactive"] == [
        {"request": "core", "provided-by": "core-1.0.all", "kind": "request"}
    ]
    assert plan["base"] == branch.commits["1"]
    assert [s["id"] for s in plan["sources"]] == ["test"]
    assert len(machine.deployments) == 1, "a dry run deploys nothing"

    done = machine.json("install", local, "hello", "core", "--allow-inactive")
    check(done, OUTCOME | {"deployment": str}, "outcome")
    assert done["plan"] == plan
    assert done["deployment"] == first(machine)["id"]
    machine("override", "remove", "core", "--uninstall", "core")
    machine("override", "replace", "--experimental", "--from=repo=test", "libk")
    machine("install", "--force-replacefiles", make_deb(d, "forced", "2"))
    machine("initramfs-etc", "--track=/etc/hostname")
    # the ref of the remote knows of a newer base
    ostree(machine.repo, "pull-local", f"--remote={REMOTE}", str(branch.repo), branch.commits["2"])
    ostree(machine.repo, "refs", "--force", f"--create={REMOTE}:{BRANCH}", branch.commits["2"])
    now = first(machine)
    check(now, DEPLOYMENT, "layered", sometimes=SOMETIMES)
    assert now["id"] == f"debian-{now['checksum']}.{now['serial']}"
    assert now["base-removals"] == [["core-1.0.all", "core", 0, "1.0", "", "all"]]
    assert now["base-remote-replacements"] == {
        "repo=test": [
            [["libk-1:3-1.all", "libk", 1, "3", "1", "all"], ["libk-1.all", "libk", 0, "1", "", "all"]]
        ]
    }  # fmt: skip
    assert now["requested-local-packages"] == ["mine-1:1-2.all"]
    assert now["requested-local-fileoverride-packages"] == ["forced-2.all"]
    assert now["requested-packages"] == now["packages"] == ["hello"]
    assert now["initramfs-etc"] == ["/etc/hostname"]
    assert now["pending-base-checksum"] == branch.commits["2"]
    assert (
        now["layered-commit-meta"]
        .keys()
        .isdisjoint(
            {"aptostree.packages", "aptostree.rpmdb.pkglist", "aptostree.removed-base-packages"}
        )
    )
    expression = "$.deployments[0]['requested-packages'][0]"
    assert json.loads(machine("status", "--jsonpath", expression).stdout) == ["hello"]
    machine("status", "--pending-exit-77", ok=[77])
    machine("status", "--json", "--pending-exit-77", ok=[77])
    assert json.loads(machine("status", "--json", "--booted").stdout)["deployments"] == []
    assert error(machine, "status", "--json", "--jsonpath", "$") == (
        "error: Cannot specify both --json and --jsonpath"
    )


def test_unchanged_is_77_where_it_is_asked_for(machine, tmp_path):
    d = tmp_path / "built"
    hello = make_deb(d, "hello")
    machine.publish(hello)
    machine("install", "hello")
    quiet: tuple[tuple[list[str], str], ...] = (
        (["install", "--idempotent", "hello"], "No changes.\n"),
        (["uninstall", "--idempotent", "nowhere"], "No changes.\n"),
        (["remove", "--idempotent", "nowhere"], "No changes.\n"),
        (["upgrade"], "No upgrade available.\n"),
        (["update"], "No upgrade available.\n"),
        (["deploy", "1"], "No change.\n"),
        (["kargs", "--append-if-missing=quiet"], "No changes.\n"),
        (["initramfs-etc", "--untrack-all"], "No changes.\n"),
    )
    machine("kargs", "--append=quiet")
    before = [x["id"] for x in machine.deployments]
    for argv, last in quiet:
        done = machine(*argv, "--unchanged-exit-77", ok=[77])
        assert done.stdout.endswith(last), argv
        assert "Installing" not in done.stdout, "nothing is done, so nothing is announced"
    machine("install", "--idempotent", "hello")
    machine("upgrade", "--upgrade-unchanged-exit-77", ok=[77])
    machine("upgrade", "--check", ok=[77])
    assert [x["id"] for x in machine.deployments] == before
    # what changes something is 0 with the flag, a dry run and a download too
    machine("uninstall", "--unchanged-exit-77", "-n", "hello")
    machine("upgrade", "--unchanged-exit-77", "--install", "nowhere", ok=[1])
    machine("uninstall", "--unchanged-exit-77", "hello")
    machine("install", "--unchanged-exit-77", "--download-only", "hello")
    machine("install", "--unchanged-exit-77", "hello")


def test_downloads_wait_for_their_deployment(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", depends="libhello"), make_deb(d, "libhello"),
                    make_deb(d, "other"))  # fmt: skip
    assert machine("install", "--download-only", "hello").stdout.endswith("Update downloaded.\n")
    machine.publish()
    for argv in (["cleanup", "-b"], ["cleanup", "-p", "-r"], ["install", "other"]):
        machine(*argv)
    (machine.debs / "pool").rename(machine.debs / "gone")
    machine("install", "--cache-only", "hello")
    assert first(machine)["packages"] == ["hello", "other"]

    # a version that no branch names once the remote has moved on
    branch.point("2")
    machine("deploy", "--download-only", "2")
    branch.point("1")
    machine("cleanup", "-b")
    machine("kargs", "--append=x")
    config = machine.repo / "config"
    text = config.read_text()
    config.write_text(text.replace(str(branch.repo), "/nonexistent"))
    machine("deploy", "--cache-only", "--skip-branch-check", f"revision={branch.commits['2']}")
    assert first(machine)["version"] == "2"
    config.write_text(text)
    machine("cleanup", "-r")

    # prune takes what was downloaded and is not used
    (machine.debs / "gone").rename(machine.debs / "pool")
    machine.publish(make_deb(d, "late", files={"/usr/share/late": "x" * 4000}))
    machine("install", "--download-only", "late")
    foreseen = machine.json("prune", "--dry-run")
    assert foreseen["packages"] == 1
    assert machine.json("prune") == foreseen
    assert machine("install", "--cache-only", "late", ok=[1]).stderr.splitlines()[-1]


def foreign(machine, tmp_path) -> str:
    """A bootable tree that has no packages, on a branch of the machine's own."""
    tree = tmp_path / "foreign"
    for path in ("usr/lib/modules/1/vmlinuz", "usr/lib/modules/1/initramfs.img",
                 "usr/etc/hostname"):  # fmt: skip
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("x")
    (tree / "usr/lib/os-release").write_text("ID=other\nNAME=other\nVERSION_ID=1\n")
    ostree(machine.repo, "commit", "--branch=foreign", f"--tree=dir={tree}")
    return "foreign"


def test_a_tree_without_packages(branch, machine, tmp_path):
    d = tmp_path / "built"
    deb = make_deb(d, "hello")
    machine.publish(deb)
    machine("rebase", f":{foreign(machine, tmp_path)}")
    now = first(machine)
    check(now, DEPLOYMENT, "foreign", sometimes=SOMETIMES)
    assert now["origin"] == "foreign"
    assert "\n  foreign (index: 0)\n" in machine("status", "-v").stdout
    for argv in (["install", deb], ["install", "hello"], ["list"], ["db", "diff"]):
        done = machine(*argv, ok=[1]) if argv[0] != "db" else machine("db", *argv[1:], ok=[0, 1])
        lines = done.stderr.splitlines()
        if done.returncode:
            assert lines[-2].startswith("error: "), "one line, and a hint"
    machine("kargs", "--append=quiet")
    machine("cleanup", "-b")
    machine("prune", "--dry-run")
    machine("history")
    machine("upgrade", "--unchanged-exit-77", ok=[77])
    assert first(machine)["origin"] == "foreign"
    machine("rebase", f"{REMOTE}:{BRANCH}")
    machine("install", deb)
    assert first(machine)["requested-local-packages"] == ["hello-1.0.all"]
    # with something to layer, the foreign tree is refused before anything is done
    assert error(machine, "rebase", ":foreign").endswith(" has no package database")
    machine("cleanup", "-p", "-r")
    machine.check()


def test_package_lists_and_their_counts(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "one"), make_deb(d, "two"))
    for argv in (["refresh-md"], ["refresh-md", "--force"], ["makecache"]):
        lines = machine(*argv).stdout.splitlines()
        assert lines[0] == "Enabled apt sources: test"
        assert lines[1] == "Updating metadata for 'test'...done"
        assert lines[2].startswith("apt source 'test'; generated: 20")
        assert lines[2].endswith(" packages: 2")
        [source] = machine.json(*argv)
        check(source, {"id": str, "generated": str, "packages": int}, "source")
        assert (source["id"], source["packages"]) == ("test", 2)
    assert machine("refresh-md", "-n").stdout == "Exiting because of '--dry-run' option\n"


def test_sources_that_have_changed_are_fetched(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "one"))
    make_repo(tmp_path / "more", [make_deb(d, "two")])
    added = machine.tree / "etc/apt/sources.list.d/more.list"
    added.write_text(f"deb [trusted=yes] file:{tmp_path}/more stable main\n")
    done = machine("install", "-n", "one")
    assert "warning: the apt sources have changed since apt-ostree refresh-md\n" in done.stdout
    done = machine("install", "two")
    assert "Enabled apt sources: more test\n" in done.stdout
    assert "Updating metadata" not in machine("install", "one").stdout
    # one that is dead stops nobody who does not need it
    added = machine.tree / "etc/apt/sources.list.d/dead.list"
    added.write_text(f"deb [trusted=yes] file:{tmp_path}/dead stable main\n")
    done = machine("install", "--idempotent", "one", "--uninstall", "two")
    assert "warning: Updating apt source 'dead': " in done.stdout
    assert first(machine)["packages"] == ["one"]


def test_differences_between_commits(branch, machine, tmp_path):
    branch.point("2")
    machine("upgrade")
    value = json.loads(machine("db", "diff", "--format=json").stdout)
    check(value, {
        "ostree-commit-from": str, "ostree-commit-to": str, "advisories": list,
        "pkgdiff": [(str, int, dict)],
    }, "diff")  # fmt: skip
    assert value["pkgdiff"] == [
        ["tool", 0, {"NewPackage": ["tool", "1.0", "all"]}],
        ["libk", 2, {"PreviousPackage": ["libk", "1", "all"],
                     "NewPackage": ["libk", "2", "all"]}],
    ]  # fmt: skip
    assert value["advisories"] == []
    head = [
        f"ostree diff commit from: current deployment ({branch.commits['1']})",
        f"ostree diff commit to:   pending deployment ({branch.commits['2']})",
    ]
    assert machine("db", "diff").stdout.splitlines() == [
        *head, "Upgraded:", "  libk 1 -> 2", "Added:", "  tool-1.0.all",
    ]  # fmt: skip
    assert machine("db", "diff", "--format=diff").stdout.splitlines() == [
        *head, "!libk-1.all", "=libk-2.all", "+tool-1.0.all",
    ]  # fmt: skip


def test_a_machine_that_shall_not_differ_from_its_base(branch, machine, tmp_path):
    d = tmp_path / "built"
    hello, libk = make_deb(d, "hello"), make_deb(d, "libk", "3")
    machine.publish(hello)
    machine("install", "hello")
    (machine.tree / "etc/apt-ostreed.conf").write_text("[Daemon]\nLockLayering=true\n")
    for argv in (
        ["install", "other"], ["install", libk], ["override", "remove", "core"],
        ["override", "replace", libk], ["upgrade", "--install=other"],
    ):  # fmt: skip
        assert error(machine, *argv) == (
            "error: Cannot operate; `LockLayering=true` in configuration."
        )
    branch.point("2")
    machine("upgrade")
    machine("kargs", "--append=quiet")
    machine("uninstall", "hello")
    assert first(machine)["checksum"] == branch.commits["2"]


def standing(machine, *names: str) -> dict[str, tuple[object, ...]]:
    """Status, version that is there, and the reason, by name."""
    shape = {
        "control": {str: str}, "installed": object, "candidate": object, "status": str,
        "reason": object,
    }  # fmt: skip
    records = machine.json("info", *names)
    for record in records:
        assert record.keys() == shape.keys()
        check(record["control"], shape["control"], "control")
    return {r["control"]["Package"]: (r["status"], r["installed"], r["reason"]) for r in records}


def test_where_packages_stand(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", depends="libhello"), make_deb(d, "libhello"),
                    make_deb(d, "absent"))  # fmt: skip
    machine("install", "hello=1.0", make_deb(d, "lib-2-0", "2.1-1", depends="libhello"))
    machine("override", "replace", make_deb(d, "libk", "3"))
    expected = {
        "hello": ("layered", "1.0", "requested as 'hello=1.0'"),
        "libhello": ("layered (dependency)", "1.0", None),
        "lib-2-0": ("local", "2.1-1", "requested as a local package: lib-2-0-2.1-1.all"),
        "libk": ("override", "3", "replaces libk-1.all of the base"),
        "core": ("base", "1.0", None),
        "absent": ("not installed", None, None),
    }
    assert standing(machine, *expected) == expected
    assert "APT-OSTree-Status: local\n" in machine("info", "lib-2-0").stdout
    assert error(machine, "info", "lib-2-0", "nowhere") == "error: Packages not found: nowhere"
    listed = {p["name"]: p["origin"] for p in machine.json("list", *set(expected) - {"absent"})}
    assert listed == {
        "hello": "layered", "libhello": "layered", "lib-2-0": "local", "libk": "override",
        "core": "base",
    }  # fmt: skip
    chain = [link["kind"] for link in machine.json("why", "libhello")["chain"]]
    assert chain[-1] in ("request", "local")
    for source in (machine.tree / "etc/apt/sources.list.d").iterdir():
        source.unlink()
    assert standing(machine, "core", "lib-2-0") == {n: expected[n] for n in ("core", "lib-2-0")}


def test_help_names_what_users_type(machine):
    shown = machine("status", "--help").stdout
    assert "--pending-exit-77" in shown
    rows = [line[2:25].strip() for line in machine("--help").stdout.splitlines()]
    assert {"install", "uninstall", "remove", "override", "status"} <= set(rows)

"""What works without the package sources: everything whose packages were fetched before."""

import shutil
import subprocess

import pytest
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]


def cut_off(machine) -> None:
    """No source is reachable, and what was known of them is gone too."""
    shutil.rmtree(machine.debs)
    machine("cleanup", "-m")


def installed(machine) -> dict[str, str]:
    """Versions by name in the tree that boots next, as dpkg sees them."""
    admindir = machine.tree / "usr/lib/sysimage/dpkg"
    done = subprocess.run(
        ["dpkg-query", f"--admindir={admindir}", "-W", "-f=${Package} ${Version}\n"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split() for line in done.stdout.splitlines())


def version(machine, name: str) -> str | None:
    return installed(machine).get(name)


def test_what_takes_away_works_though_the_sources_moved_on_and_vanished(machine, tmp_path):
    d = tmp_path / "built"
    hello = make_deb(d, "hello", "1", depends="libhello", files={"/usr/bin/hello": "1"})
    libhello = make_deb(d, "libhello", files={"/usr/lib/libhello.so": "1"})
    libk = make_deb(d, "libk", "2", files={"/usr/lib/libk.so.2": "2"})
    machine.publish(hello, libhello, libk, make_deb(d, "other"))
    machine("install", "hello", "other")
    machine("override", "replace", "--experimental", "--from=repo=test", "libk")
    machine("override", "remove", "core")
    machine.packages.remove(hello)
    machine.publish(make_deb(d, "hello", "2", files={"/usr/bin/hello": "2"}))
    cut_off(machine)

    machine("uninstall", "other")
    assert version(machine, "hello") == "1"
    assert version(machine, "libk") == "2"
    assert machine.deployments[0]["base-remote-replacements"].keys() == {"repo=test"}
    machine("override", "reset", "core")
    assert (machine.tree / "usr/bin/core").exists()
    machine("kargs", "--append=quiet")
    machine("initramfs-etc", "--track=/etc/hostname")
    assert version(machine, "hello") == "1"
    machine("override", "reset", "--all")
    assert version(machine, "libk") == "1"
    machine("install", "--cache-only", make_deb(d, "from-file", depends="libhello"))
    assert sorted(machine.deployments[0]["requested-packages"]) == ["hello"]
    assert version(machine, "from-file") == "1.0"
    machine("uninstall", "hello")
    assert version(machine, "libhello") == "1.0", "the file needs it"
    machine("reset")
    assert "base-checksum" not in machine.deployments[0]


def test_what_is_not_cached_is_named(machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", depends="libhello"), make_deb(d, "libhello"))
    for _ in range(2):
        done = machine("install", "--cache-only", "hello", ok=[1])
        first, *rest = done.stderr.splitlines()
        assert first.startswith("error: ") and "hello" in done.stderr
        assert "--cache-only" in rest[-1]
        machine("cleanup", "-m")


def test_download_only_then_cache_only(branch, machine, tmp_path):
    d = tmp_path / "built"
    machine.publish(make_deb(d, "hello", "1", files={"/usr/bin/hello": "1"}))
    machine("install", "hello")
    machine.publish(make_deb(d, "hello", "2", files={"/usr/bin/hello": "2"}))
    branch.point("2")
    before = machine.deployments
    done = machine("upgrade", "--download-only")
    assert done.stdout.splitlines().count("Update downloaded.") == 1
    assert [d["id"] for d in machine.deployments] == [d["id"] for d in before]
    cut_off(machine)
    config = machine.repo / "config"
    config.write_text(config.read_text().replace(str(branch.repo), "/nonexistent"))
    done = machine("upgrade", ok=[1])
    assert done.stderr.startswith("error: ")
    machine("upgrade", "--cache-only")
    assert machine.deployments[0]["version"] == "2"
    assert version(machine, "hello") == "2"
    assert machine("upgrade", "--cache-only", "--unchanged-exit-77", ok=[77]).stdout.endswith(
        "No upgrade available.\n"
    )


def test_a_dead_source_does_not_stop_what_does_not_need_it(machine, tmp_path):
    d = tmp_path / "built"
    sources = machine.tree / "etc/apt/sources.list.d"
    for source in sources.iterdir():
        source.unlink()
    # no source at all
    machine("install", make_deb(d, "alone"))
    assert machine.deployments[0]["requested-local-packages"] == ["alone-1.0.all"]
    done = machine("install", "name", ok=[1])
    assert done.stderr.startswith("error: No enabled repositories\n")

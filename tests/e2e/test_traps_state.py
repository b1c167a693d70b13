"""Packages with scripts and state of every kind, on a real machine before and after its boot.

Most are installed together in one change of one machine; each test looks at one of them.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.booted import booted, inside, private_mounts  # noqa: F401 - one is a fixture
from fixtures.debrepo import make_deb
from fixtures.machines import Machine, make_machine
from fixtures.statetraps import ASKS, READS, TEMPLATES, scripted, stateful

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.usefixtures("private_mounts")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("state")
    made = make_machine(directory)
    # a person and a service of the machine's own, with numbers that packages would get
    for file, lines in (("passwd", "me:x:1000:1000::/home/me:/bin/sh\nmine:x:999:999::/:/bin/sh\n"
                                   "own:x:105:105::/:/bin/sh\n"),
                        ("group", "me:x:1000:\nmine:x:999:\nown:x:105:\n")):  # fmt: skip
        with (made.tree / "etc" / file).open("a") as out:
            out.write(lines)
    debs = [*scripted(directory / "built"), *stateful(directory / "built")]
    made.publish(*debs)
    made("install", *(deb.name.split("_")[0] for deb in debs))
    yield made
    made.check()
    made.release()


@pytest.fixture(scope="module")
def tree(machine) -> Path:
    """The tree as the first change left it."""
    return machine.tree


def text(tree: Path, path: str) -> str:
    return (tree / path).read_text().strip()


def test_diversions_of_base_and_layered_packages(machine, tree):
    assert text(tree, "usr/bin/tac") == "mine"
    assert (tree / "usr/bin/tac.orig").stat().st_size > 10_000
    for name in ("a", "c"):  # made before and after the other package's file was there
        assert text(tree, f"usr/bin/t-{name}v") == "mine"
        assert text(tree, f"usr/bin/t-{name}v.orig") == "victim"
    # by a postinst, and without --rename before the file comes
    assert os.readlink(tree / "usr/bin/t-bv") == "t-av"
    assert text(tree, "usr/bin/t-bv.orig") == "victim"
    assert text(tree, "usr/bin/t-dv.orig") == "victim"
    assert not os.path.lexists(tree / "usr/bin/t-dv")
    listed = machine.inside("dpkg-divert", "--list", "/usr/bin/t*").stdout
    assert listed.count("diversion of") == 5
    assert machine.verify("t-a-victim", "t-d-victim", "t-e-victim") == []


def test_alternatives_and_their_files_are_merged_together(tree, machine, tmp_path):
    home = tree / "usr/etc/alternatives-admindir"
    assert text(home, "t-alt").splitlines()[:2] == ["auto", "/usr/bin/t-alt"]
    assert os.readlink(tree / "usr/etc/alternatives/t-alt") == "/usr/bin/t-alt.2"
    assert os.readlink(tree / "usr/share/t/slave") == "/etc/alternatives/t-slave"
    with booted(machine, tmp_path / "boot") as root:
        assert inside(root, "t-alt") == "two\n"
        inside(root, "update-alternatives", "--set", "t-alt", "/usr/bin/t-alt.1")
        assert inside(root, "t-alt") == "one\n"
        assert text(root, "etc/alternatives-admindir/t-alt").startswith("manual")
        assert not os.path.lexists(root / "etc/alternatives/t-slave")


def test_triggers_reach_whoever_is_interested(tree):
    said = " ".join(text(tree, "usr/share/t/watch").split())
    assert sorted(said.split()) == ["/usr/share/t-path", "/usr/share/t-quiet", "t-hushed",
                                    "t-named"]  # fmt: skip
    # an interest that is awaited is served before others rely on who set it off
    assert "/usr/share/t-path" in text(tree, "usr/share/t/act-user-saw")
    # whoever comes later looks at what is there when it is configured
    assert text(tree, "usr/share/t/late") == "x"


def test_triggers_of_the_base_see_laid_files(machine, tree):
    assert "/usr/bin/t-shell" in text(tree, "usr/etc/shells").splitlines()
    assert b"T_HWDB" in (tree / "usr/lib/udev/hwdb.bin").read_bytes()
    status = text(tree, "usr/lib/sysimage/dpkg/status")
    assert "Triggers-" not in status
    assert "triggers-" not in status


def test_debconf_answers_and_secrets(tree):
    assert text(tree, "usr/etc/t-colour") == "red"
    debconf = tree / "usr/lib/sysimage/debconf"
    assert "t-debconf/colour" in text(debconf, "config.dat")
    assert sorted(p.name for p in debconf.iterdir()) == ["config.dat", "templates.dat"]
    found = subprocess.run(["grep", "-rl", "hunter2", str(tree)], capture_output=True, text=True,
                           check=False).stdout.splitlines()  # fmt: skip
    assert [p for p in found if not p.endswith("/info/t-debconf.postinst")] == []


def test_ucf_registers_what_it_made(tree):
    assert text(tree, "usr/etc/t-ucf") == "v1"
    assert "/etc/t-ucf" in text(tree, "usr/lib/sysimage/ucf/hashfile")
    assert "t-ucf" in text(tree, "usr/lib/sysimage/ucf/registry")


def test_units_are_enabled_as_the_packages_asked(tree):
    for etc in ("usr/etc", "etc"):
        wants = tree / etc / "systemd/system/multi-user.target.wants"
        for name in ("t-unit", "t-direct"):
            assert os.readlink(wants / f"{name}.service").endswith(f"/{name}.service")
        assert os.readlink(tree / etc / "systemd/system/t-masked.service") == "/dev/null"
        assert os.readlink(tree / etc / "rc2.d/S01t-init") == "../init.d/t-init"
    enabled = tree / "usr/lib/sysimage/deb-systemd-helper/enabled"
    assert (enabled / "t-unit.service.dsh-also").is_file()


# -- accounts


def accounts(etc: Path, file: str = "passwd") -> dict[str, int]:
    rows = [line.split(":") for line in (etc / file).read_text().splitlines()]
    return {row[0]: int(row[2]) for row in rows}


OURS = ("t-zuser", "t-buser", "t-suser")


def test_accounts_take_no_number_of_the_machine(tree):
    users, groups = accounts(tree / "usr/etc"), accounts(tree / "usr/etc", "group")
    for name in OURS:
        assert 100 <= users[name] < 1000
        assert users[name] not in (105, 999)
    assert {groups[n] for n in ("t-zuser", "t-buser", "t-sgroup", "t-bgroup")}.isdisjoint(
        {105, 999}
    )
    # what is the machine's own is not in the image
    assert {"me", "mine", "own"}.isdisjoint(users)
    conf = text(tree, "usr/lib/sysusers.d/00-apt-ostree.conf").splitlines()
    for name in OURS:
        assert any(line.startswith(f"u {name} {users[name]}:") for line in conf)
    assert "m t-zuser mail - - -" in conf
    assert "m t-buser t-bgroup - - -" in conf


def test_accounts_get_onto_the_machine_at_boot(machine, tree, tmp_path):
    users = accounts(tree / "usr/etc")
    with booted(machine, tmp_path / "boot") as root:
        here = accounts(root / "etc")
        assert {n: here[n] for n in OURS} == {n: users[n] for n in OURS}
        assert (here["me"], here["mine"], here["own"]) == (1000, 999, 105)
        assert "mail" in inside(root, "id", "-nG", "t-zuser").split()


# -- /var, keys and identities


def attributes(root: Path, path: str) -> tuple[str, str, int]:
    users, groups = accounts(root / "etc"), accounts(root / "etc", "group")
    info = (root / path).lstat()
    names = [next(n for n, i in table.items() if i == number)
             for table, number in ((users, info.st_uid), (groups, info.st_gid))]  # fmt: skip
    return names[0], names[1], stat.S_IMODE(info.st_mode)


VAR = {
    "lib/t-var": ("www-data", "mail", 0o2770), "lib/t-var/data": ("www-data", "mail", 0o640),
    "lib/t-var/a b": ("root", "root", 0o700), "www/t/index.html": ("root", "root", 0o644),
    "cache/t-var": ("root", "root", 0o755), "log/t-var": ("root", "adm", 0o2750),
    "lib/t-made": ("root", "root", 0o755), "lib/t-made/db": ("t-zuser", "root", 0o700),
    "lib/t-made/db/sub/f": ("t-zuser", "root", 0o644), "lib/t-owned": ("t-zuser", "t-zuser", 0o2750),
    "lib/t-s": ("t-suser", "t-sgroup", 0o750), "lib/t-s/file": ("t-suser", "t-sgroup", 0o640),
    "lib/t-z": ("t-zuser", "t-zuser", 0o755), "lib/t-z/data": ("t-zuser", "t-zuser", 0o600),
    "lib/t-b": ("t-buser", "t-buser", 0o700),
}  # fmt: skip


def test_var_is_made_at_boot_with_owners_and_modes(machine, tree, tmp_path):
    assert list((tree / "var").iterdir()) == []
    for path in machine.var.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with booted(machine, tmp_path / "boot") as root:
        found = {path: attributes(root, f"var/{path}") for path in VAR}
        # useradd's home directories have the mode that login.defs says
        expected = VAR | {"lib/t-b": (*VAR["lib/t-b"][:2], found["lib/t-b"][2])}
        assert found == expected
        assert os.readlink(root / "var/lib/t-var/link") == "data"
        assert os.readlink(root / "var/lib/t-other/up") == "../t-made"
        for gone in ("log/t.log", "cache/t.cache", "lib/systemd/random-seed"):
            assert not (root / "var" / gone).exists()
        said = inside(root, "systemd-tmpfiles", "--create", "--prefix=/var", ok=(0, 65))
        assert "t-" not in said


def test_secrets_are_not_in_the_tree(machine, tree, tmp_path):
    for path in ("ssh/ssh_host_rsa_key", "ssh/ssh_host_rsa_key.pub",
                 "ssl/private/ssl-cert-snakeoil.key"):  # fmt: skip
        for etc in ("usr/etc", "etc"):
            assert not (tree / etc / path).exists(), path
    assert (tree / "usr/etc/machine-id").read_bytes() == b""
    assert not list((tree / "usr").rglob("random-seed"))
    unit = tree / "usr/lib/systemd/system/sysinit.target.wants/apt-ostree-identity.service"
    assert unit.is_symlink()
    assert unit.resolve().is_file()


def test_data_is_never_overwritten_nor_brought_back(machine, tmp_path):
    with booted(machine, tmp_path / "boot") as root:
        (root / "var/lib/t-var/data").write_text("mine")
        (root / "var/www/t/index.html").write_text("mine")
        (root / "var/lib/t-made/db/sub/f").unlink()
        (root / "var/lib/t-z/data").chmod(0o666)
    machine.publish(make_deb(tmp_path, "t-more", files={"/var/lib/t-made/more": "m"}))
    machine("install", "t-more")
    with booted(machine, tmp_path / "again") as root:
        assert text(root, "var/lib/t-var/data") == "mine"
        assert text(root, "var/www/t/index.html") == "mine"
        assert not (root / "var/lib/t-made/db/sub/f").exists()
        assert stat.S_IMODE((root / "var/lib/t-z/data").stat().st_mode) == 0o666
        assert text(root, "var/lib/t-made/more") == "m"


def test_accounts_keep_their_numbers_from_tree_to_tree(tmp_path):
    made = make_machine(tmp_path / "machine")
    made.publish(
        *stateful(tmp_path / "built"),
        make_deb(tmp_path, "a-first", depends="adduser, passwd", scripts={
            "postinst": "adduser --quiet --system a-user; useradd -r a-other"}),
        make_deb(tmp_path, "b-other", depends="adduser", scripts={
            "postinst": "adduser --quiet --system b-user"}),
    )  # fmt: skip

    def numbers() -> dict[str, int]:
        return accounts(made.tree / "usr/etc")

    made("install", "t-z-user", "t-b-user", "t-s-user")
    users = {name: numbers()[name] for name in OURS}
    made("install", "a-first")  # its script runs before the others'
    assert {name: numbers()[name] for name in OURS} == users
    assert len(set(numbers().values())) == len(numbers())
    made("uninstall", "t-z-user")
    assert "t-zuser" not in numbers()
    assert {n: i for n, i in numbers().items() if n in users} == {
        n: i for n, i in users.items() if n != "t-zuser"
    }
    made("install", "b-other")  # gets no number that is only away
    assert numbers()["b-user"] not in users.values()
    made("install", "t-z-user")
    assert {name: numbers()[name] for name in OURS} == users
    made.check()
    made.release()


def test_answers_of_the_origin_reach_the_scripts(tmp_path):
    """And what nobody else changes stays, after another deployment."""
    made = make_machine(tmp_path / "machine")
    made.publish(make_deb(tmp_path, "t-debconf", depends="debconf", scripts={
        "config": ASKS, "postinst": READS}, members={"templates": TEMPLATES}))  # fmt: skip
    [origin] = made.path.glob("ostree/deploy/debian/deploy/*.origin")
    answer = "t-debconf t-debconf/colour string blue\\; green"
    origin.write_text(f"{origin.read_text()}\n[aptostree]\ndebconf={answer};\n")
    made("install", "t-debconf")
    assert text(made.tree, "usr/etc/t-colour") == "blue; green"
    (made.tree / "etc/t-colour").write_text("mine")
    made.publish(make_deb(tmp_path, "t-else", files={"/usr/share/t-else": "x"}))
    made("install", "t-else")
    assert text(made.tree, "usr/etc/t-colour") == "blue; green"
    assert text(made.tree, "etc/t-colour") == "mine"
    made.check()
    made.release()


@pytest.mark.slow
def test_byte_code_is_valid_however_the_source_came(tmp_path):
    """Python compares the time in a .pyc with its source's; one that differs is not used."""
    made = make_machine(tmp_path / "machine")
    made("refresh-md")
    compile_it = "py3compile -p {0} || true; test -e /usr/lib/python3/dist-packages/__pycache__"
    modules = [
        make_deb(tmp_path, name, depends="python3-minimal", scripts={
            **scripts, "postinst": compile_it.format(name)},
            files={f"/usr/lib/python3/dist-packages/{name.replace('-', '_')}.py": "x = 1\n"})
        for name, scripts in (("t-laid", {}), ("t-unpacked", {"preinst": "true; umask 022"}))
    ]  # fmt: skip
    made("install", "python3-minimal", *modules)
    for name in ("t_laid", "t_unpacked", "tokenize"):
        said = made.inside("python3", "-B", "-v", "-c", f"import {name}").stderr
        assert [line for line in said.splitlines() if "is stale" in line or "wrote" in line] == []
        assert any("__pycache__" in line and "matches" in line and f"{name}.cpython" in line
                   for line in said.splitlines()), said  # fmt: skip
    made.check()
    made.release()

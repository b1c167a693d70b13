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
from fixtures import realdebs
from fixtures.booted import booted, inside, private_mounts  # noqa: F401 - one is a fixture
from fixtures.debrepo import File, make_deb
from fixtures.machines import Machine, make_machine

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.usefixtures("private_mounts")]

LOG = "mkdir -p /usr/share/t"
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
INIT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: t-init
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
exit 1
"""
# What debhelper generates for a unit (dh_installsystemd).
ENABLE = """\
deb-systemd-helper unmask t-unit.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled t-unit.service; then
    deb-systemd-helper enable t-unit.service >/dev/null || true
fi
deb-systemd-helper update-state t-unit.service >/dev/null || true
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload
    deb-systemd-invoke start t-unit.service
fi"""
TEMPLATES = """\
Template: t-debconf/colour
Type: string
Default: red
Description: colour

Template: t-debconf/secret
Type: password
Description: secret
"""
ASKS = """\
. /usr/share/debconf/confmodule
db_input high t-debconf/colour || true
db_input critical t-debconf/secret || true
db_go || true"""
READS = """\
. /usr/share/debconf/confmodule
db_get t-debconf/colour
echo "$RET" >/etc/t-colour
db_set t-debconf/secret hunter2
db_stop"""
ADDUSER = "adduser --quiet --system --group --home /var/lib/t-z t-zuser"
SYSUSERS = 'u t-suser - "T; S" /var/lib/t-s /bin/sh\ng t-sgroup - -\n'
TMPFILES = "d /var/lib/t-s 0750 t-suser t-sgroup -\nf /var/lib/t-s/file 0640 t-suser t-sgroup - x\n"


def record(name: str) -> str:
    return f'[ "$1" != triggered ] || {{ {LOG}; echo "$2" >>/usr/share/t/{name}; }}'


def diverted(package: str, path: str, *options: str) -> str:
    words = " ".join(options)
    return f"dpkg-divert --quiet --package {package} --add {words} --divert {path}.orig {path}"


def scripted(d: Path) -> list[Path]:
    """Diversions, alternatives, triggers, units, questions."""
    rename = "--rename"
    return [
        make_deb(d, "t-div-base", files={"/usr/bin/tac": File("mine", 0o755)},
                 scripts={"preinst": diverted("t-div-base", "/usr/bin/tac", rename)}),
        make_deb(d, "t-a-victim", files={"/usr/bin/t-av": "victim", "/usr/bin/t-bv": "victim"}),
        make_deb(d, "t-b-div", files={"/usr/bin/t-av": "mine"},
                 scripts={"preinst": diverted("t-b-div", "/usr/bin/t-av", rename)}),
        make_deb(d, "t-c-div", files={"/usr/bin/t-cv": "mine"}, scripts={
            "preinst": diverted("t-c-div", "/usr/bin/t-cv", rename) + "\n"
            + diverted("t-c-div", "/usr/bin/t-dv", "--no-rename")}),
        make_deb(d, "t-d-victim", pre_depends="t-c-div", conffiles=["/etc/t-cv"], files={
            "/usr/bin/t-cv": "victim", "/etc/t-cv": "c"}),
        make_deb(d, "t-e-victim", pre_depends="t-c-div", files={"/usr/bin/t-dv": "victim"}),
        make_deb(d, "t-post-div", depends="t-a-victim", scripts={
            "postinst": diverted("t-post-div", "/usr/bin/t-bv", rename)
            + "; ln -s t-av /usr/bin/t-bv"}),
        make_deb(d, "t-alt1", files={"/usr/bin/t-alt.1": File("#!/bin/sh\necho one\n", 0o755)},
                 scripts={"postinst": "update-alternatives --install /usr/bin/t-alt t-alt "
                                      "/usr/bin/t-alt.1 10"}),
        make_deb(d, "t-alt2", files={"/usr/bin/t-alt.2": File("#!/bin/sh\necho two\n", 0o755),
                                     "/usr/share/t/slave2": "s"},
                 scripts={"postinst": "update-alternatives --install /usr/bin/t-alt t-alt "
                          "/usr/bin/t-alt.2 20 --slave /usr/share/t/slave t-slave "
                          "/usr/share/t/slave2"}),
        make_deb(d, "t-watch", scripts={"postinst": record("watch")}, triggers=(
            "interest /usr/share/t-path\ninterest-noawait /usr/share/t-quiet\n"
            "interest t-named\ninterest-noawait t-hushed")),
        make_deb(d, "t-act", pre_depends="t-watch", files={"/usr/share/t-path/x": "x",
                                                           "/usr/share/t-quiet/y": "y"}),
        make_deb(d, "t-act-user", depends="t-act", scripts={
            "postinst": f"{LOG}; cp /usr/share/t/watch /usr/share/t/act-user-saw"}),
        make_deb(d, "t-name", depends="t-watch", triggers="activate t-named",
                 scripts={"postinst": "dpkg-trigger --no-await t-hushed"}),
        make_deb(d, "t-early", files={"/usr/share/t-late/x": "x"}),
        make_deb(d, "t-late", depends="t-early", triggers="interest-noawait /usr/share/t-late",
                 scripts={"postinst": f"{LOG}; ls /usr/share/t-late >/usr/share/t/late"}),
        make_deb(d, "t-fire", files={
            "/usr/share/debianutils/shells.d/t": "/usr/bin/t-shell\n",
            "/usr/bin/t-shell": File("", 0o755),
            # the path of the trigger in Debian 12 and in 13
            **dict.fromkeys(("/lib/udev/hwdb.d/99-t.hwdb", "/usr/lib/udev/hwdb.d/98-t.hwdb"),
                            "t:b9999:*\n T_HWDB=yes\n")}),
        make_deb(d, "t-debconf", depends="debconf", members={"templates": TEMPLATES},
                 scripts={"config": ASKS, "postinst": READS}),
        make_deb(d, "t-ucf", depends="ucf", files={"/usr/share/t/ucf": "v1\n"}, scripts={
            "postinst": "ucf --three-way /usr/share/t/ucf /etc/t-ucf; ucfr t-ucf /etc/t-ucf"}),
        make_deb(d, "t-unit", files={"/lib/systemd/system/t-unit.service": UNIT},
                 scripts={"postinst": ENABLE}),
        make_deb(d, "t-direct", files={f"/usr/lib/systemd/system/t-{n}.service": UNIT
                                       for n in ("direct", "masked")},
                 scripts={"postinst": "systemctl enable --now t-direct.service\n"
                          "systemctl mask t-masked.service; systemctl daemon-reload\n"
                          "systemctl restart t-direct"}),
        make_deb(d, "t-init", files={"/etc/init.d/t-init": File(INIT, 0o755)},
                 conffiles=["/etc/init.d/t-init"], scripts={
                 "postinst": "update-rc.d t-init defaults >/dev/null\n"
                 "invoke-rc.d --skip-systemd-native t-init start; service t-init start"}),
        *(realdebs.fetch([name])[name] for name in ("ucf", "sensible-utils")),
    ]  # fmt: skip


def stateful(d: Path) -> list[Path]:
    """Accounts, /var, secrets."""
    return [
        make_deb(d, "t-z-user", depends="adduser", scripts={
            "postinst": f"{ADDUSER}; adduser --quiet t-zuser mail >/dev/null\n"
            "echo d >/var/lib/t-z/data; chown t-zuser:t-zuser /var/lib/t-z/data\n"
            "chmod 600 /var/lib/t-z/data"}),
        make_deb(d, "t-b-user", depends="passwd", scripts={
            "postinst": "useradd -r -d /var/lib/t-b -m -s /usr/sbin/nologin t-buser\n"
                        "groupadd -r t-bgroup; usermod -aG t-bgroup t-buser"}),
        make_deb(d, "t-s-user", depends="systemd", files={
            "/usr/lib/sysusers.d/t-s.conf": SYSUSERS, "/usr/lib/tmpfiles.d/t-s.conf": TMPFILES},
            scripts={"postinst": "systemd-sysusers t-s.conf; systemd-tmpfiles --create t-s.conf"}),
        make_deb(d, "t-var", files={
            "/var/lib/t-var/": File(directory=True, mode=0o2770, owner=("www-data", 33),
                                    group=("mail", 8)),
            "/var/lib/t-var/data": File("data", 0o640, ("www-data", 33), ("mail", 8)),
            "/var/lib/t-var/link": File(link="data"),
            "/var/lib/t-var/a b/": File(directory=True, mode=0o700),
            "/var/www/t/index.html": "page", "/var/cache/t-var/": "",
            "/var/log/t-var/": File(directory=True, mode=0o2750, group=("adm", 4))}),
        make_deb(d, "t-made", depends="t-z-user, t-s-user", files={
            "/var/lib/t-made/": "", "/var/lib/t-owned/": ""}, scripts={
            "postinst": "mkdir -p /var/lib/t-made/db/sub /var/lib/t-other\n"
            "echo 1 >/var/lib/t-made/db/sub/f; chown -R t-zuser /var/lib/t-made/db\n"
            "chmod 700 /var/lib/t-made/db; ln -s ../t-made /var/lib/t-other/up\n"
            "echo l >/var/log/t.log; echo c >/var/cache/t.cache\n"
            "dpkg-statoverride --update --add t-zuser t-zuser 2750 /var/lib/t-owned"}),
        make_deb(d, "t-secret", scripts={
            "postinst": "mkdir -p /etc/ssh /etc/ssl/private; echo k >/etc/ssh/ssh_host_rsa_key\n"
            "echo p >/etc/ssh/ssh_host_rsa_key.pub; echo 0123456789abcdef >/etc/machine-id\n"
            "echo k >/etc/ssl/private/ssl-cert-snakeoil.key\n"
            "mkdir -p /var/lib/systemd; echo s >/var/lib/systemd/random-seed"}),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
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

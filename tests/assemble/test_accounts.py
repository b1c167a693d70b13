"""The account files, read, compared, locked and turned into sysusers.d lines."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.assemble import accounts
from apt_ostree.assemble.accounts import Accounts

BASE = {
    "passwd": b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
    "group": b"root:x:0:\ndaemon:x:1:\nshadow:x:42:\nusers:x:100:\n",
    "shadow": b"root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
    "gshadow": b"root:*::\ndaemon:*::\nshadow:*::\nusers:*::\n",
}


def with_lines(**more: bytes) -> Accounts:
    return Accounts.parse({n: BASE.get(n, b"") + more.get(n, b"") for n in accounts.FILES})


FOO = with_lines(
    passwd=b'foo:x:105:107:A "b" \\ 100% \xc3\xa9:/var/lib/foo:/usr/sbin/nologin\n'
    b"plain:x:106:100::/:\n",
    group=b"foo:x:107:\naudio-x:x:108:foo,plain,gone\n",
    shadow=b"foo:!:20001::::::\nplain:$6$hash:20001:0:99999:7:::\n",
)


def write_etc(root: Path, files: dict[str, bytes]) -> Path:
    etc = root / "usr/etc"
    etc.mkdir(parents=True)
    for name, data in files.items():
        (etc / name).write_bytes(data)
    return etc


def test_load_reads_a_directory_and_misses_nothing(tmp_path):
    found = accounts.load(write_etc(tmp_path, BASE))
    assert list(found.users) == ["root", "daemon"]
    assert found.groups["users"].gid == 100
    assert found.rows["subuid"] == ()


def test_load_does_not_follow_a_link_out_of_the_tree(tmp_path):
    etc = write_etc(tmp_path, BASE)
    (etc / "passwd").unlink()
    (etc / "passwd").symlink_to("/etc/passwd")
    assert accounts.load(etc).users == {}


@pytest.mark.parametrize(
    "line", [b"+::::::", b"# note", b"broken", b"x:x:abc:1:::", b":x:5:5:::", b"-@group"]
)
def test_lines_that_are_no_accounts_are_kept_but_not_read(line):
    found = with_lines(passwd=line + b"\n")
    assert list(found.users) == ["root", "daemon"]
    assert found.file("passwd") == BASE["passwd"] + line + b"\n"


def test_the_first_of_two_lines_counts():
    found = with_lines(passwd=b"daemon:x:77:77::/:/bin/sh\nother:x:1:1::/:\n")
    assert found.users["daemon"].uid == 1
    assert found.user_names()[1] == "daemon"


@given(st.binary(max_size=200))
def test_any_bytes_survive(data):
    lines = [line for line in data.split(b"\n") if line.decode("utf-8", "surrogateescape").strip()]
    assert Accounts.parse({"passwd": data}).file("passwd") == b"".join(x + b"\n" for x in lines)


def test_created_names_what_the_base_has_not():
    assert accounts.created(with_lines(), FOO) == (
        frozenset({"foo", "plain"}),
        frozenset({"foo", "audio-x"}),
    )


def test_lock_normalises_locked_passwords_and_dates_of_the_given_names_only():
    locked = accounts.lock(FOO, {"foo", "plain"}, day=19500)
    shadow = {row[0]: row for row in locked.rows["shadow"]}
    assert shadow["foo"][1:3] == ("!*", "19500")
    assert shadow["plain"][1:3] == ("$6$hash", "19500")
    assert shadow["daemon"] == ("daemon", "*", "19000", "0", "99999", "7", "", "", "")


def test_lock_keeps_an_empty_password_and_an_empty_date():
    rows = with_lines(shadow=b"live::::::::\nodd:!!:5::::::\n")
    shadow = {row[0]: row for row in accounts.lock(rows, {"live", "odd"}, day=9).rows["shadow"]}
    assert shadow["live"][1:3] == ("", "")
    assert shadow["odd"][1:3] == ("!*", "9")


@pytest.mark.root
def test_store_gives_the_modes_and_owners_of_debian(tmp_path):
    etc = write_etc(tmp_path, BASE)
    os.chmod(etc / "shadow", 0o600)
    written = accounts.store(tmp_path, FOO)
    assert {"passwd", "group", "shadow", "gshadow"} == set(written)
    info = (etc / "shadow").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o640, 0, 42)
    assert (etc / "passwd").read_bytes() == FOO.file("passwd")
    assert not (etc / "subuid").exists()
    assert accounts.store(tmp_path, FOO) == ()


def test_sysusers_conf_has_groups_before_users_before_members():
    lines = [line for line in accounts.sysusers_conf(FOO).splitlines() if not line.startswith("#")]
    assert lines == [
        "g daemon 1 - - -",
        "g shadow 42 - - -",
        "g users 100 - - -",
        "g foo 107 - - -",
        "g audio-x 108 - - -",
        'u daemon 1:1 "daemon" "/usr/sbin" "/usr/sbin/nologin"',
        'u foo 105:107 "A \\"b\\" \\\\ 100%% é" "/var/lib/foo" "/usr/sbin/nologin"',
        'u plain 106:100 - "/" "/bin/sh"',
        "m foo audio-x - - -",
        "m plain audio-x - - -",
    ]


def test_names_that_systemd_refuses_are_named_not_written():
    text = accounts.sysusers_conf(with_lines(group=b"a.b:x:300:daemon\n"))
    assert "# 'a.b' is no name for systemd-sysusers" in text
    assert "300" not in text


@pytest.mark.root
def test_systemd_sysusers_makes_the_same_accounts(tmp_path):
    """The generated file, given to the real tool on a machine that has only root."""
    accounts.write_sysusers(tmp_path, FOO)
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_bytes(b"root:x:0:0:root:/root:/bin/bash\n")
    (etc / "group").write_bytes(b"root:x:0:\n")
    # A package's own file with another wish must not win.
    (tmp_path / "usr/lib/sysusers.d/foo.conf").write_text("u foo 999 - /elsewhere\n")
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = accounts.load(etc)
    wanted = {n: u for n, u in FOO.users.items() if n != "root"}
    wanted["plain"] = accounts.User("plain", 106, 100, "", "/", "/bin/sh")
    assert {n: u for n, u in made.users.items() if n != "root"} == wanted
    assert set(made.groups["audio-x"].members) == {"foo", "plain"}
    assert {g.name: g.gid for g in made.groups.values()} == {
        g.name: g.gid for g in FOO.groups.values()
    }
    shadow = {row[0]: row[1] for row in made.rows["shadow"]}
    assert shadow["foo"] == "!*"


@pytest.mark.root
def test_write_sysusers_says_whether_it_changed_anything(tmp_path):
    assert accounts.write_sysusers(tmp_path, FOO)
    assert not accounts.write_sysusers(tmp_path, FOO)


def test_only_groups_with_a_secret_have_one():
    text = b"root:*::\nmail:*::me\nown:!::\nopen:::x\npass:$6$x::\nadmin:!:me:\n"
    left = accounts.without_idle_groups(Accounts.parse({"gshadow": text}))
    assert left.file("gshadow") == b"root:*::\npass:$6$x::\nadmin:!:me:\n"

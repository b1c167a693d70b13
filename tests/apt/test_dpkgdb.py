"""dpkg's database, read and written without dpkg, and read back by dpkg."""

from __future__ import annotations

import subprocess

import pytest
from fixtures.debrepo import File, make_deb, write_admindir
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.apt import deb822, dpkgdb
from apt_ostree.apt.dpkgdb import Conffile, Diversion, FileTrigger, Override
from apt_ostree.errors import AptOstreeError

STATUS = """\
Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2-1
Conffiles:
 /etc/skel/.bashrc 1f98b8f3f3c8f8927eca945d59dcc1c6
 /etc/old 89269e1298235f1b12b4c16e4065ad0d obsolete
Description: GNU shell
 A shell.
 .
 End.

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: libz
Status: install ok installed
Multi-Arch: same
Architecture: i386
Version: 1

Package: libz
Status: install ok installed
Multi-Arch: same
Architecture: amd64
Version: 1
"""


@pytest.fixture
def admindir(tmp_path):
    (tmp_path / "info").mkdir()
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "info/bash.list").write_text("/.\n/bin\n/bin/bash\n/usr/share/doc\n")
    (tmp_path / "info/bash.md5sums").write_text("d41d8cd98f00b204e9800998ecf8427e  bin/bash\n")
    (tmp_path / "info/bash.triggers").write_text("# x\ninterest-noawait /usr/x\nactivate y\n")
    (tmp_path / "info/bash.conffiles").write_text("/etc/a\nremove-on-upgrade /etc/b\n")
    (tmp_path / "info/libz:i386.list").write_text("/.\n/usr/lib/z\n/usr/share/doc\n")
    (tmp_path / "arch").write_text("amd64\ni386\n")
    (tmp_path / "diversions").write_text("/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n:\n")
    (tmp_path / "statoverride").write_text("root #44 4750 /usr/lib/x y\n")
    (tmp_path / "triggers").mkdir()
    (tmp_path / "triggers/File").write_text("/usr/share/man man-db/noawait\n/etc/x libc-bin\n")
    return tmp_path


def test_what_is_installed(admindir):
    db = dpkgdb.load(admindir)
    assert [p.key for p in db.packages] == ["bash:amd64", "libz:amd64", "libz:i386"]
    assert dpkgdb.packages(admindir) == db.packages
    assert [dpkgdb.package_of(s).key for s in db.find("libz")] == ["libz:i386", "libz:amd64"]
    assert [dpkgdb.package_of(s).key for s in db.find("libz:i386")] == ["libz:i386"]
    assert db.find("gone") == ()


def test_info_files(admindir):
    db = dpkgdb.load(admindir)
    bash, libz = db.installed["bash:amd64"], db.installed["libz:i386"]
    assert db.files(bash)[:2] == ("/.", "/bin")
    assert db.files(libz)[1] == "/usr/lib/z"
    assert db.md5sums(bash) == {"/bin/bash": "d41d8cd98f00b204e9800998ecf8427e"}
    assert db.triggers(bash) == (("interest-noawait", "/usr/x"), ("activate", "y"))
    assert db.shipped_conffiles(bash) == ("/etc/a", "/etc/b")
    assert dpkgdb.conffiles(bash) == (
        Conffile("/etc/skel/.bashrc", "1f98b8f3f3c8f8927eca945d59dcc1c6"),
        Conffile("/etc/old", "89269e1298235f1b12b4c16e4065ad0d", is_obsolete=True),
    )
    assert db.files(db.installed["libz:amd64"]) == ()
    assert ("/bin/bash", "bash:amd64") in list(db.path_owners())


def test_side_files(admindir):
    db = dpkgdb.load(admindir)
    assert db.diversions == (Diversion("/bin/sh", "/bin/sh.distrib", "dash"),
                             Diversion("/a", "/b", ":"))  # fmt: skip
    assert db.overrides == (Override("root", "#44", 0o4750, "/usr/lib/x y"),)
    assert db.file_triggers == (FileTrigger("/usr/share/man", "man-db", is_await=False),
                                FileTrigger("/etc/x", "libc-bin", is_await=True))  # fmt: skip
    assert db.arches == ("amd64", "i386")


@pytest.mark.parametrize(
    ("path", "owner"),
    [("/bin/bash", "bash"), ("/usr/bin/bash", "bash"), ("/lib/z", "libz"), ("/usr/lib/z", "libz"),
     ("bin/bash", "bash"), ("/bin//bash/", "bash"), ("/bin/bas", None), ("/", None)],
)  # fmt: skip
def test_owner_of(admindir, path, owner):
    found = dpkgdb.load(admindir).owner_of(path)
    assert (found.name if found else None) == owner


def test_shared_directories_have_several_owners(admindir):
    owners = dpkgdb.load(admindir).owners_of("/usr/share/doc")
    assert [p.key for p in owners] == ["bash:amd64", "libz:i386"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("Status: install ok installed\nArch", "Arch", ":1: stanza without field 'Status'"),
        ("Essential: yes", "Essential yes", ":2: expected 'Field: value'"),
        ("install ok installed\nArch", "install ok\nArch", ":3: status 'install ok' is not"),
        ("Version: 5.2-1\n", "", ":1: stanza without field 'Version'"),
        ("Essential", "Package", ":2: field 'Package' appears twice"),
    ],
)
def test_bad_status_names_the_line(admindir, old, new, error):
    path = admindir / "status"
    path.write_text(STATUS.replace(old, new, 1))
    with pytest.raises(AptOstreeError) as caught:
        _ = dpkgdb.load(admindir).packages
    assert f"{path}{error}" in caught.value.message


def test_missing_database_is_said(tmp_path):
    with pytest.raises(AptOstreeError, match="no such file") as caught:
        dpkgdb.packages(tmp_path)
    assert caught.value.hint == "this tree has no dpkg database"


@pytest.mark.parametrize(
    ("name", "text", "attribute", "error"),
    [
        ("diversions", "/a\n/b\n", "diversions", "diversions:2: diversion is not three lines"),
        ("statoverride", "root root 9 /x\n", "overrides", "statoverride:1: expected 'USER"),
        ("triggers/File", "a b c\n", "file_triggers", "File:1: expected 'PATH PACKAGE'"),
    ],
)
def test_bad_side_files(admindir, name, text, attribute, error):
    (admindir / name).write_text(text)
    with pytest.raises(AptOstreeError, match=error):
        getattr(dpkgdb.load(admindir), attribute)


def test_rendering_is_sorted_and_stable(admindir):
    stanzas = dpkgdb.load(admindir).stanzas
    text = dpkgdb.render_status(stanzas)
    assert text == dpkgdb.render_status(reversed(stanzas))
    keys = [dpkgdb.sort_key(s) for s in dpkgdb.parse_status(text, "x")]
    assert keys == sorted(keys)
    assert text.count("Conffiles:\n /etc/skel") == 1
    assert not text.endswith("\n\n")


def test_stanzas_are_replaced_by_package_and_architecture(admindir):
    old = dpkgdb.load(admindir).stanzas
    new = {"Package": "libz", "Status": "install ok installed", "Architecture": "i386",
           "Version": "2"}  # fmt: skip
    merged = dpkgdb.replace_stanzas(old, [new], drop=["gone:all"])
    assert [(s["Package"], s["Architecture"], s["Version"]) for s in merged] == [
        ("bash", "amd64", "5.2-1"), ("libz", "amd64", "1"), ("libz", "i386", "2")]  # fmt: skip


def test_dpkg_reads_what_was_written(tmp_path):
    deb = make_deb(tmp_path, "tool", arch="amd64", files={"usr/bin/tool": File("x", mode=0o755)},
                   description="one\n more\n .\n text")  # fmt: skip
    status = write_admindir(tmp_path / "db", [deb, make_deb(tmp_path, "aaa")])
    dpkgdb.write_status(status.parent, dpkgdb.load(status.parent).stanzas)
    done = subprocess.run(
        ["dpkg-query", f"--admindir={status.parent}", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["aaa 1.0 installed", "tool 1.0 installed"]
    assert done.stderr == ""


NAME = st.from_regex(r"[A-Z][A-Za-z-]{0,10}", fullmatch=True)
LINE = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), max_size=20)
VALUE = st.builds(
    lambda first, rest: first + "".join(f"\n {line or '.'}" for line in rest),
    LINE, st.lists(LINE, max_size=3),
)  # fmt: skip


@given(st.lists(st.dictionaries(NAME, VALUE, min_size=1, max_size=5), max_size=4))
def test_any_stanzas_survive_a_round_trip(stanzas):
    text = deb822.render(stanzas)
    assert deb822.parse(text, "x") == stanzas
    assert deb822.render(deb822.parse(text, "x")) == text


@given(st.text(max_size=300))
def test_any_text_is_a_status_file_or_an_error_with_a_line(text):
    try:
        dpkgdb.parse_status(text, "status")
    except AptOstreeError as err:
        assert err.message.startswith("status:")


def test_the_hosts_own_database(tmp_path):
    """Real data: what is read is what dpkg-query says, and it is written back byte for byte."""
    from pathlib import Path

    db = dpkgdb.load(Path("/var/lib/dpkg"))
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}:${Architecture}\n"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    expected = {k for line in done.stdout.splitlines() for s, k in [line.split()]
                if s in ("installed", "unpacked", "half-configured", "triggers-pending",
                         "triggers-awaited")}  # fmt: skip
    assert set(db.installed) == expected
    text = (db.admindir / "status").read_text(errors="surrogateescape")
    assert deb822.render(db.stanzas) == text.rstrip("\n") + "\n"

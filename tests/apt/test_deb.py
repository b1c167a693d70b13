"""Reading .debs: what is in them, and that no file whatever gets more than a PackageError."""

import contextlib
import io
import os
import random
import tarfile

import pytest
from fixtures.debrepo import File, make_deb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apt_ostree.apt import deb as debfile
from apt_ostree.apt.deb import Conffile, Deb, parse_fields, sha256_of
from apt_ostree.apt.debtar import Kind, clean_path, data_members
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package


def contents(path):
    with data_members(path) as members:
        return [(m, c.read() if c is not None else None) for m, c in members]


@pytest.mark.parametrize("compression", ["gz", "xz", "none"])
def test_control_area(tmp_path, compression):
    path = make_deb(
        tmp_path, "demo", "2:1.0-1", arch="amd64", compression=compression, multi_arch="same",
        depends="a (>= 1)", scripts={"postinst": "true"}, triggers="interest x",
        conffiles=["/etc/demo.conf", "remove-on-upgrade /etc/old.conf"],
        files={"etc/demo.conf": "x"}, members={"shlibs": "demo 1 demo\n"},
    )  # fmt: skip
    deb = Deb.open(path)
    assert deb.package == Package("demo", "amd64", "2:1.0-1")
    assert deb.get("depends") == deb.get("Depends") == "a (>= 1)"
    assert deb.get("Nothing") == ""
    assert deb.scripts == ("postinst",)
    assert deb.info_prefix == "demo:amd64"
    assert deb.conffiles == (Conffile("/etc/demo.conf"),
                             Conffile("/etc/old.conf", remove_on_upgrade=True))  # fmt: skip
    assert deb.info_text("triggers") == "interest x\n"
    assert {i.name: i.mode for i in deb.info} == {
        "md5sums": 0o644, "conffiles": 0o644, "triggers": 0o644, "shlibs": 0o644, "postinst": 0o755,
    }  # fmt: skip


def test_members_stream_in_order(tmp_path):
    long = "usr/share/" + "x" * 120 + "/" + "y" * 120
    path = make_deb(tmp_path, "demo", files={
        "usr/bin/a": File("a", mode=0o4755, owner=("man", 6), group=("adm", 4)),
        "usr/bin/b": File(hardlink="usr/bin/a"),
        "usr/bin/c": File(link="../lib/c"),
        long: "deep",
    })  # fmt: skip
    found = {m.path: (m, data) for m, data in contents(path)}
    assert list(found)[:4] == ["", "usr", "usr/bin", "usr/bin/a"]
    a, data = found["usr/bin/a"]
    assert (a.kind, a.mode, a.uid, a.uname, a.gid, a.gname, data) == (
        Kind.FILE, 0o4755, 6, "man", 4, "adm", b"a",
    )  # fmt: skip
    assert (found["usr/bin/b"][0].kind, found["usr/bin/b"][0].target) == (
        Kind.HARDLINK,
        "usr/bin/a",
    )
    assert (found["usr/bin/c"][0].kind, found["usr/bin/c"][0].target) == (Kind.LINK, "../lib/c")
    assert found[long][1] == b"deep"
    assert found[""][0].listed == "/."
    assert found["usr"][0].listed == "/usr"


def test_capabilities_in_pax_headers_are_read(tmp_path):
    value = b"\x01\x00\x00\x02\x00\x20\x00\x00" + b"\x00" * 12
    assert contents(with_data(tmp_path, lambda tar: add(
        tar, "./usr/bin/ping",
        pax={"SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape")},
    )))[-1][0].capability == value  # fmt: skip


# -- hostile packages


def add(tar, name, *, kind=tarfile.REGTYPE, link="", pax=None, data=b"x"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, link, pax or {}
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(data) if info.size else None)


def with_data(directory, fill, *, member="data.tar", name="bad"):
    """A .deb with a data archive (or another member) of the test's own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        fill(tar)
    return replace_member(make_deb(directory, name, compression="none"), member, out.getvalue())


def replace_member(path, member, data):
    raw, out, at = path.read_bytes(), io.BytesIO(b"!<arch>\n"), 8
    out.seek(8)
    while at < len(raw):
        head, size = raw[at : at + 60], int(raw[at + 48 : at + 58])
        body = raw[at + 60 : at + 60 + size]
        if head[:16].decode().strip() == member:
            body = data
        out.write(head[:48] + f"{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2))
        at += 60 + size + size % 2
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "./../etc/passwd"}, "leaves the tree"),
        ({"name": "./usr/../../x"}, "leaves the tree"),
        ({"name": "/etc/passwd"}, "absolute path: /etc/passwd"),
        ({"name": "./a\nb"}, "newline"),
        ({"name": "./a\udcffb"}, "not UTF-8"),
        ({"name": "./" + "n" * 300}, "longer than 255"),
        ({"name": "./x", "kind": tarfile.LNKTYPE, "link": "../../etc/shadow"}, "leaves the tree"),
        ({"name": "./x", "kind": tarfile.LNKTYPE, "link": "/etc/shadow"}, "absolute path"),
        ({"name": "./dev/sda", "kind": tarfile.BLKTYPE}, "device node: /dev/sda"),
        ({"name": "./usr/n", "kind": tarfile.CHRTYPE}, "device node: /usr/n"),
        ({"name": "./usr/p", "kind": tarfile.FIFOTYPE}, "named pipe: /usr/p"),
        ({"name": "./usr/s", "kind": tarfile.CONTTYPE}, "unknown type"),
        ({"name": "./", "kind": tarfile.SYMTYPE, "link": "x"}, "replaces the top directory"),
        ({"name": "./x", "kind": tarfile.SYMTYPE, "link": ""}, "link to nowhere"),
    ],
)
def test_forbidden_members_are_refused_by_package_and_path(tmp_path, kwargs, message):
    kwargs = {**kwargs}
    path = with_data(tmp_path, lambda tar: add(tar, kwargs.pop("name"), **kwargs))
    with pytest.raises(PackageError, match=message) as caught:
        contents(path)
    assert "'bad_1.0_all.deb'" in caught.value.message


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("Package: x\nVersion: 1\n", "no field 'Architecture'"),
        ("Package: ../x\nVersion: 1\nArchitecture: all\n", "no valid field 'Package'"),
        ("Package: x\nVersion: 1 2\nArchitecture: all\n", "no valid field 'Version'"),
        ("Package: x\nVersion: 1\nArchitecture: a/b\n", "no valid field 'Architecture'"),
        ("Package: x\nPackage: y\n", "'Package' twice"),
        ("nonsense\n", "line 1"),
        (" x\n", "malformed control file, line 1"),
        ("", "malformed control file"),
    ],
)
def test_bad_control_files(tmp_path, control, message):
    path = with_data(tmp_path, lambda tar: add(tar, "./control", data=control.encode()),
                     member="control.tar")  # fmt: skip
    with pytest.raises(PackageError, match=message):
        Deb.open(path)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda tar: add(tar, "./postinst"), "no usable control file"),
        (lambda tar: add(tar, "./sub/control"), "more than files: /sub/control"),
        (lambda tar: add(tar, "./control", kind=tarfile.SYMTYPE, link="/etc/shadow"), "more than files"),
        (lambda tar: add(tar, "./control", data=b"X" * (debfile.MAX_CONTROL_BYTES + 1)), "no usable control"),
        (lambda tar: add(tar, "./" + "x" * 101), "oversized"),
    ],
)  # fmt: skip
def test_bad_control_areas(tmp_path, fill, message):
    with pytest.raises(PackageError, match=message):
        Deb.open(with_data(tmp_path, fill, member="control.tar"))


@pytest.mark.parametrize(
    ("pax", "message"),
    [
        ({"mtime": "inf"}, "malformed archive member"),
        ({"mtime": "nan"}, "malformed archive member"),
        ({"uid": "99999999999"}, "impossible number"),
        ({"gid": "-3"}, "impossible number"),
        ({"uname": "a\udcff"}, "not UTF-8"),
    ],
)
def test_forged_headers(tmp_path, pax, message):
    with pytest.raises(PackageError, match=message):
        contents(with_data(tmp_path, lambda tar: add(tar, "./usr/x", pax=pax)))


def test_conffiles_must_be_absolute(tmp_path):
    deb = Deb.open(make_deb(tmp_path, "demo", conffiles=["etc/x"]))
    with pytest.raises(PackageError, match="not absolute: etc/x"):
        _ = deb.conffiles


@pytest.mark.parametrize("size", [0, 7, 8, 68, 500])
def test_garbage_and_missing_files(tmp_path, size):
    path = tmp_path / "x.deb"
    path.write_bytes(random.Random(size).randbytes(size))
    with pytest.raises(PackageError, match=r"'x\.deb' is not a usable Debian package: \S"):
        Deb.open(path)
    with pytest.raises(PackageError, match="No such file"):
        Deb.open(tmp_path / "none.deb")
    with pytest.raises(PackageError, match="No such file"):
        sha256_of(tmp_path / "none.deb")
    os.mkfifo(tmp_path / "pipe.deb")
    for odd in (tmp_path, tmp_path / "pipe.deb"):
        with pytest.raises(PackageError, match="is not a regular file"):
            Deb.open(odd)


def test_every_truncation_is_noticed(tmp_path):
    rng = random.Random(1)
    files = {f"usr/share/d/{i}": rng.randbytes(9000) for i in range(8)}
    whole = make_deb(tmp_path, "demo", files=files, compression="xz").read_bytes()
    path = tmp_path / "cut.deb"
    assert len(whole) > 16 * 4096
    for size in range(0, len(whole), 4096):
        path.write_bytes(whole[:size])
        with pytest.raises(PackageError, match=r"'cut\.deb'"):
            Deb.open(path)
            contents(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_flipped_bytes_never_end_in_a_traceback(tmp_path, data):
    path = make_deb(
        tmp_path, "demo", files={"usr/a": "1", "usr/b": File(link="a")}, compression="none"
    )
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    with contextlib.suppress(PackageError):
        Deb.open(path)
        contents(path)


@pytest.mark.root
def test_decompression_runs_without_privileges(tmp_path, monkeypatch):
    log = tmp_path / "who"
    log.write_text("")
    log.chmod(0o666)
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "dpkg-deb").write_text(f'#!/bin/sh\nid -u >> {log}\nexec /usr/bin/dpkg-deb "$@"\n')
    (fake / "dpkg-deb").chmod(0o755)
    for directory in (fake, *fake.parents):
        if str(directory).startswith("/tmp/"):
            directory.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    path = make_deb(tmp_path, "demo")
    path.chmod(0o600)  # only root may read it; the descriptor is passed
    Deb.open(path)
    contents(path)
    assert log.read_text().split() == ["65534", "65534"]


# -- parsers


@given(st.text(max_size=60))
def test_clean_path_stays_in_the_tree(raw):
    try:
        path = clean_path(raw, "x.deb")
    except PackageError:
        return
    assert not path.startswith("/")
    assert all(part not in ("", ".", "..") for part in path.split("/") if path)


@given(st.dictionaries(
    st.from_regex(r"[A-Z][a-z]{1,8}(-[A-Z][a-z]{1,8})?", fullmatch=True),
    st.from_regex(r"[a-z][a-z ]{0,20}[a-z](\n [a-z .]{0,20}[a-z.])?", fullmatch=True), min_size=1,
))  # fmt: skip
def test_fields_round_trip(fields):
    text = "".join(f"{k}: {v}\n" for k, v in fields.items())
    assert parse_fields(text, name="x") == {k.lower(): v for k, v in fields.items()}


@given(st.text(max_size=200))
def test_any_text_is_fields_or_an_error(text):
    with contextlib.suppress(PackageError):
        assert all(isinstance(v, str) for v in parse_fields(text, name="x").values())


def test_is_deb(tmp_path):
    assert debfile.is_deb(make_deb(tmp_path, "demo"))
    (tmp_path / "other").write_text("!<arch>\nother")
    assert not debfile.is_deb(tmp_path / "other")
    assert not debfile.is_deb(tmp_path)
    assert not debfile.is_deb(tmp_path / "none")

"""Reading apt sources, in both formats, and choosing among them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.apt import sources
from apt_ostree.apt.sources import Source, choose, load, parse, set_enabled, substitute, switch
from apt_ostree.errors import AptOstreeError

DEBIAN = """\
# the main archive
Types: deb
# a comment within a stanza
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://a/security http://b/security
Suites: bookworm-security
Components: main
Enabled: no
"""

INLINE_KEY = """\
Types: deb
URIs: https://x.invalid/
Suites: ./
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKwYBBAHaRw8BAQdA
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_stanzas():
    found = parse(DEBIAN, "/etc/apt/sources.list.d/debian.sources")
    assert [(s.id, s.suite, s.enabled, s.types) for s in found] == [
        ("debian:bookworm", "bookworm", True, ("deb",)),
        ("debian:bookworm-updates", "bookworm-updates", True, ("deb",)),
        ("debian:bookworm-security", "bookworm-security", False, ("deb", "deb-src")),
    ]
    assert found[0].components == ("main", "contrib")
    assert found[0].option("signed-by") == "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert found[2].uris == ("http://a/security", "http://b/security")
    assert found[2].where == "/etc/apt/sources.list.d/debian.sources:9"


def test_single_suite_has_the_plain_stem_as_id():
    (flat,) = parse(INLINE_KEY, "vendor.sources")
    assert (flat.id, flat.suite, flat.components) == ("vendor", "./", ())
    assert flat.option("Signed-By").splitlines()[2] == " ."
    assert parse(flat.stanza(), "vendor.sources") == (
        Source(**{**{f: getattr(flat, f) for f in Source.__slots__}}),
    )


LINES = """\
deb http://mirror.invalid/debian bookworm main # trailing comment
deb-src http://mirror.invalid/debian bookworm main

deb [arch=amd64,i386 signed-by=/k.gpg trusted=yes] https://x.invalid/deb nodistro main
#deb http://off.invalid/ x main
deb file:/srv/flat ./
"""


def test_lines():
    found = parse(LINES, "my.list")
    assert [(s.id, s.types) for s in found] == [
        ("my:bookworm", ("deb", "deb-src")), ("my:nodistro", ("deb",)), ("my:./", ("deb",))]  # fmt: skip
    assert dict(found[1].options) == {
        "Architectures": "amd64 i386", "Signed-By": "/k.gpg", "Trusted": "yes"}  # fmt: skip
    assert found[2].where == "my.list:6"


def test_ids_are_unique():
    text = "deb http://a/ x main\ndeb http://b/ x main\n"
    assert [s.id for s in parse(text, "m.list")] == ["m:x", "m:x#2"]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.sources", "Types: deb\nURIs: http://x/\n", "a.sources:1: field 'Suites' is missing"),
        ("a.sources", "\n\nTypes: rpm\nURIs: x:/\nSuites: s\n", "a.sources:3: unknown type 'rpm'"),
        ("a.sources", "Types: deb\nrubbish\n", "a.sources:2: expected 'Field: value'"),
        ("a.sources", "Types: deb\nTypes: deb\n", "a.sources:2: field 'Types' appears twice"),
        ("a.sources", " lost\n", "a.sources:1: continuation of no field"),
        ("a.sources", "Types: deb\nURIs: x:/\nSuites: s\n", "suite 's' needs components"),
        ("a.sources", "Types: deb\nURIs: x:/\nSuites: ./\nComponents: main\n", "allows no comp"),
        ("a.list", "deb http://x/\n", "a.list:1: expected 'deb "),
        ("a.list", "\ndebb http://x/ s main\n", "a.list:2: unknown type 'debb'"),
        ("a.list", "deb [arch] http://x/ s main\n", "option 'arch' is not NAME=VALUE"),
    ],
)
def test_errors_name_the_line(name, text, error):
    with pytest.raises(AptOstreeError) as caught:
        parse(text, name)
    assert error in caught.value.message


@given(st.text(max_size=200), st.sampled_from(["x.list", "x.sources"]))
def test_any_text_is_parsed_or_refused(text, name):
    try:
        found = parse(text, name)
    except AptOstreeError as err:
        assert err.message.startswith(f"{name}:")
    else:
        assert all(s.uris and s.suite and s.types for s in found)


WORD = st.text("abcxyz0-", min_size=1, max_size=6).filter(lambda s: not s.startswith("-"))


@given(st.lists(WORD, min_size=1, max_size=3, unique=True), st.lists(WORD, min_size=1, max_size=3))
def test_a_source_survives_its_own_text(suites, components):
    text = f"Types: deb\nURIs: http://x/\nSuites: {' '.join(suites)}\nComponents: {' '.join(components)}\n"
    for source in parse(text, "x.sources"):
        (again,) = parse(source.stanza(), "x.sources")
        assert (again.uris, again.suite, again.components) == (
            source.uris, source.suite, source.components)  # fmt: skip
        assert Source.from_dict(source.as_dict()) == source


def test_load_takes_what_apt_takes(tmp_path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a/ one main\n")
    (parts / "b.list").write_text("deb http://b/ two main\n")
    (parts / "a.sources").write_text("Types: deb\nURIs: http://c/\nSuites: three\nComponents: m\n")
    (parts / "x.list.disabled").write_text("deb http://d/ four main\n")
    (parts / "with space.list").write_text("deb http://d/ five main\n")
    assert [s.id for s in load(tmp_path)] == ["sources", "a", "b"]
    assert load(tmp_path / "none") == ()


def test_apt_reads_the_written_stanza(tmp_path):
    """The oracle: apt itself lists the same targets for our text as for the original."""

    def targets(directory):
        return subprocess.run(
            ["apt-get", "indextargets", "--no-release-info", "-o", "Dir::Etc::sourcelist=/dev/null",
             "-o", f"Dir::Etc::sourceparts={directory}", "--format",
             "$(URI) $(SIGNED_BY)", "Created-By: Packages"],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    text = DEBIAN + "\n" + INLINE_KEY
    (one / "x.sources").write_text(text)
    for number, source in enumerate(s for s in parse(text, "x.sources") if s.enabled):
        (two / f"{number}.sources").write_text(source.stanza())
    assert targets(one) and targets(one) == targets(two)


def test_variables():
    text = (
        "Types: deb\nURIs: http://${host}/$releasever\nSuites: $suite $suite-updates\n"
        "Components: ${parts}\nArchitectures: $arch\nSigned-By: /k/$(ARCH)\n"
    )
    found = substitute(
        parse(text, "v.sources"),
        {"host": "m", "suite": "trixie", "releasever": "13", "arch": "amd64", "parts": "main x"},
    )
    assert [(s.id, s.suite, s.uris) for s in found] == [
        ("v:trixie", "trixie", ("http://m/13",)),
        ("v:trixie-updates", "trixie-updates", ("http://m/13",)),
    ]
    assert found[0].components == ("main", "x")
    assert found[0].option("Architectures") == "amd64"
    assert found[0].option("Signed-By") == "/k/$(ARCH)"


def test_undefined_variable_is_named_with_its_place():
    with pytest.raises(AptOstreeError, match=r"v\.list:1: undefined variable 'host'"):
        substitute(parse("deb http://${host}/ s main\n", "v.list"), {})


def test_choose_by_id_or_file():
    found = parse(DEBIAN, "debian.sources") + parse(LINES, "my.list")
    on = [s.id for s in choose(found, ["debian", "my:nodistro"]) if s.enabled]
    assert on == ["debian:bookworm", "debian:bookworm-updates", "debian:bookworm-security",
                  "my:nodistro"]  # fmt: skip
    with pytest.raises(AptOstreeError, match="Unknown apt source: nope, no") as caught:
        choose(found, ["nope", "debian", "no"])
    assert "- my:nodistro" in caught.value.details


def test_switch_on_and_off():
    found = parse(DEBIAN, "debian.sources")
    assert [s.enabled for s in switch(found, disable=["*"])] == [False] * 3
    only = switch(found, disable=["*"], enable=["debian:bookworm-security"])
    assert [s.enabled for s in only] == [False, False, True]
    with pytest.raises(AptOstreeError, match="Unknown apt source: zz"):
        switch(found, enable=["zz"])


def test_description_for_the_bus():
    found = parse(DEBIAN, "debian.sources")
    assert found[0].describe() == {
        "id": "debian:bookworm",
        "description": "http://mirror.invalid/debian bookworm main contrib",
        "is-devel": False, "is-source": False, "is-enabled": True,
    }  # fmt: skip
    (src,) = parse("deb-src http://x/ sid-proposed main\n", "s.list")
    assert (src.describe()["is-source"], src.describe()["is-devel"]) == (True, True)


def test_a_file_is_switched_in_place(tmp_path):
    path = tmp_path / "debian.sources"
    path.write_text(DEBIAN)
    set_enabled(path, enabled=False)
    assert [s.enabled for s in sources.load_file(path)] == [False, False, False]
    set_enabled(path, enabled=True)
    assert [s.enabled for s in sources.load_file(path)] == [True, True, True]
    assert "# a comment within a stanza" in path.read_text()
    path = tmp_path / "my.list"
    path.write_text(LINES)
    set_enabled(path, enabled=False)
    assert sources.load_file(path) == ()
    set_enabled(path, enabled=True)
    assert len(sources.load_file(path)) == 4  # also the line that was off before


def test_unreadable_file_is_an_error(tmp_path):
    (tmp_path / "x.list").write_bytes(b"deb \xff\n")
    with pytest.raises(AptOstreeError, match="cannot read apt source"):
        sources.load_file(tmp_path / "x.list")

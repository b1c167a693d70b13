import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import OriginError
from apt_ostree.model.origin import LocalPackage, Origin, RemoteReplacement, parse

SHA = "a" * 64


def test_a_plain_base_is_written_as_refspec():
    assert str(Origin(refspec="origin:debian/13")) == "[origin]\nrefspec=origin:debian/13\n"


def test_layering_turns_it_into_baserefspec():
    text = str(Origin(refspec="debian/13", requested=("zsh", "htop")))
    assert "baserefspec=debian/13" in text
    assert "requested=htop;zsh;" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Failed to find refspec"),
        ("[origin]\nrefspec=a\ncontainer-image-reference=b\n", "Found both"),
        ("refspec=a\n", ":1: expected KEY=VALUE in a group"),
        ("[origin\nrefspec=a\n", ":1: malformed group"),
        ("[origin]\nrefspec=a\n[packages]\nrequested-local=zz:y;\n", "Invalid sha256-nevra: zz:y"),
        ("[origin]\nrefspec=a\n[overrides]\nreplace=repo=X;\n", "Invalid repo replacement"),
        ("[origin]\nrefspec=a\n[overrides]\nreplace=koji=X,y;\n", "Unknown repo replacement"),
        ("[origin]\nrefspec=a\n[aptostree]\nex-cliwrap=maybe\n", "expected true or false"),
    ],
)
def test_bad_origins_are_named(text, message):
    with pytest.raises(OriginError, match=message):
        parse(text)


def test_unknown_keys_and_groups_survive_but_transient_state_does_not():
    text = (
        "[origin]\nrefspec=a\nfuture=1\n[other]\nkey=v;w\n"
        "[libostree-transient]\npinned=true\n[aptostree]\nlater=x\n"
    )
    again = str(parse(text))
    assert "future=1" in again
    assert "[other]\nkey=v;w" in again
    assert "later=x" in again
    assert "pinned" not in again


def test_parts_of_a_refspec():
    assert (parse("[origin]\nrefspec=r:b/c").remote, parse("[origin]\nrefspec=r:b/c").branch) == (
        "r",
        "b/c",
    )
    assert Origin(refspec="b/c").remote is None
    assert Origin(refspec="b/c").branch == "b/c"
    assert Origin(refspec=SHA).is_checksum
    assert Origin(refspec=SHA).branch is None


words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1).filter(
    lambda s: s.strip() == s
)


@given(
    requested=st.lists(words, unique=True),
    args=st.lists(words, unique=True),
    url=words,
    remove=st.lists(words, unique=True),
)
def test_round_trip(requested, args, url, remove):
    origin = Origin(
        refspec="origin:debian/13",
        custom_url=url,
        requested=tuple(sorted(requested)),
        local=(LocalPackage(SHA, "foo-1.0-1.amd64"),),
        override_remove=tuple(sorted(remove)),
        override_remote=(RemoteReplacement("repo=debian", ("a", "b")),),
        regenerate_initramfs=True,
        initramfs_args=tuple(args),
    )
    assert parse(str(origin)) == origin


@given(st.text())
def test_any_text_parses_or_is_refused(text):
    try:
        parse(text)
    except OriginError as err:
        assert err.message

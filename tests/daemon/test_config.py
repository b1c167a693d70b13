"""The settings of the daemon: what a file may say, and what is made of what makes no sense."""

import logging
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apt_ostree.daemon.config import BUILD_KEYS, KEYS, AutomaticUpdatePolicy, Config, load, parse
from apt_ostree.errors import AptOstreeError

SHIPPED = Path(__file__).parents[2] / "data/apt-ostreed.conf"
NONE, CHECK, STAGE, APPLY = AutomaticUpdatePolicy


def daemon(*lines):
    return "\n".join(["[Daemon]", *lines, ""])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Config()),
        ("# nothing\n\n[Other]\nRecommends=false\n", Config()),
        (daemon("AutomaticUpdatePolicy=check"), Config(automatic_update_policy=CHECK)),
        (daemon("AutomaticUpdatePolicy = Stage"), Config(automatic_update_policy=STAGE)),
        (daemon("AutomaticUpdatePolicy=ex-stage"), Config(automatic_update_policy=STAGE)),
        (daemon("AutomaticUpdatePolicy=OFF"), Config(automatic_update_policy=NONE)),
        (daemon("AutomaticUpdatePolicy=apply"), Config(automatic_update_policy=APPLY)),
        (daemon("IdleExitTimeout=0"), Config(idle_exit_timeout_s=0)),
        (daemon("IdleExitTimeout=2147483647"), Config(idle_exit_timeout_s=2**31 - 1)),
        (daemon("LockLayering=true"), Config(lock_layering=True)),
        (daemon("LockLayering=1"), Config(lock_layering=True)),
        (daemon("Recommends=false"), Config(recommends=False)),
        (daemon("Recommends=No"), Config(recommends=False)),
        # as in GLib's key files: indentation means nothing, the last value and all groups count
        (daemon("LockLayering=true", "  Recommends=false"),
         Config(lock_layering=True, recommends=False)),
        (daemon("Recommends=false", "Recommends=true"), Config()),
        (daemon("LockLayering=true") + daemon("Recommends=false"),
         Config(lock_layering=True, recommends=False)),
        (daemon("recommends=false"), Config()),
        (daemon("Recommends=false\r"), Config(recommends=False)),
        (daemon("ScriptTimeout=%(x)s"), Config()),
    ],
)  # fmt: skip
def test_values(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "IdleExitTimeout=soon", "IdleExitTimeout=-1", "IdleExitTimeout=1.5", "IdleExitTimeout=",
        "IdleExitTimeout=2147483648", "IdleExitTimeout=" + "9" * 6000, "IdleExitTimeout=²",
        "LockLayering=maybe", "Recommends=", "Recommendations=true", "recommends=true",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_warned_of_and_not_used(line, caplog):
    with caplog.at_level(logging.WARNING):
        assert parse(daemon(line), source="here.conf") == Config()
    (record,) = caplog.records
    assert record.getMessage().startswith("here.conf: ")
    assert line.partition("=")[0] in record.getMessage()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (daemon("AutomaticUpdatePolicy=daily"),
         "Invalid value for AutomaticUpdatePolicy: 'daily'"),
        (daemon("AutomaticUpdatePolicy="), "Invalid value for AutomaticUpdatePolicy: ''"),
        ("Recommends=true\n", "x.conf:1: expected '[Daemon]' before 'Recommends=true'"),
        (daemon("# one", "nonsense"), "x.conf:3: expected KEY=VALUE, found 'nonsense'"),
        (daemon("=true"), "x.conf:2: expected KEY=VALUE, found '=true'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(text, message):
    with pytest.raises(AptOstreeError) as caught:
        parse(text, source="x.conf")
    assert caught.value.message == message


def test_the_file_that_is_shipped_shows_the_defaults(caplog):
    with caplog.at_level(logging.WARNING):
        assert load(SHIPPED) == Config()
        shown = [line for line in SHIPPED.read_text().split("\n") if line.startswith("#") and
                 "=" in line]  # fmt: skip
        assert parse(daemon(*(line.removeprefix("#") for line in shown))) == Config()
    assert caplog.records == []
    assert {line.strip("#").partition("=")[0] for line in shown} == {*KEYS, *BUILD_KEYS}


def test_a_missing_file_says_nothing(tmp_path):
    assert load(tmp_path / "apt-ostreed.conf") == Config()


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "apt-ostreed.conf"
    path.mkdir()
    with pytest.raises(AptOstreeError, match=r"reading '.*apt-ostreed.conf': Is a directory"):
        load(path)
    path.rmdir()
    path.write_bytes(b"[Daemon]\n#\xff\n")
    with pytest.raises(AptOstreeError, match=r"apt-ostreed.conf:2: not UTF-8"):
        load(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(AptOstreeError, match="more than 1048576 bytes"):
        load(path)


NAMES = st.sampled_from([*KEYS, *BUILD_KEYS, "Other", "[Daemon]", "[]", "[DEFAULT]", " ", ""])
LINES = st.builds("".join, st.lists(st.one_of(NAMES, st.text(max_size=8), st.just("="))))


@given(st.one_of(st.binary(), st.lists(LINES).map("\n".join).map(str.encode)))
@example(b"[]\nRecommends=x\n")
@example(b"[Daemon]\n[Daemon\n")
def test_a_file_gives_settings_or_an_error_for_people(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes(raw)
    try:
        config = load(path)
    except AptOstreeError as err:
        assert err.message and "\n" not in err.message
    else:
        assert isinstance(config.automatic_update_policy, AutomaticUpdatePolicy)
        assert 0 <= config.idle_exit_timeout_s < 2**31

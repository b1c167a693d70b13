"""A host's distribution for another release, and nothing of third parties."""

from __future__ import annotations

import pytest

from apt_ostree.apt.sources import parse
from apt_ostree.apt.suites import base_of, distribution, for_release
from apt_ostree.errors import AptOstreeError

KEY = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
HOST = (
    parse(
        "Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates bookworm-backports\n"
        f"Components: main contrib\n{KEY}\n"
        f"Types: deb\nURIs: http://m/debian-security\nSuites: bookworm-security\nComponents: main\n{KEY}",
        "debian.sources",
    )
    + parse("deb https://n/node nodistro main\n", "nodesource.list")
    + parse("deb https://g/apt cloud-sdk-bookworm main\n", "google.list")
    + parse("deb https://d/linux/debian bookworm stable\n", "docker.list")
    + parse("deb [signed-by=/k/ms.gpg] https://ms/debian/12/prod bookworm main\n", "ms.list")
)


def test_only_the_distribution_takes_part():
    ids = [s.id for s in distribution(HOST, "bookworm")]
    assert ids == ["debian:bookworm", "debian:bookworm-updates", "debian:bookworm-backports",
                   "debian:bookworm-security"]  # fmt: skip
    assert [s.id for s in distribution(HOST)] == ids


def test_pockets_follow_the_release():
    found = for_release(HOST, "trixie", codename="bookworm")
    assert [(s.id, s.suite) for s in found] == [
        ("debian:trixie", "trixie"),
        ("debian:trixie-updates", "trixie-updates"),
        ("debian:trixie-backports", "trixie-backports"),
        ("debian:trixie-security", "trixie-security"),
    ]
    assert found[3].uris == ("http://m/debian-security",)
    assert found[0].option("Signed-By").endswith("debian-archive-keyring.gpg")


def test_sid_has_no_pockets():
    assert [s.suite for s in for_release(HOST, "sid")] == ["sid"]


def test_old_security_suite_and_alias():
    host = parse(
        "deb http://m/debian buster main\ndeb http://m/sec buster/updates main\n", "h.list"
    )
    assert [s.suite for s in for_release(host, "bookworm")] == ["bookworm", "bookworm-security"]
    host = parse("deb http://m/debian stable main\n", "h.list")
    assert [(s.id, s.suite) for s in for_release(host, "trixie")] == [("h", "trixie")]


def test_ubuntu():
    host = parse("deb http://u/ubuntu jammy main universe\n"
                 "deb http://u/ubuntu jammy-security main\ndeb http://p/ppa jammy main/debug\n",
                 "u.list")  # fmt: skip
    assert [s.suite for s in for_release(host, "noble")] == ["noble", "noble-security"]


def test_disabled_sources_stay_out():
    host = parse("Types: deb\nURIs: http://m/\nSuites: bookworm\nComponents: main\nEnabled: no\n",
                 "a.sources")  # fmt: skip
    with pytest.raises(AptOstreeError, match="no apt source of this host can serve release 'x'"):
        for_release(host, "x")


@pytest.mark.parametrize(
    ("suite", "base"),
    [("trixie", "trixie"), ("trixie-proposed-updates", "trixie"), ("a/updates", "a"),
     ("bookworm-backports-sloppy", "bookworm"), ("bookworm-pgdg", "bookworm-pgdg")],
)  # fmt: skip
def test_base_of(suite, base):
    assert base_of(suite) == base

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.sandbox.dpkgtalk import Failure, Said, StatusError, Talk, parse_failure

FAILURES = [
    # dpkg 1.20 to 1.22
    ("installed foo package post-installation script subprocess returned error exit status 1",
     Failure("foo", "postinst", 1, "failed with exit status 1")),
    ("new libc6:amd64 package pre-installation script subprocess returned error exit status 127",
     Failure("libc6", "preinst", 127, "failed with exit status 127")),
    ("old foo package pre-removal script subprocess returned error exit status 2",
     Failure("foo", "prerm", 2, "failed with exit status 2")),
    ("installed foo package post-removal script subprocess was killed by signal (Killed)",
     Failure("foo", "postrm", None, "was killed by signal (Killed)")),
    ("installed foo package post-installation script subprocess was interrupted",
     Failure("foo", "postinst", None, "was interrupted")),
    # dpkg 1.23
    ("old foo package postinst maintainer script subprocess failed with exit status 1",
     Failure("foo", "postinst", 1, "failed with exit status 1")),
    ("new g++-12:arm64 package preinst maintainer script subprocess was killed by signal "
     "(Segmentation fault), core dumped",
     Failure("g++-12", "preinst", None, "was killed by signal (Segmentation fault)")),
    # something else
    ("trying to overwrite '/usr/bin/x', which is also in package y 1.0", None),
    ("dpkg-deb --control subprocess returned error exit status 2", None),
    ("dependency problems - leaving unconfigured", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FAILURES, ids=[f[0][:50] for f in FAILURES])
def test_failure(text, expected):
    assert parse_failure(text) == expected
    assert parse_failure(f" {text}\n") == expected


def labels(talk, *lines):
    return [said for line in lines for said in talk.line(line)]


def test_lines_belong_to_the_script_that_printed_them():
    talk = Talk({"/run/debs/0.deb": "foo"})
    said = labels(
        talk,
        "Selecting previously unselected package foo.",
        "Preparing to unpack /run/debs/0.deb ...",
        "D000002: fork/exec /var/lib/dpkg/tmp.ci/preinst ( install )",
        "from preinst",
        "Unpacking foo (1.0) ...",
        "D000002: process_archive tmp.ci script/file '.' contains dot",
        "Setting up bar:amd64 (1:2.0-1) ...",
        "D000002: fork/exec /var/lib/dpkg/info/bar:amd64.postinst ( configure  )",
        "dpkg-maintscript-helper: debug: noise",
        "Configuration file '/etc/x', does not exist on system.",
        "Installing new config file as you requested.",
        "no newline at the endD000002: fork/exec /var/lib/dpkg/info/baz.postinst ( triggered a b )",
        "from baz",
    )
    assert said == [
        Said("dpkg", "Selecting previously unselected package foo."),
        Said("dpkg", "Preparing to unpack /run/debs/0.deb ..."),
        Said("foo.preinst", "from preinst"),
        Said("dpkg", "Unpacking foo (1.0) ..."),
        Said("dpkg", "Setting up bar:amd64 (1:2.0-1) ..."),
        Said("bar.postinst", "no newline at the end"),
        Said("baz.postinst", "from baz"),
    ]
    run = talk.run_of(Failure("bar", "postinst", 1, ""))
    assert run is not None
    assert run.arguments == ("configure", "")
    assert list(run.tail) == ["no newline at the end"]
    assert talk.current is not None
    assert talk.current.arguments == ("triggered", "a", "b")


def test_only_the_last_lines_are_kept():
    talk = Talk()
    labels(talk, "D000002: fork/exec /i/x.prerm ( remove )", *(str(n) for n in range(100)))
    assert talk.current is not None
    assert list(talk.current.tail) == [str(n) for n in range(80, 100)]


def test_status_lines():
    talk = Talk()
    assert talk.status_line("processing: configure: foo") == ("configure", "foo")
    assert talk.status_line("status: foo: unpacked") is None
    talk.status_line("status: foo : error : installed foo package something : else")
    assert talk.processed == [("configure", "foo")]
    assert talk.errors == [StatusError("foo", "installed foo package something : else")]


@given(st.lists(st.text(max_size=80)))
def test_any_output_can_be_followed(lines):
    talk = Talk()
    for line in lines:
        for said in talk.line(line):
            assert said.label
        talk.status_line(line)


@given(st.text())
def test_any_text_can_be_looked_at_for_a_failure(text):
    parse_failure(text)

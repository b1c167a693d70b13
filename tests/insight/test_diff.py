import gzip

import pytest
from fixtures.sysroots import pkg
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.insight import changelog, diff

NEW = """\
hello (2:1.2-1~bpo1) unstable; urgency=medium

  * Second line of
    changes.
  [ Ana ]
  * More

 -- Ana Ñ <ana@example.org>  Thu, 02 Jan 2025 10:00:00 +0000

hello (2:1.1-2) unstable; urgency=low

  * Fix it.

 -- Bo <bo@example.org>  someday

hello (2:1.1-1) unstable; urgency=low

  * Old.

 -- Bo <bo@example.org>  Mon, 01 Jan 2024 10:00:00 +0000
"""


def texts(found):
    return [(c.kind.name, c.old and c.old.nevra, c.new and c.new.nevra) for c in found.changes]


@pytest.mark.root
def test_two_commits_by_debian_s_order(site):
    before = site.base(["up=1.9", "down=2.0", "gone=1", "same=1", "tilde=1.0~rc1"])
    after = site.base(["up=1.10", "down=2.0~1", "same=1", "tilde=1.0", "came=1/all"], ref=None)
    repo = site.path / "ostree/repo"
    assert texts(diff.packages(repo, before, after)) == [
        ("ADDED", None, "came-1.all"),
        ("REMOVED", "gone-1.amd64", None),
        ("UPGRADED", "tilde-1.0~rc1.amd64", "tilde-1.0.amd64"),
        ("UPGRADED", "up-1.9.amd64", "up-1.10.amd64"),
        ("DOWNGRADED", "down-2.0.amd64", "down-2.0~1.amd64"),
    ]
    assert [p.name for p in diff.listing(repo, after)] == ["came", "down", "same", "tilde", "up"]
    assert diff.resolve(repo, "debian/13") == before
    assert diff.resolve(repo, before[:8]) == before
    assert diff.resolve(repo, "none") is None
    assert diff.resolve(repo, "no such name") is None


def between(before, after):
    return diff.between(map(pkg, before), map(pkg, after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            ["linux-image-6.1.0-21-amd64=6.1.90-1", "a=1"],
            ["linux-image-6.1.0-22-amd64=6.1.94-1", "a=2"],
            [
                ("UPGRADED", "a-1.amd64", "a-2.amd64"),
                (
                    "UPGRADED",
                    "linux-image-6.1.0-21-amd64-6.1.90-1.amd64",
                    "linux-image-6.1.0-22-amd64-6.1.94-1.amd64",
                ),
            ],
        ),
        (
            ["linux-image-6.12.9+deb13-cloud-amd64=6.12.9-1"],
            ["linux-image-6.12.8+deb13-cloud-amd64=6.12.8-1"],
            [
                (
                    "DOWNGRADED",
                    "linux-image-6.12.9+deb13-cloud-amd64-6.12.9-1.amd64",
                    "linux-image-6.12.8+deb13-cloud-amd64-6.12.8-1.amd64",
                ),
            ],
        ),
        (  # another flavour is another kernel
            ["linux-image-6.1.0-21-amd64=1"],
            ["linux-image-6.1.0-22-cloud-amd64=2"],
            [
                ("ADDED", None, "linux-image-6.1.0-22-cloud-amd64-2.amd64"),
                ("REMOVED", "linux-image-6.1.0-21-amd64-1.amd64", None),
            ],
        ),
        (  # and which of two took whose place cannot be told
            ["linux-image-6.1.0-20-amd64=1", "linux-image-6.1.0-21-amd64=1"],
            ["linux-image-6.1.0-22-amd64=2"],
            [
                ("ADDED", None, "linux-image-6.1.0-22-amd64-2.amd64"),
                ("REMOVED", "linux-image-6.1.0-20-amd64-1.amd64", None),
                ("REMOVED", "linux-image-6.1.0-21-amd64-1.amd64", None),
            ],
        ),
        (  # meta packages carry no ABI
            ["linux-image-amd64=6.1.90-1"],
            ["linux-headers-amd64=6.1.90-1"],
            [
                ("ADDED", None, "linux-headers-amd64-6.1.90-1.amd64"),
                ("REMOVED", "linux-image-amd64-6.1.90-1.amd64", None),
            ],
        ),
    ],
)
def test_kernels_are_paired_for_display(before, after, expected):
    assert texts(diff.paired(between(before, after))) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("linux-headers-6.1.0-21-common", ("linux-headers-", "-common")),
        ("linux-modules-extra-6.8.0-31-generic", ("linux-modules-extra-", "-generic")),
        ("linux-kbuild-6.1", ("linux-kbuild-", "")),
        ("linux-image-6.1.0-0.deb11.21-amd64", ("linux-image-", "-amd64")),
        ("linux-image-6.1.0-21-amd64-unsigned", ("linux-image-", "-amd64-unsigned")),
        ("linux-libc-dev", None),
        ("linux-image-amd64", None),
    ],
)
def test_kernel_classes(name, kind):
    match = diff._KERNEL.fullmatch(name)
    assert (match and (match["head"], match["tail"])) == kind


def test_since_a_version():
    assert changelog.since(NEW, "2:1.1-1") == [
        "Thu Jan 02 2025 Ana Ñ <ana@example.org> - 2:1.2-1~bpo1\n"
        "* Second line of\n  changes.\n[ Ana ]\n* More",
        "Bo <bo@example.org> - 2:1.1-2\n* Fix it.",
    ]
    assert changelog.since(NEW, "2:1.2-1") == []
    assert len(changelog.since(NEW, "0")) == 3


@given(st.text())
def test_lines_around_the_entries_do_not_matter(text):
    """Whatever stands before the first header or after the last trailer belongs to no entry."""
    noise = "\n".join(f"# {line}" for line in text.splitlines())
    assert changelog.since(f"{noise}\n{NEW}\n{noise}", "0") == changelog.since(NEW, "0")


@pytest.mark.root
def test_changelogs_come_from_the_new_tree(site, tmp_path):
    before = site.base(["hello=2:1.1-1", "linked=1", "bare=1"])
    doc = "usr/share/doc"
    after = site.base(
        ["hello=2:1.2-1~bpo1", "linked=2:1.2-1~bpo1", "bare=2"],
        ref=None,
        files={f"{doc}/hello/changelog.Debian.gz": gzip.compress(NEW.encode())},
        links={f"{doc}/linked": "hello"},
    )
    repo = site.path / "ostree/repo"
    found = diff.changelogs(repo, diff.packages(repo, before, after), after)
    assert sorted(found) == ["hello", "linked"]
    assert len(found["hello"]) == 2
    assert len(found["linked"]) == 3

"""tmpfiles.d lines, read and written, against the real systemd-tmpfiles."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.assemble import tmpfiles
from apt_ostree.assemble.dirtree import DirTree
from apt_ostree.assemble.tmpfiles import Line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d /var/lib/x 0750 a b -", [Line("/var/lib/x", "d", "0750", "a", "b")]),
        ("  d\t/var/lib/x\n", [Line("/var/lib/x", "d")]),
        ("# d /var/lib/x\n\n", []),
        ("d /var//lib/x/ - - -", [Line("/var/lib/x", "d")]),
        ('d "/var/lib/a b" 0755', [Line("/var/lib/a b", "d", "0755")]),
        ("d '/var/a b'", [Line("/var/a b", "d")]),
        (r"d /var/a\x20b\303\251", [Line("/var/a bé", "d")]),
        (r'd "/var/\"q\" \u00e9"', [Line('/var/"q" é', "d")]),
        ("L /var/a - - - - ../b c%%d", [Line("/var/a", "L", argument="../b c%d")]),
        ("L+! /var/a - - - - x", [Line("/var/a", "L+!", argument="x")]),
        ("d %S/x", [Line("/var/lib/x", "d")]),
        ("d %C/x%%", [Line("/var/cache/x%", "d")]),
        ("d /run/%m", []),  # depends on the machine
        ("d", []),
        ("d relative", []),
        ("d /var/../../etc", []),
        ("d /var/./x", [Line("/var/x", "d")]),
        ("C /var/a - - - - -", [Line("/var/a", "C")]),
        ("q /var 0755 - - -", [Line("/var", "q", "0755")]),
    ],
)
def test_parse(text, expected):
    assert list(tmpfiles.parse(text)) == expected


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (Line("/var/x", "d", "2775", "root", "staff"), "d /var/x 2775 root staff -"),
        (Line("/var/a b", "C"), 'C "/var/a b" - - - -'),
        (Line("/var/100%", "d"), "d /var/100%% - - - -"),
        (Line("/var/é", "d"), "d /var/é - - - -"),
        (Line('/var/q"\\', "d"), 'd "/var/q\\"\\\\" - - - -'),
        (Line("/var/\udcff", "d"), "d /var/\udcff - - - -"),
        (Line("/var/l", "L", argument=" %\\\n"), "L /var/l - - - - \\x20%%\\\\\\n"),
        (Line("/var/l", "L", argument="../a b"), "L /var/l - - - - ../a b"),
    ],
)
def test_lines_are_escaped(line, text):
    assert str(line) == text


@pytest.mark.parametrize(
    "line",
    [Line("/var/l", "L", argument="-"), Line("/var/a\nb", "d"), Line("/var/a\rb", "d")],
)
def test_what_a_line_cannot_hold_is_refused(line):
    with pytest.raises(ValueError, match=r"^(-|/var/a\sb)$"):
        str(line)


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
raw_names = st.binary(min_size=1).filter(lambda b: not {0, 47} & set(b)).map(os.fsdecode)


@given(names | raw_names)
def test_any_path_comes_back(name):
    if name in (".", "..") or {"\n", "\r"} & set(name):
        return
    line = Line(f"/var/{name}", "d", "0755", "root", "root")
    assert tmpfiles.parse(str(line)) == (line,)


@given(st.text())
def test_no_text_breaks_the_parser(text):
    tmpfiles.parse(text)


def test_in_tree_obeys_overriding(tmp_path):
    for place, name, text in (
        ("usr/lib", "a.conf", "d /var/vendor"),
        ("usr/lib", "b.conf", "d /var/b"),
        ("usr/lib", "b.txt", "d /var/no"),
        ("usr/etc", "a.conf", "d /var/admin"),
        ("usr/lib", "z-mine.conf", "d /var/mine"),
    ):
        folder = tmp_path / place / "tmpfiles.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with DirTree(tmp_path) as tree:
        found = tmpfiles.in_tree(tree, without=frozenset({"z-mine.conf"}))
    assert [line.path for line in found] == ["/var/admin", "/var/b"]


@pytest.mark.root
def test_systemd_tmpfiles_reads_what_is_written(tmp_path):
    """Spaces, quotes, percent, non-ASCII and broken UTF-8 in paths and link targets."""
    hard = [
        "a b",
        'q"uote',
        "p%cent",
        "é",
        "back\\slash",
        "t\tab",
        "#hash",
        "'single",
        "semi;",
        "\udcff",
    ]
    lines = [Line(f"/var/{name}", "d", "0751", "root", "root") for name in hard]
    lines += [Line(f"/var/link-{i}", "L", argument=f"../x {n}") for i, n in enumerate(hard)]
    lines += [Line("/var/link-x", "L", argument=" a\nb ")]
    (tmp_path / "usr/lib/tmpfiles.d").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).write_text(
            "root:x:0:0::/:/bin/sh\n" if name == "passwd" else "root:x:0:\n"
        )
    conf = tmp_path / "usr/lib/tmpfiles.d/x.conf"
    conf.write_bytes(tmpfiles.render(lines, header="two\nlines"))
    done = subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create"],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = set(os.listdir(tmp_path / "var"))
    assert {n for n in found if not n.startswith("link-")} == set(hard)
    for line in lines:
        if line.letter == "L":
            assert os.readlink(tmp_path / line.path.lstrip("/")) == line.argument

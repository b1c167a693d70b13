"""Files that include files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import include
from apt_ostree.treefile.include import Merged, merge
from apt_ostree.treefile.packages import last_group_wins
from apt_ostree.treefile.values import RepoPackages


def test_merge_rules(load, write):
    write("base.yaml", """
        ref: base
        recommends: true
        packages: [a, b]
        units: [base.service]
        metadata: {x: base, y: base}
        variables: {v: base, w: base}
        """)  # fmt: skip
    tree = load("""
        include: base.yaml
        ref: own
        packages: [b, c]
        units: [own.service]
        metadata: {x: own, z: own}
        variables: {v: own}
        """)
    assert tree.ref == "own"
    assert tree.recommends is True
    assert tree.packages == ("a", "b", "c")
    assert tree.units == ("base.service", "own.service")
    assert tree.metadata == {"x": "own", "y": "base", "z": "own"}
    assert tree.variables == {"v": "own", "w": "base"}


def test_of_two_includes_the_earlier_wins_and_its_items_come_later(load, write):
    write("one.yaml", "ref: one\nunits: [one.service]")
    write("two.yaml", "ref: two\nunits: [two.service]")
    tree = load("include: [one.yaml, two.yaml]\nunits: [own.service]")
    assert tree.ref == "one"
    assert tree.units == ("two.service", "one.service", "own.service")


def test_a_file_included_twice_counts_once(load, write):
    write("common.yaml", "postprocess: ['#!/bin/sh']")
    write("one.yaml", "include: common.yaml")
    write("two.yaml", "include: common.yaml")
    assert load("include: [one.yaml, two.yaml]").postprocess == ("#!/bin/sh",)


def test_paths_are_relative_to_the_file_that_has_them(load, write):
    write("sub/inner/x.yaml", "packages: [x]\nadd-files: [[conf, usr/lib/conf]]")
    write("sub/inner/conf", "inner")
    write("sub/mid.yaml", "include: inner/x.yaml\nadd-files: [[conf, etc/conf]]")
    write("sub/conf", "mid")
    tree = load("include: sub/mid.yaml")
    assert tree.packages == ("x",)
    assert {a.dest: a.file.path.read_text() for a in tree.add_files} == {
        "usr/lib/conf": "inner",
        "etc/conf": "mid",
    }


@pytest.mark.parametrize(("basearch", "packages"), [
    ("amd64", ("common", "k-amd64", "x86")), ("arm64", ("arm", "common")), ("s390x", ("common",)),
])  # fmt: skip
def test_architecture(load, write, basearch, packages):
    write("x86.yaml", "packages: [x86]")
    write("arm.yaml", "packages: [arm]")
    tree = load("""
        packages: [common]
        packages-x86_64: [k-amd64]
        arch-include: {amd64: x86.yaml, aarch64: [arm.yaml]}
        """, basearch=basearch)  # fmt: skip
    assert tree.packages == packages
    assert tree.basearch == basearch


def test_the_main_file_chooses_the_architecture(load, write):
    write("other.yaml", "\nbasearch: arm64")
    assert load("basearch: riscv64\npackages-riscv64: [a]").packages == ("a",)
    with pytest.raises(TreefileError, match=r"other.yaml:2: Invalid basearch arm64 on amd64"):
        load("include: other.yaml")


CONDITIONS = [
    ("dev", True), ("stream == 'next'", True), ('stream == "stable"', False),
    ("stream != stable", True), ("n >= 3", True), ("n > 3", False), ("n <= 2", False),
    ("n < 4", True), ("n == 3", True), ("dev == false", False), ("basearch == amd64", True),
    ("releasever == trixie", True), ('["dev", "n == 4"]', False), ('["dev", "n == 3"]', True),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_conditions(load, write, condition, holds):
    write("extra.yaml", "packages: [extra]")
    condition = condition if condition.startswith("[") else json.dumps(condition)
    tree = load(f"""
        releasever: trixie
        variables: {{dev: true, stream: next, n: 3}}
        conditional-include:
          - if: {condition}
            include: extra.yaml
        """)
    assert tree.packages == (("extra",) if holds else ())


@pytest.mark.parametrize(("condition", "message"), [
    ("nope", "undefined variable 'nope'"),
    ("n == true", "n is not same type as true"),
    ("n == three", "n is not same type as three"),
    ("n", "n is not same type as true"),
    ("dev > false", "invalid op for values 'true' and 'false'"),
    ("stream < 'x'", "invalid op for values 'next' and 'x'"),
])  # fmt: skip
def test_conditions_that_make_no_sense(load, condition, message):
    with pytest.raises(TreefileError) as caught:
        load(f"""\
            variables: {{dev: true, stream: next, n: 3}}
            conditional-include:
              - if: "{condition}"
                include: x.yaml
            """)
    assert caught.value.message.endswith(f"main.yaml:3: {message}")


def test_a_second_condition_is_looked_at_though_the_first_fails(load):
    with pytest.raises(TreefileError, match="undefined variable 'typo'"):
        load("variables: {a: false}\nconditional-include: [{if: [a, typo], include: {}}]")


def test_conditions_see_variables_of_the_includer_first_then_own_then_included(load, write):
    write("defaults.yaml", "variables: {x: 1, y: 1, z: 1}")
    write("mid.yaml", """
        include: defaults.yaml
        variables: {x: 2, y: 2}
        conditional-include:
          - {if: [x == 3, y == 2, z == 1], include: {packages: [seen]}}
        """)  # fmt: skip
    tree = load("include: mid.yaml\nvariables: {x: 3}")
    assert tree.packages == ("seen",)
    assert tree.variables == {"x": 3, "y": 2, "z": 1}


def test_variables_of_the_caller_win(load):
    text = "variables: {a: 1}\nref: r/${a}\nconditional-include: [{if: a == 2, include: {units: [u.service]}}]"
    tree = load(text, a=2)
    assert (tree.ref, tree.units, tree.variables) == ("r/2", ("u.service",), {"a": 2})
    with pytest.raises(TreefileError, match="cannot define reserved variable 'basearch'"):
        include.load_text("{}", basearch="amd64", variables={"basearch": "arm64"})


def test_inline_maps_can_include_too(load, write):
    write("x.yaml", "packages: [x]")
    tree = load("""
        variables: {a: true}
        ref: own
        conditional-include:
          - {if: a, include: {ref: inline, include: x.yaml, packages-amd64: [y]}}
        """)
    assert (tree.ref, tree.packages) == ("own", ("x", "y"))


# --- mistakes ---


def test_a_missing_include_names_its_line(load):
    with pytest.raises(TreefileError) as caught:
        load("packages: []\ninclude:\n  - nope.yaml")
    assert caught.value.message.endswith(
        "main.yaml:3: cannot open 'nope.yaml': No such file or directory"
    )


def test_a_mistake_in_an_included_file_names_that_file(load, write):
    write("sub/bad.yaml", "\nunits: [x]")
    with pytest.raises(TreefileError, match=r"sub/bad.yaml:2: 'x' is not a unit name"):
        load("include: sub/bad.yaml")


def test_loops(load, write):
    write("a.yaml", "include: b.yaml")
    write("b.yaml", "ref: x\ninclude: a.yaml")
    with pytest.raises(TreefileError, match=r"b.yaml:2: Include loop detected; .*a.yaml was alre"):
        load("include: a.yaml")
    with pytest.raises(TreefileError, match="Include loop detected"):
        load("include: main.yaml")
    write("k.ks", "%include k.ks")
    with pytest.raises(TreefileError, match=r"k.ks:1: Recursive include: k.ks"):
        load("include: k.ks")


def test_depth(write):
    for number in range(60):
        write(f"{number}.yaml", f"packages: [p{number}]\ninclude: {number + 1}.yaml")
    top = write("60.yaml", "packages: [last]")
    with pytest.raises(TreefileError, match=r"/50.yaml:2: Reached maximum include depth 50"):
        include.load(top.parent / "0.yaml", basearch="amd64")
    assert len(include.load(top.parent / "11.yaml", basearch="amd64").packages) == 50


def test_unreadable_things(tmp_path, write):
    with pytest.raises(TreefileError, match=r"no.yaml: cannot open"):
        include.load(tmp_path / "no.yaml", basearch="amd64")
    with pytest.raises(TreefileError, match="not a regular file"):
        include.load(tmp_path, basearch="amd64")
    os.mkfifo(tmp_path / "fifo.yaml")
    with pytest.raises(TreefileError, match="not a regular file"):
        include.load(tmp_path / "fifo.yaml", basearch="amd64")
    (tmp_path / "latin.yaml").write_bytes(b"ref: a\n# \xfc\n")
    with pytest.raises(TreefileError, match=r"latin.yaml:2: not UTF-8"):
        include.load(tmp_path / "latin.yaml", basearch="amd64")
    (tmp_path / "big.yaml").write_bytes(b"#" * (5 << 20))
    with pytest.raises(TreefileError, match="larger than 4 MiB"):
        include.load(tmp_path / "big.yaml", basearch="amd64")


def test_missing_files_are_all_reported_at_their_lines(load):
    with pytest.raises(TreefileError) as caught:
        load("""\
            postprocess-script: s.sh
            add-files:
              - [a, etc/a]
            check-passwd: {type: file, filename: passwd}
            """)
    said = [caught.value.message, *caught.value.details]
    assert sorted(line.split("main.yaml")[1][:3] for line in said) == [":1:", ":3:", ":4:"]


def test_script_must_be_executable(load, write):
    write("s.sh", "#!/bin/sh\n", mode=0o644)
    with pytest.raises(TreefileError, match=r"main.yaml:1: postprocess-script must be executable"):
        load("postprocess-script: s.sh")
    write("s.sh", "#!/bin/sh\n", mode=0o755)
    assert load("postprocess-script: s.sh").postprocess_script.path.name == "s.sh"


def test_kickstart_can_be_included(load, write):
    write("p.ks", "%packages\nfrom-ks\n%end\n%include q.ks\n")
    write("q.ks", "%packages\nfrom-q\n%end\n")
    assert load("include: p.ks\npackages: [own]").packages == ("from-ks", "from-q", "own")


def test_relative_path_of_the_main_file(write, monkeypatch):
    path = write("sub/x.yaml", "include: y.yaml")
    write("sub/y.yaml", "packages: [y]")
    monkeypatch.chdir(path.parent.parent)
    assert include.load(Path("sub/x.yaml"), basearch="amd64").packages == ("y",)
    monkeypatch.chdir(path.parent)
    assert include.load(Path("x.yaml"), basearch="amd64").packages == ("y",)


# --- merging is associative, so nesting of includes does not matter ---

WORDS = st.lists(st.sampled_from("abcd"), max_size=3).map(tuple)
MERGED = st.fixed_dictionaries({}, optional={
    "ref": st.sampled_from("abc"),
    "units": WORDS,
    "packages": WORDS.map(lambda names: tuple(sorted(set(names)))),
    "metadata": st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3),
    "repo-packages": st.lists(st.builds(RepoPackages, st.sampled_from("rs"), WORDS), max_size=3).map(
        last_group_wins
    ),
}).map(lambda values: Merged(values, {}, (Path("x"),)))  # fmt: skip


@given(MERGED, MERGED, MERGED)
def test_merging_is_associative(first, second, third):
    assert merge(merge(first, second), third) == merge(first, merge(second, third))

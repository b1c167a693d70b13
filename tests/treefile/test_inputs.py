"""The digest, the sources beside a treefile, finalize.d."""

from __future__ import annotations

import pytest

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import inputs, sources

TEXT = """\
edition: 2024
ref: a/b
repos: [main, extra:trixie]
releasever: trixie
repovars: {host: example.org}
packages: [a, b]
add-files: [[conf, etc/conf]]
postprocess-script: script
check-passwd: {type: file, filename: passwd}
check-groups: {type: file, filename: group}
metadata: {x: 1}
"""


@pytest.fixture
def tree(load, write):
    write("conf", "1")
    write("script", "#!/bin/sh\n", mode=0o755)
    write("passwd", "root:x:0:0::/:\n")
    write("group", "root:x:0:\n")
    write("finalize.d/10-x", "#!/bin/sh\n", mode=0o755)
    write("main.sources", "Types: deb\nURIs: http://$host/debian\nSuites: $suite\n")
    write("extra.list", "deb [arch=$arch] http://${host}/$other $releasever main # $(ARCH)\n")
    return lambda text=TEXT, **variables: load(text, **variables)


def test_the_digest_is_the_same_for_the_same_meaning(tree, write):
    write("inc.yaml", "packages: [b]")
    rewritten = "include: inc.yaml\n# comment\n" + TEXT.replace("[a, b]", "['a']").replace(
        "{x: 1}", "{x: 2}"
    )
    assert inputs.digest(tree()) == inputs.digest(tree(rewritten))
    assert inputs.digest(tree(TEXT + "recommends: true")) == inputs.digest(tree())


@pytest.mark.parametrize("name", ["conf", "script", "passwd", "group", "finalize.d/10-x",
                                  "main.sources", "extra.list"])  # fmt: skip
def test_the_digest_changes_with_every_file(tree, write, tmp_path, name):
    before = inputs.digest(tree())
    path = tmp_path / name
    path.write_text(path.read_text() + "#\n")
    assert inputs.digest(tree()) != before


def test_the_digest_changes_with_keys_modes_and_programs(tree, write, tmp_path):
    before = inputs.digest(tree())
    seen = {before, inputs.digest(tree(TEXT + "recommends: false"))}
    (tmp_path / "conf").chmod(0o600)
    seen.add(inputs.digest(tree()))
    write("finalize.d/20-y", "", mode=0o755)
    seen.add(inputs.digest(tree()))
    assert len(seen) == 4


def test_sources_are_found_and_rendered(tree):
    found = sources.find(tree())
    assert [(source.id, source.text) for source in found] == [
        ("main", "Types: deb\nURIs: http://example.org/debian\nSuites: trixie\n"),
        ("extra", "deb [arch=amd64] http://example.org/$other trixie main # $(ARCH)\n"),
    ]


def test_without_repos_the_treefile_brings_no_sources(load, write):
    write("main.sources", "")
    assert sources.find(load("packages: [a]")) == ()


def test_a_missing_source_names_those_that_are_there(load, write):
    write("main.sources", "")
    with pytest.raises(TreefileError) as caught:
        sources.find(load("\nrepos: [man]"))
    assert "main.yaml:2: no apt source 'man' beside the treefile" in caught.value.message
    assert caught.value.hint == "there are: main"


def test_sources_of_an_included_directory(load, write):
    write("sub/s.sources", "sub")
    write("sub/t.sources", "sub")
    write("s.sources", "own")
    write("sub/x.yaml", "repos: [t]")
    found = sources.find(load("include: sub/x.yaml\nrepos: [s]"))
    assert [(source.id, source.text) for source in found] == [("t", "sub"), ("s", "own")]


def test_finalize_d(load, write):
    write("finalize.d/20-own", "", mode=0o755)
    write("finalize.d/10-both", "", mode=0o755)
    write("finalize.d/README", "", mode=0o644)
    write("finalize.d/dir/x", "", mode=0o755)
    write("sub/finalize.d/10-both", "", mode=0o755)
    write("sub/finalize.d/05-sub", "", mode=0o755)
    write("sub/x.yaml", "packages: []")
    tree = load("edition: 2024\ninclude: sub/x.yaml")
    assert [ref.name for ref in tree.finalize_d] == ["05-sub", "10-both", "20-own"]
    assert "sub" not in tree.finalize_d[1].path.parent.parent.name
    assert load("include: sub/x.yaml").finalize_d == ()


def test_a_file_that_goes_away_later_is_named(tree, tmp_path):
    loaded = tree()
    (tmp_path / "conf").unlink()
    with pytest.raises(TreefileError, match=r"main.yaml:7: cannot open 'conf'"):
        inputs.digest(loaded)

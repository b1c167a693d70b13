"""What the documents say is there: links, commands, options, make targets, modules."""

import re
from pathlib import Path

import pytest

from apt_ostree.cli import registry

TOP = Path(__file__).parents[2]
PAGES = [TOP / "README.md", TOP / "NEWS.md", *sorted((TOP / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page):
    return [to for to in LINK.findall(page.read_text()) if "://" not in to]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(TOP)))
def test_relative_links_lead_somewhere(page):
    broken = [to for to in links(page) if not (page.parent / to.partition("#")[0]).exists()]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    seen, todo = set(), [TOP / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page not in seen:
            seen.add(page)
            todo += [page.parent / to.partition("#")[0] for to in links(page) if ".md" in to]
    assert {p for p in PAGES if p.resolve() not in seen} == set()


def commands(text, line):
    """Command lines as lists of words, with continuation lines, without `$(…)`."""
    joined = re.sub(r'"?\$\([^)]*\)"?', "", text.replace("\\\n", " "))
    return [words.split("  #")[0].split() for words in re.findall(line, joined, re.MULTILINE)]


def known(words):
    """The entry that a command line names; None for one that does not exist."""
    return registry.ENTRIES.get(" ".join(words[:2])) or registry.ENTRIES.get(words[0])


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("README.md", r"^ {4}(?:[#$] )?(?:bin/)?apt-ostree ([a-z].*)$"),
        ("tools/demo", r"^(?:run apt-ostree|on|  bin/apt-ostree) ([a-z].*)$"),
    ],
)
def test_shown_commands_and_options_exist(name, line):
    shown = commands((TOP / name).read_text(), line)
    assert shown
    for words in shown:
        entry = known(words)
        assert entry is not None, words
        wanted = {w.partition("=")[0].removeprefix("--") for w in words if w.startswith("--")}
        assert wanted <= {o.long for o in entry.load().all_options}, words


def test_shown_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        shown = set(re.findall(r"(?:^\s+|`)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
        shown -= {"commits", "sure"}
        assert shown <= targets, page.name


@pytest.mark.parametrize("name", ["docs/HACKING.md", "docs/decisions.md"])
def test_named_files_exist(name):
    text = (TOP / name).read_text()
    places = (TOP, TOP / "src/apt_ostree", TOP / "tests", TOP / "tests/fixtures")
    for path in re.findall(r"`([\w./-]+\.(?:py|md|txt|toml|yaml))`", text):
        assert any((place / path).exists() for place in places), path

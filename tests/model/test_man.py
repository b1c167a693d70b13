"""The manual page of origin files names the keys that are read and written, and no others."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from apt_ostree.model import origin as module
from apt_ostree.model.origin import LocalPackage, Origin, RemoteReplacement, parse

PAGE = Path(__file__).parents[2] / "docs/man/apt-ostree-origin.5.md"
GROUP = re.compile(r"^# GROUP \[(.+)\]$", re.MULTILINE)
ENTRY = re.compile(r"^\*\*([\w-]+)\*\* = \*.+\*\n:   \S", re.MULTILINE)

FILE = LocalPackage("a" * 64, "htop-3.2.2-2.amd64")
FULL = Origin(
    refspec="debian:debian/13", override_commit="b" * 64, custom_url="url",
    custom_description="text", unconfigured_state="text", requested=("htop",), local=(FILE,),
    local_fileoverride=(FILE,), override_remove=("nano",), override_local=(FILE,),
    override_remote=(RemoteReplacement("repo=debian", ("dpkg",)),), regenerate_initramfs=True,
    initramfs_args=("--force",), initramfs_etc=("/etc/crypttab",), cliwrap=True,
    architectures=("i386",), debconf=("a a/b boolean true",),
)  # fmt: skip
ORIGINS = {
    "plain": Origin(refspec="debian:debian/13"),
    "full": FULL,
    "image": replace(FULL, refspec=None, container_image="ostree-unverified-registry:x/y"),
}


def keys_of(text):
    group, found = "", set()
    for line in text.split("\n"):
        if line.startswith("["):
            group = line[1:-1]
        elif "=" in line:
            found.add((group, line.partition("=")[0]))
    return found


def keys_of_the_page():
    _, *parts = GROUP.split(PAGE.read_text())
    return {(group, key) for group, text in zip(parts[::2], parts[1::2], strict=True)
            for key in ENTRY.findall(text)}  # fmt: skip


def test_every_field_is_set_in_the_full_origin():
    """Otherwise the next test would not see a key that was added."""
    unset = {name for name in Origin.__slots__ if getattr(FULL, name) == getattr(Origin(), name)}
    assert unset == {"container_image", "rest"}


def test_the_page_has_every_key_that_is_written_and_no_other():
    written = set().union(*(keys_of(str(origin)) for origin in ORIGINS.values()))
    assert keys_of_the_page() == written


@pytest.mark.parametrize("name", ORIGINS)
def test_every_key_that_is_written_is_read(name):
    text = str(ORIGINS[name])
    assert parse(text).rest == ()
    assert str(parse(text)) == text


def test_the_page_has_every_key_that_is_read():
    """By what the parser takes out of the groups: older spellings are read and never written."""
    read = set()
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(
                function, "id", "")  # fmt: skip
            if name in ("pop", "text_of", "locals_of"):
                read |= {a.value for a in node.args[: 2 if name == "locals_of" else 1]
                         if isinstance(a, ast.Constant)}  # fmt: skip
    groups = set(GROUP.findall(PAGE.read_text()))
    assert {"requested-local", "override-commit", "refspec", "debconf"} <= read
    assert read - groups == {key for _, key in keys_of_the_page()}

"""The file of `compose extensions`."""

from __future__ import annotations

import pytest

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import extensions

TEXT = """\
repos: [main]
extensions:
  wifi:
    packages: [wpasupplicant, iw]
    repos: [extra, main]
  headers:
    packages: ["linux-headers-amd64"]
    match-base-evr: linux-image-amd64
    kind: development
    architectures: [x86_64]
"""


def test_load(write):
    found = extensions.load(write("ext.yaml", TEXT))
    assert [entry.name for entry in found.extensions] == ["headers", "wifi"]
    assert found.repos == ("main", "extra")
    assert [entry.name for entry in found.for_arch("arm64")] == ["wifi"]
    assert [entry.name for entry in found.for_arch("amd64")] == ["headers", "wifi"]


def test_requests():
    headers, wifi = extensions.parse(TEXT, source="e.yaml").extensions
    assert headers.requests({"linux-image-amd64": "6.1-1"}) == ("linux-headers-amd64=6.1-1",)
    # what is for development may be in the base too
    assert headers.requests({"linux-image-amd64": "1", "linux-headers-amd64": "1"})
    assert wifi.requests({}) == ("iw", "wpasupplicant")
    with pytest.raises(TreefileError, match=r"e.yaml:6: couldn't find base package linux-image"):
        headers.requests({})
    with pytest.raises(TreefileError, match=r"e.yaml:3: package iw already present in base"):
        wifi.requests({"iw": "1"})


@pytest.mark.parametrize(("text", "message"), [
    ("extensions: []", "e.yaml:1: expected a map, not a list"),
    ("extension: {}", "e.yaml:1: unknown key 'extension'"),
    ("extensions:\n  a: {}", "e.yaml:2: missing key 'packages'"),
    ("extensions:\n  a: {packages: [b], kind: x}", "e.yaml:2: 'x' is not one of os-extension"),
    ("extensions: {a: {packages: [b], architectures: [vax]}}", "unknown architecture 'vax'"),
    ("x: [", "not valid YAML"),
])  # fmt: skip
def test_mistakes(text, message):
    with pytest.raises(TreefileError) as caught:
        extensions.parse(text, source="e.yaml")
    assert message in caught.value.message

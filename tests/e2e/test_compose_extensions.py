"""`compose extensions`: packages that fit a base, in a directory."""

from __future__ import annotations

import json
import subprocess

import pytest
from fixtures.composes import Composer
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]

TEXT = "packages: [app, linked]\ndocumentation: false\n"
WANTED = """
repos: [more]
extensions:
  tools:
    packages: [tool]
  matching:
    packages: [app-dev]
    match-base-evr: app
    kind: development
  arm:
    packages: [only-arm]
    architectures: [arm64]
"""


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    made = Composer(tmp_path_factory.mktemp("extensions"), cache="nodoc")
    debs = made.directory / "debs"

    def deb(name, version="1.0", **fields):
        return make_deb(debs, name, version, files={f"usr/share/{name}": version}, **fields)

    base = (deb("app"), deb("linked", "1:3.0"))
    made.publish(*base)
    made.tree(TEXT)
    # since then the mirror moved on, and has what fits and what does not
    made.publish(*base, deb("app", "2.0"), deb("app-dev"), deb("app-dev", "2.0"))
    made.publish(
        deb("tool", depends="helper, linked"), deb("helper", "2:1.5-1"),
        deb("greedy", depends="app (>= 2)"), name="more",
    )  # fmt: skip
    return made


def extensions(composer, text, output, *options, ok=(0,)):
    path = composer.directory / "extensions.yaml"
    path.write_text(text)
    where = (
        options
        if options and str(options[0]).startswith("--rootfs")
        else (f"--repo={composer.repo}", *options)
    )
    return composer.compose(
        "extensions", *where, f"--cachedir={composer.cachedir}", f"--output-dir={output}",
        composer.write(TEXT), path, ok=ok,
    )  # fmt: skip


def test_packages_that_fit_the_base(composer, tmp_path):
    output, mark = tmp_path / "out", tmp_path / "mark"
    done = extensions(composer, WANTED, output, f"--touch-if-changed={mark}")
    assert f"Checking out {composer.commit[:7]}...done!" in done.stdout
    names = {p.name for p in output.glob("*.deb")}
    assert names == {"tool_1.0_all.deb", "helper_1.5-1_all.deb", "app-dev_1.0_all.deb"}
    assert mark.exists()
    version = subprocess.run(
        ["dpkg-deb", "-f", output / "helper_1.5-1_all.deb", "Version"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert version == "2:1.5-1\n"
    told = json.loads((output / "extensions.json").read_text())["extensions"]
    assert sorted(told) == ["matching", "tools"]
    assert told["tools"]["kind"] == "os-extension"
    assert (output / ".apt-ostree-state-chksum").is_file()

    mark.unlink()
    done = extensions(composer, WANTED, output, f"--touch-if-changed={mark}")
    assert "No change." in done.stdout
    assert not mark.exists()

    # a package that was lost, or is not wanted any more, is noticed
    (output / "tool_1.0_all.deb").unlink()
    extensions(composer, WANTED, output)
    assert (output / "tool_1.0_all.deb").exists()
    extensions(composer, "repos: [more]\nextensions: {one: {packages: [helper]}}\n", output)
    assert [p.name for p in output.glob("*.deb")] == ["helper_1.5-1_all.deb"]


def test_dry_run_and_another_revision(composer, tmp_path):
    done = extensions(
        composer, WANTED, tmp_path / "out", "--dry-run", f"--base-rev={composer.commit[:20]}"
    )
    assert "tool-1.0.all (more)" in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_plain_root_as_base(composer, tmp_path):
    root = tmp_path / "rootfs"
    composer.ostree("checkout", "-U", "--subpath=/usr/lib/sysimage/dpkg", "test/small",
                    tmp_path / "dpkg")  # fmt: skip
    (root / "usr/lib/sysimage").mkdir(parents=True)
    (tmp_path / "dpkg").rename(root / "usr/lib/sysimage/dpkg")
    extensions(composer, WANTED, tmp_path / "out", f"--rootfs={root}")
    assert (tmp_path / "out/tool_1.0_all.deb").is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extensions: {a: {packages: [app]}}", "extensions.yaml:1: package app already present in base"),
        ("extensions:\n  a:\n    packages: [x]\n    match-base-evr: none\n",
         "extensions.yaml:2: couldn't find base package none"),
        ("extensions: {a: {packages: [nowhere]}}", "Packages not found: nowhere"),
        ("repos: [more]\nextensions: {a: {packages: [greedy]}}", "app"),
        ("repos: [lost]\nextensions: {a: {packages: [x]}}", "no apt source 'lost'"),
        ("extensions: {a: {pakages: [x]}}", "extensions.yaml:1: "),
        ("extensions: {a: {packages: [x], architectures: [arm64]}}", "No packages in transaction"),
    ],
)  # fmt: skip
def test_extensions_that_cannot_be_had(composer, tmp_path, text, message):
    done = extensions(composer, text, tmp_path / "out", ok=(1,))
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()

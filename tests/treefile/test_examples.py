"""The examples load, and apt can install what they name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from apt_ostree.treefile import include, inputs, restrict

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))
DEBIAN = [path for path in FILES if path.name.startswith("debian")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("basearch", ["amd64", "arm64"])
def test_example_loads(path, basearch):
    tree = include.load(path, basearch=basearch)
    restrict.for_compose(tree)
    distribution, release, flavour = path.stem.split("-")
    assert tree.ref == f"{distribution}/{release}/{basearch}/{flavour}"
    assert tree.edition == "2024"
    assert tree.warnings() == ()
    assert tree.repos is None  # the host's sources serve, whatever its mirror is
    assert sum(name.startswith("linux-image-") for name in tree.packages) == 1
    assert {"ostree", "ostree-boot", "dracut", "systemd-sysv", "login"} <= set(tree.packages)
    assert len(inputs.digest(tree)) == 64


def test_server_and_desktop_are_the_minimal_tree_and_more():
    for name in ("debian-12-server", "debian-13-server", "debian-13-desktop"):
        tree = include.load(EXAMPLES / f"{name}.yaml", basearch="amd64")
        base = name.rpartition("-")[0]
        minimal = include.load(EXAMPLES / f"{base}-minimal.yaml", basearch="amd64")
        assert set(minimal.packages) < set(tree.packages)
        assert (tree.documentation, minimal.documentation) == (True, False)
        assert tree.automatic_version_prefix == minimal.automatic_version_prefix


def run(argv: list[str], **env: str) -> str:
    done = subprocess.run(argv, env={**os.environ, "LC_ALL": "C.UTF-8", **env}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def debian_mirror() -> str:
    """Where this machine gets Debian from."""
    listed = run(["apt-get", "indextargets", "--format", "$(LABEL) $(SITE)"])
    sites = {line.partition(" ")[2] for line in listed.splitlines() if line.startswith("Debian ")}
    if not sites:
        pytest.skip("this machine's apt knows no Debian mirror")
    return min(sites)


@pytest.fixture(scope="session")
def apt_root(tmp_path_factory, debian_mirror):
    """Makes an apt configuration for a suite with nothing installed; the path of its apt.conf."""
    made: dict[str, Path] = {}

    def make(suite: str) -> Path:
        if suite in made:
            return made[suite]
        root = tmp_path_factory.mktemp(suite)
        for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial",
                     "var/cache/apt/archives/partial", "var/lib/dpkg"):  # fmt: skip
            (root / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        (root / "etc/apt/sources.list").write_text(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
            f"{debian_mirror} {suite} main\n"
        )
        conf = root / "apt.conf"
        conf.write_text(
            f'Dir "{root}";\nDir::State::status "{root}/var/lib/dpkg/status";\n'
            'APT::Architecture "amd64";\nAPT::Architectures { "amd64"; };\n'
            'Acquire::Languages "none";\nAPT::Sandbox::User "root";\n'
            'Dir::Bin::gpg "/usr/bin/gpgv";\nAPT::Key::GPGVCommand "/usr/bin/gpgv";\n'
        )
        run(["apt-get", "update"], APT_CONFIG=str(conf))
        made[suite] = conf
        return conf

    return make


@pytest.mark.network
@pytest.mark.parametrize("path", DEBIAN, ids=lambda path: path.stem)
def test_apt_can_install_it(path, apt_root):
    tree = include.load(path, basearch="amd64")
    argv = ["apt-get", "--simulate", "install", "?essential", *tree.packages]
    if not tree.recommends:
        argv.insert(2, "--no-install-recommends")
    said = run(argv, APT_CONFIG=str(apt_root(str(tree.releasever))))
    installed = {line.split()[1] for line in said.splitlines() if line.startswith("Inst ")}
    assert set(tree.packages) <= installed
    if path.stem.endswith("minimal"):
        assert 140 < len(installed) < 200
        assert "initramfs-tools" not in installed

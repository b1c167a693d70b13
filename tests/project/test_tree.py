"""Rules that hold for the tracked files themselves."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import apt_ostree
from apt_ostree.system.run import TOOL_PACKAGES

TOP = Path(__file__).parents[2]
MODULES = {"apt": "python3-apt", "apt_pkg": "python3-apt", "gi": "python3-gi",
           "yaml": "python3-yaml"}  # fmt: skip


def tracked():
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [TOP / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def python_files():
    return [p for p in tracked() if p.suffix == ".py" and "tests" not in p.relative_to(TOP).parts]


def packages():
    lines = (TOP / "debian-packages.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_no_module_has_more_than_400_lines():
    sizes = {str(p.relative_to(TOP)): len(p.read_text().splitlines()) for p in python_files()}
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_no_file_knows_where_it_was_written():
    """Paths of this checkout and of people's homes are one machine's affair."""
    places = [rf"{re.escape(str(TOP))}\b"] if len(TOP.parts) > 2 else []
    pattern = re.compile("|".join([*places, r"/(?:Users|home)/[a-z]\w+/(?:src|git|projects)/"]))
    for path in tracked():
        found = pattern.search(path.read_text(errors="replace"))
        assert found is None, f"{path}: {found}"


def test_no_file_names_a_package_mirror():
    """Which mirror serves a machine is in its apt configuration, never in ours."""
    sites = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    hosts = {urlsplit(site).hostname for site in sites} - {None}
    if not hosts:
        pytest.skip("apt has no sources over the network")
    pattern = re.compile("|".join(re.escape(host) for host in sorted(hosts)))
    named = [p for p in tracked() if pattern.search(p.read_text(errors="replace"))]
    assert {str(p.relative_to(TOP)) for p in named} == set()


def test_versions_agree():
    version = apt_ostree.__version__
    news = re.findall(r"^## (\S+)", (TOP / "NEWS.md").read_text(), re.MULTILINE)
    assert news[0] == version
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    said = subprocess.run([TOP / "bin/apt-ostree", "--version"], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert version in said.stdout


def test_needed_packages_are_listed_once():
    assert len(packages()) == len(set(packages()))
    standard = {"dpkg"}  # Essential
    assert set(TOOL_PACKAGES.values()) - standard <= set(packages())


def imported():
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (name.name.split(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def test_python_packages_are_those_that_are_imported():
    wanted = {MODULES[name] for name in imported() if name in MODULES}
    run_by_name = {"python3-venv", "python3-dbusmock"}
    listed = {p for p in packages() if p.startswith("python3-")} - run_by_name
    assert listed == wanted


def test_listed_packages_exist_in_the_suite():
    names = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True)
    known = set(names.stdout.split())
    if len(known) < 10_000:
        pytest.skip("apt's lists are empty; run 'apt-get update'")
    assert set(packages()) - known == set()


@pytest.mark.parametrize("script", [".ci/run", "tools/demo", "tools/install-packages"])
def test_shell_scripts_are_shell(script):
    subprocess.run(["sh", "-n", TOP / script], check=True)
    assert (TOP / script).stat().st_mode & 0o111


POINT = re.compile(r"""["'=;]([a-z]+\.(?:before|after)-[a-z-]+)""")


def test_failure_points_that_tests_arm_exist():
    """A point that is not there any more makes a test pass for nothing, or wait for a crash."""
    sources = "\n".join(p.read_text() for p in python_files())
    there = set(re.findall(r'failpoint\.reach\("([^"]+)"\)', sources))
    armed = {}
    for path in tracked():
        name = str(path.relative_to(TOP))
        if path.suffix == ".py" and name.startswith("tests/"):
            for point in POINT.findall(path.read_text()):
                armed.setdefault(point, name)
    assert len(armed) > 10
    assert {point: name for point, name in armed.items() if point not in there} == {}

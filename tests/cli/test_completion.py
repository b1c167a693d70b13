"""Completion: what the program offers, and that real shells get it to the command line."""

import os
import pty
import select
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fixtures.sysroots import Site

from apt_ostree.cli import registry
from apt_ostree.cli.command import GLOBAL
from apt_ostree.cli.complete import ARGUMENTS, complete, kind_of
from apt_ostree.cli.options import HELP
from apt_ostree.model.origin import LocalPackage, Origin

TOP = Path(__file__).parents[2]
SCRIPTS = TOP / "data/completions"
HERE = Path(__file__).parent / "shells"
VISIBLE = sorted(name for name, entry in registry.ENTRIES.items() if not entry.is_hidden)
WAIT_S = 30


def offered(*words):
    return [word for word, _ in complete(words).words]


def long_options(name):
    options = (*registry.ENTRIES[name].load().all_options, HELP)
    return sorted({f"--{o.long}{'=' if o.metavar else ''}" for o in options if not o.is_hidden})


# -- what the program offers


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["insta"], ["install"]),
        (["-q", "insta"], ["install"]),
        (["override", ""], ["remove", "replace", "reset"]),
        (["override", "-q", "rem"], ["remove"]),
        (["rpm", "di"], ["diff"]),  # an old name of the group db
        (["nonsense", ""], []),
        (["compose", "nonsense", ""], []),
        (["--ver"], ["--version"]),
        (["db", "--q"], ["--quiet"]),
        (["upgrade", "--unch"], ["--unchanged-exit-77"]),
        (["update", "--unch"], ["--unchanged-exit-77"]),  # an alias
        (["upgrade", "--reboot", "--reb"], []),  # given already
        (["upgrade", "-r", "--reb"], []),
        (["upgrade", "--install", "htop", "--inst"], ["--install="]),  # may be repeated
        (["upgrade", "--trigger"], []),  # hidden
        (["upgrade", "--", "--unch"], []),
        (["upgrade", "--nonsense="], []),
        (["db", "diff", "--format="], ["--format=block", "--format=diff", "--format=json"]),
        (["db", "diff", "--format", "d"], ["diff"]),
        (["db", "diff", "-F", ""], ["block", "diff", "json"]),
        (["db", "diff", "-qF", "j"], ["json"]),
    ],
)
def test_words(words, wanted):
    assert offered(*words) == wanted


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["init", ""], "directories"),
        (["init", "/srv", ""], ""),
        (["status", "--sysroot="], "directories"),
        (["status", "--sysroot", ""], "directories"),
        (["install", "./"], "files .deb"),
        (["install", "ht"], ""),
        (["compose", "tree", "--touch-if-changed="], "files"),
        (["compose", "tree", "x"], "files .yaml .yml .json .ks"),
        (["compose", "tree", "--repo", "/r", "-q", "x"], "files .yaml .yml .json .ks"),
        (["why", "/usr/bi"], "files"),
    ],
)
def test_paths(words, paths):
    assert complete(words).paths == paths


def test_the_commands_have_no_arguments_that_are_not_theirs():
    assert set(ARGUMENTS) <= set(VISIBLE)
    for name in ARGUMENTS:
        assert registry.ENTRIES[name].load().usage, name
    takers = {name for name in VISIBLE if registry.ENTRIES[name].load().usage}
    assert takers == set(ARGUMENTS)


def test_every_option_that_names_a_file_offers_paths():
    for name in VISIBLE:
        for option in registry.ENTRIES[name].load().all_options:
            if option.metavar in ("FILE", "DIR", "PATH", "CACHEDIR") and option.long != "untrack":
                assert kind_of(option).paths, f"{name} --{option.long}"


def test_nothing_slow_is_imported():
    """GObject introspection, libapt and YAML take longer than everything else together."""
    lines = [[*name.split(), "--"] for name in VISIBLE]
    code = (
        "import sys\n"
        "from apt_ostree.cli.complete import complete\n"
        f"for words in {lines!r}: assert complete(words).words\n"
        "assert complete(['uninstall', '']) and complete(['install', '--stateroot='])\n"
        "print({'gi', 'apt', 'apt_pkg', 'yaml', 'rich', 'asyncio'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(TOP / "src")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "set()\n"


# -- what lies on a system


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two deployments, the first with requests; a list of packages; a remote."""
    site = Site.make(tmp_path_factory.mktemp("completion"))
    base = site.base(["dpkg=1", "nano=7"])
    local = LocalPackage("a" * 64, "hello-world-2.10-3.amd64")
    origin = Origin(refspec="debian/13", requested=("htop", "zsh"), local=(local,),
                    override_remove=("nano",), initramfs_etc=("/etc/crypttab",))  # fmt: skip
    layered = site.layered(base, ["dpkg=1", "htop=3", "zsh=5"], requests=["htop", "zsh"])
    site.deploy(base)
    site.deploy(layered, origin=origin, kargs=("root=LABEL=x", "quiet", "console=ttyS0,115200"),
                keep_all=True)  # fmt: skip
    site.repo.set_ref("aptostree/pkg/x", base)
    lists = site.path / "ostree/deploy/debian/var/cache/apt-ostree/lists"
    lists.mkdir(parents=True)
    (lists / "a_Packages").write_text(
        "Package: htop\nDescription: x\n\nPackage: httpie\nPackage-Type: deb\n\nPackage: zsh"
    )
    (lists / "b_Packages").write_text("Package: htop\n\nPackage: ht$(reboot)\n")
    (lists / "c_Packages").touch()
    subprocess.run(
        ["ostree", "remote", "add", f"--repo={site.path}/ostree/repo", "vendor", "http://localhost",
         "--no-gpg-verify"],
        check=True,
    )  # fmt: skip
    yield site, base, layered
    site.release()


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("install @ ht", ["htop", "httpie"]),  # once, and nothing that a shell would run
        ("install @ x", []),
        ("upgrade @ --install=ht", ["--install=htop", "--install=httpie"]),
        ("uninstall @ ", ["hello-world", "htop", "zsh"]),
        ("remove @ h", ["hello-world", "htop"]),
        ("override remove @ ", ["dpkg", "htop", "zsh"]),
        ("override reset @ ", ["nano"]),
        ("initramfs-etc @ --untrack=/e", ["--untrack=/etc/crypttab"]),
        ("rebase @ ", ["debian/13"]),
        ("rebase @ -m ", ["vendor"]),
        ("kargs @ --delete=", ["--delete=console=ttyS0,115200", "--delete=quiet",
                               "--delete=root=LABEL=x"]),
        ("kargs @ --replace=q", ["--replace=quiet"]),
        ("kargs @ --append=", []),
        ("kargs @ --deploy-index=", ["--deploy-index=0", "--deploy-index=1"]),
        ("status @ --stateroot=", []),
        ("upgrade @ --stateroot=", ["--stateroot=debian"]),
        ("upgrade @ --stateroot other --uninstall=", []),
        ("why @ d", ["dpkg"]),
    ],
)  # fmt: skip
def test_values(site, words, wanted):
    place = f"--sysroot={site[0].path}"
    assert offered(*(place if w == "@" else w for w in words.split(" "))) == wanted


@pytest.mark.root
def test_deployments_and_commits(site):
    sysroot, base, layered = site
    place = f"--sysroot={sysroot.path}"
    ids = [f"debian-{layered}.0", f"debian-{base}.0"]
    assert offered("list", place, "--deployment", "") == sorted(ids)
    assert offered("deploy", place, "") == sorted([base, layered])
    assert offered("db", "list", f"--repo={sysroot.path}/ostree/repo", "") == ["debian/13"]
    assert offered("checkout", place, "") == sorted(["debian/13", base, layered])


@pytest.mark.root
def test_without_boot_entries_the_newest_deployment_counts(site, tmp_path):
    """/boot of a system that is mounted without it, or that only root may read."""
    (tmp_path / "ostree").symlink_to(site[0].path / "ostree")
    place = f"--sysroot={tmp_path}"
    assert len(offered("list", place, "--deployment=")) == 2
    assert offered("uninstall", place, "z") == ["zsh"]
    assert offered("kargs", place, "--delete=") == []


def test_what_is_not_there_is_not_offered(tmp_path):
    place = f"--sysroot={tmp_path}"
    for words in (["uninstall", place, ""], ["rebase", place, ""], ["kargs", place, "--delete="],
                  ["list", place, "--deployment="], ["override", "remove", place, ""]):  # fmt: skip
        assert offered(*words) == []


def test_a_broken_origin_offers_nothing(tmp_path):
    deployed = tmp_path / f"ostree/deploy/debian/deploy/{'a' * 64}.0"
    deployed.mkdir(parents=True)
    deployed.with_name(f"{deployed.name}.origin").write_text("nonsense")
    assert offered("uninstall", f"--sysroot={tmp_path}", "") == []
    assert offered("status", f"--sysroot={tmp_path}", "--ver") == ["--verbose", "--version"]


# -- shells


class Bash:
    """A bash on a terminal, so that readline itself splits the line."""

    def __init__(self, home):
        self._results, out = os.pipe()
        self._terminal, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
            pass_fds=[out], start_new_session=True,
            env={"PATH": f"{TOP}/bin:{os.environ['PATH']}", "TERM": "dumb",
                 "HOME": str(home), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        os.close(slave)
        os.close(out)
        threading.Thread(target=self._drain, daemon=True).start()
        self._type(f"source {HERE}/probe.bash {out} {SCRIPTS}/bash/apt-ostree\n")
        self._lines()

    def _drain(self):
        """A terminal that nobody reads stops its programs."""
        try:
            while os.read(self._terminal, 4096):
                pass
        except OSError:
            return

    def _type(self, text):
        os.write(self._terminal, text.encode())

    def _lines(self):
        data = b""
        while not (data == b".\n" or data.endswith(b"\n.\n")):
            assert select.select([self._results], [], [], WAIT_S)[0], "bash does not answer"
            data += os.read(self._results, 65536)
        return data.decode().split("\n")[:-2]

    def offered(self, line):
        self._type(f"{line}\t")
        found = self._lines()
        self._type("\x15")  # empty the line
        return sorted(found)

    def close(self):
        self._type("exit\n")
        self._process.wait(timeout=WAIT_S)
        os.close(self._terminal)
        os.close(self._results)


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    shell = Bash(tmp_path_factory.mktemp("home"))
    yield shell
    shell.close()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs the package shellcheck")
def test_the_bash_script_is_clean():
    subprocess.run(["shellcheck", SCRIPTS / "bash/apt-ostree"], check=True)


def test_bash_knows_every_command(bash):
    assert bash.offered("apt-ostree ") == [name for name, _ in registry.visible_rows("")]
    for group in ("compose", "db", "override"):
        assert bash.offered(f"apt-ostree {group} ") == [n for n, _ in registry.visible_rows(group)]
    assert bash.offered("apt-ostree --") == sorted(f"--{o.long}" for o in (*GLOBAL, HELP))


@pytest.mark.parametrize("name", VISIBLE)
def test_bash_knows_every_long_option(bash, name):
    assert bash.offered(f"apt-ostree {name} --") == long_options(name)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        # readline replaces what follows the last = or :, and nothing before
        ("apt-ostree db diff --format=", ["block", "diff", "json"]),
        ("apt-ostree db diff --format=b", ["block"]),
        ("apt-ostree db diff --format  d", ["diff"]),
        ("apt-ostree db diff -F d", ["diff"]),
        ("apt-ostree   over", ["override"]),
        ("apt-ostree status nonsense --verb", ["--verbose"]),
        ("apt-ostree nonsense ", []),
        ("apt-ostree init @/d", ["@/dir one"]),
        ("apt-ostree compose tree @/", ["@/dir one", "@/tree.yaml"]),
        ("apt-ostree compose tree --touch-if-changed=@/t", ["@/tree.yaml"]),
        ("apt-ostree install @/", ["@/dir one", "@/own.deb"]),
    ],
)
def test_bash_lines(bash, tmp_path, line, wanted):
    (tmp_path / "dir one").mkdir()
    for name in ("tree.yaml", "own.deb", "other"):
        (tmp_path / name).touch()
    found = bash.offered(line.replace("@", str(tmp_path)))
    assert found == [word.replace("@", str(tmp_path)) for word in wanted]


@pytest.mark.root
def test_bash_gets_values_with_breaks_in_them(bash, site):
    place = f"--sysroot={site[0].path}"
    assert bash.offered(f"apt-ostree kargs {place} --delete=console=") == ["ttyS0,115200"]
    assert bash.offered(f"apt-ostree install {place} htt") == ["httpie"]
    assert bash.offered(f"apt-ostree uninstall {place} z") == ["zsh"]


def fish(lines, home):
    script = f"source {SCRIPTS}/fish/apt-ostree.fish\n" + "".join(
        f"complete -C '{line}'\necho .\n" for line in lines
    )
    done = subprocess.run(
        ["fish", "--no-config"], input=script, capture_output=True, text=True, check=True,
        env={**os.environ, "PATH": f"{TOP}/bin:{os.environ['PATH']}", "HOME": str(home)},
    )  # fmt: skip
    parts = done.stdout.split(".\n")[:-1]
    return [[row.split("\t")[0] for row in part.split("\n")[:-1]] for part in parts]


def zsh(lines, home):
    found = []
    for line in lines:
        done = subprocess.run(
            ["zsh", "-f", HERE / "capture.zsh", SCRIPTS / "zsh", line],
            capture_output=True, text=True, check=True, timeout=WAIT_S,
            env={**os.environ, "PATH": f"{TOP}/bin:{os.environ['PATH']}", "TERM": "dumb",
                 "HOME": str(home)},
        )  # fmt: skip
        found.append(list(dict.fromkeys(done.stdout.split("\n")[:-1])))
    return found


@pytest.mark.parametrize("shell", [fish, zsh], ids=lambda s: s.__name__)
def test_other_shells(shell, tmp_path):
    if shutil.which(shell.__name__) is None:
        pytest.skip(f"needs {shell.__name__} of the package {shell.__name__}")
    wanted = {
        "apt-ostree ": [name for name, _ in registry.visible_rows("")],
        "apt-ostree override r": ["remove", "replace", "reset"],
        "apt-ostree db diff --format=": ["--format=block", "--format=diff", "--format=json"],
        "apt-ostree db diff -F j": ["json"],
        # bash has shown that the program tells of all of them; what matters here is the way
        **{f"apt-ostree {n} --": long_options(n) for n in ("compose tree", "kargs", "upgrade")},
    }
    found = shell(list(wanted), tmp_path)
    assert dict(zip(wanted, map(sorted, found), strict=True)) == wanted


@pytest.mark.parametrize("shell", [fish, zsh], ids=lambda s: s.__name__)
def test_other_shells_add_paths(shell, tmp_path):
    if shutil.which(shell.__name__) is None:
        pytest.skip(f"needs {shell.__name__} of the package {shell.__name__}")
    trees = sorted(p.name for p in (TOP / "examples").glob("*.yaml"))
    (found,) = shell([f"apt-ostree compose tree {TOP}/examples/deb"], tmp_path)
    assert {Path(f).name for f in found} == {t for t in trees if t.startswith("deb")}
    (found,) = shell([f"apt-ostree compose tree --cachedir={TOP}/exam"], tmp_path)
    assert {Path(f.partition("=")[2]).name for f in found} == {"examples"}

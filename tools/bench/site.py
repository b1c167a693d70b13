"""The two sides of the benchmark: a sysroot of ours, and a plain chroot of the same packages."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from apt_ostree.system import mount
from bench.measure import Series, once

TOP = Path(__file__).resolve().parents[2]
PROGRAM = str(TOP / "bin/apt-ostree")
EXAMPLES = {"bookworm": "debian-12-minimal", "trixie": "debian-13-minimal"}
# What the examples leave out of their trees, so that both sides write the same files.
TRIM = ("doc", "man", "info", "gtk-doc", "groff", "lintian", "linda")


def quiet(*argv: str) -> str:
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout


def codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"]


def remove_tree(path: Path) -> None:
    """Remove a directory; `rm` is faster than shutil, and absence is no failure."""
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)


class Site:
    """Everything below one directory; `cache` survives between runs of the benchmark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.sysroot = folder / "sysroot"
        self.repo = self.sysroot / "ostree/repo"
        self.chroot = folder / "chroot"
        self.example = TOP / "examples" / f"{EXAMPLES[codename()]}.yaml"
        number = EXAMPLES[codename()].split("-")[1]
        arch = quiet("dpkg", "--print-architecture").strip()
        self.ref = f"debian/{number}/{arch}/minimal"

    # -- ours

    def compose_argv(self, treefile: Path, repo: Path, cache: Path, *more: str) -> list[str]:
        return [PROGRAM, "compose", "tree", f"--repo={repo}", f"--cachedir={cache}", *more,
                str(treefile)]  # fmt: skip

    def compose(self, treefile: Path, repo: Path, cache: Path, series: Series, *more: str) -> None:
        once(self.compose_argv(treefile, repo, cache, "--json", *more), series)

    def on_argv(self, command: str, *argv: str) -> list[str]:
        return [PROGRAM, command, f"--sysroot={self.sysroot}", *argv]

    def on(self, command: str, *argv: str, series: Series | None = None, **env: str) -> None:
        once(self.on_argv(command, *argv, "--json"), series or Series(), **env)

    def new_base(self) -> None:
        """A new base commit of equal content: an earlier result must not be found again."""
        self.compose(self.example, self.repo, self.cache, Series(), "--force-nocache")

    def prepare(self) -> None:
        """A sysroot with the example deployed."""
        for path in self.sysroot.glob("ostree/deploy/*/deploy/*"):
            if path.is_dir():
                subprocess.run(["chattr", "-i", str(path)], check=False)
        remove_tree(self.sysroot)
        once([PROGRAM, "init", "--stateroot=debian", str(self.sysroot)], Series())
        self.compose(self.example, self.repo, self.cache, Series())
        self.on("rebase", self.ref)
        once(self.on_argv("refresh-md"), Series())

    def keep(self, *packages: str) -> int:
        """Have packages imported, and a pinned deployment that keeps them in the cache.

        Returns how many packages are layered then.
        """
        self.on("install", "--idempotent", *packages)
        count = len(json.loads(once(self.on_argv("list", "--layered", "--json"), Series())))
        quiet("ostree", "admin", f"--sysroot={self.sysroot}", "pin", "0")
        self.on("uninstall", "--all")
        return count

    def versions(self) -> list[str]:
        """`name=version` of every package of the base."""
        listed = quiet(PROGRAM, "list", f"--sysroot={self.sysroot}", "--base", "--json")
        return [f"{p['name']}={p['version']}" for p in json.loads(listed)]

    # -- theirs

    def make_chroot(self) -> None:
        """A plain Debian root with the same packages, apt lists and an empty archive cache."""
        if self.chroot.is_dir():
            return
        self.bootstrap(self.chroot, Series())
        self.run_in(self.chroot, "apt-get", "-q", "update")

    def bootstrap(self, target: Path, series: Series) -> None:
        remove_tree(target)
        archives = self.folder / "mm-archives"
        archives.mkdir(exist_ok=True)
        once(
            ["mmdebstrap", "--variant=essential", "--mode=root",
             '--aptopt=APT::Sandbox::User "root"', "--aptopt=APT::Install-Recommends false",
             *(f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in TRIM),
             "--dpkgopt=path-include=/usr/share/doc/*/copyright",
             f"--setup-hook=mkdir -p $1/var/cache/apt/archives; "
             f"cp {archives}/*.deb $1/var/cache/apt/archives/ 2>/dev/null || :",
             f"--customize-hook=cp -n $1/var/cache/apt/archives/*.deb {archives}/ || :",
             "--skip=essential/unlink,cleanup/apt/cache",
             f"--include={','.join(self.versions())}", codename(), str(target)],
            series,
        )  # fmt: skip

    def run_in(self, root: Path, *argv: str, series: Series | None = None) -> None:
        once(["chroot", str(root), *argv], series or Series(), DEBIAN_FRONTEND="noninteractive")

    @contextmanager
    def fresh_chroot(self) -> Iterator[Path]:
        """A plain copy of the chroot, so that every run starts from the same state."""
        root = self.folder / "copy"
        remove_tree(root)
        quiet("cp", "-a", str(self.chroot), str(root))
        quiet("sync", "-f", str(root))  # the copy's own writing is not what is measured
        with mount.bind(Path("/proc"), root / "proc"), mount.bind(Path("/dev"), root / "dev"):
            yield root
        remove_tree(root)

    def download(self, packages: Sequence[str]) -> None:
        """Put the .debs of packages and what they need into the chroot's archive cache."""
        with mount.bind(Path("/dev"), self.chroot / "dev"):
            self.run_in(self.chroot, "apt-get", "-qy", "--download-only", "install", *packages)

    def copy_cache(self, cold: Path) -> None:
        """A compose cache that has the downloads and lists, and no imported package."""
        remove_tree(cold)
        cold.mkdir()
        shutil.copytree(self.cache / "archives", cold / "archives")
        shutil.copytree(self.cache / "apt", cold / "apt")

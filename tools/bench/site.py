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


def quiet(*argv: str) -> str:
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout


def codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"]


class Site:
    """Everything below one directory; `cache` survives between runs of the benchmark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.sysroot = folder / "sysroot"
        self.chroot = folder / "chroot"
        self.example = TOP / "examples" / f"{EXAMPLES[codename()]}.yaml"
        number = EXAMPLES[codename()].split("-")[1]
        arch = quiet("dpkg", "--print-architecture").strip()
        self.ref = f"debian/{number}/{arch}/minimal"

    # -- ours

    def compose(self, treefile: Path, repo: Path, cache: Path, series: Series, *more: str) -> None:
        once([PROGRAM, "compose", "tree", f"--repo={repo}", f"--cachedir={cache}", *more,
              str(treefile)], series)  # fmt: skip

    def on(self, command: str, *argv: str, series: Series | None = None) -> None:
        once([PROGRAM, command, f"--sysroot={self.sysroot}", *argv], series or Series())

    def prepare(self) -> None:
        """A sysroot with the example deployed."""
        for path in self.sysroot.glob("ostree/deploy/*/deploy/*"):
            if path.is_dir():
                subprocess.run(["chattr", "-i", str(path)], check=False)
        shutil.rmtree(self.sysroot, ignore_errors=True)
        once([PROGRAM, "init", "--stateroot=debian", str(self.sysroot)], Series())
        self.compose(self.example, self.sysroot / "ostree/repo", self.cache, Series())
        self.on("rebase", self.ref)
        self.on("refresh-md")

    def keep(self, *packages: str) -> None:
        """Have packages imported, and a pinned deployment that keeps them in the cache."""
        self.on("install", "--idempotent", *packages)
        quiet("ostree", "admin", f"--sysroot={self.sysroot}", "pin", "0")
        self.on("uninstall", "--all")

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
        shutil.rmtree(target, ignore_errors=True)
        archives = self.folder / "mm-archives"
        archives.mkdir(exist_ok=True)
        once(
            ["mmdebstrap", "--variant=essential", "--mode=root",
             '--aptopt=APT::Sandbox::User "root"', "--aptopt=APT::Install-Recommends false",
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
        """The chroot with an overlay over it, so that every run starts from the same state."""
        work = self.folder / "overlay"
        shutil.rmtree(work, ignore_errors=True)
        for name in ("upper", "work", "root"):
            (work / name).mkdir(parents=True)
        root = work / "root"
        with (
            mount.overlay(root, lower=[self.chroot], upper=work / "upper", work=work / "work"),
            mount.bind(Path("/proc"), root / "proc"),
            mount.bind(Path("/dev"), root / "dev"),
        ):
            yield root

    def download(self, packages: Sequence[str]) -> None:
        """Put the .debs of packages and what they need into the chroot's archive cache."""
        with mount.bind(Path("/dev"), self.chroot / "dev"):
            self.run_in(self.chroot, "apt-get", "-qy", "--download-only", "install", *packages)

"""Measure apt-ostree against what it replaces: python tools/bench [--runs N] [--only WORD]."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "src"), str(TOP / "tools")]

from apt_ostree.system import mount  # noqa: E402
from bench.measure import Row, Series, compare, once  # noqa: E402
from bench.site import Site, quiet  # noqa: E402

SMALL = "htop"
MANY = ("nginx", "postgresql", "git", "vim", "tmux", "rsync", "strace", "tcpdump", "iputils-ping")


def layering(site: Site, runs: int, packages: tuple[str, ...], *, name: str, reach: float) -> Row:
    """A warm install against apt-get's in a chroot; both have everything downloaded."""
    site.keep(*packages)
    site.download(packages)

    def ours(series: Series) -> None:
        # A new base commit of equal content: an earlier result must not be found again.
        site.compose(site.example, site.sysroot / "ostree/repo", site.cache, Series(),
                     "--force-nocache")  # fmt: skip
        site.on("upgrade", "--cache-only")
        site.on("install", *packages, series=series)
        site.on("uninstall", "--all")

    def theirs(series: Series) -> None:
        with site.fresh_chroot() as root:
            site.run_in(root, "apt-get", "-qy", "install", *packages, series=series)

    return compare(name, "apt-get install in a chroot", reach=reach, runs=runs, ours=ours,
                   theirs=theirs)  # fmt: skip


def rebuild(site: Site, runs: int) -> Row:
    """Layers moved to a changed base, against dpkg unpacking the same packages again."""
    site.on("install", *MANY)
    debs = sorted(str(p.relative_to(site.chroot)) for p in site.chroot.glob(
        "var/cache/apt/archives/*.deb"))  # fmt: skip
    repo = site.sysroot / "ostree/repo"

    def ours(series: Series) -> None:
        site.compose(site.example, repo, site.cache, Series(), "--force-nocache")
        site.on("upgrade", "--cache-only", series=series)

    def theirs(series: Series) -> None:
        with site.fresh_chroot() as root:
            argv = ["dpkg", "--force-depends", "--unpack", *(f"/{d}" for d in debs)]
            site.run_in(root, *argv, series=series)

    row = compare("rebuild of layered packages after a base change", "dpkg --unpack of them",
                  reach=0.4, runs=runs, ours=ours, theirs=theirs)  # fmt: skip
    site.on("uninstall", "--all")
    return row


def nothing(site: Site, runs: int) -> Row:
    site.on("install", "--idempotent", SMALL)

    def ours(series: Series) -> None:
        site.on("upgrade", "--cache-only", series=series)

    def theirs(series: Series) -> None:
        site.run_in(site.chroot, "apt-get", "-s", "dist-upgrade", series=series)

    row = compare("upgrade with nothing to do", "apt-get -s dist-upgrade", reach=1.5, runs=runs,
                  ours=ours, theirs=theirs)  # fmt: skip
    site.on("uninstall", "--all")
    return row


def composes(site: Site, runs: int) -> list[Row]:
    """A cold compose against mmdebstrap, dracut and commit; one changed package against cold."""
    repo, cold = site.folder / "compose-repo", site.folder / "cold-cache"
    changed = site.folder / "changed.yaml"
    changed.write_text(f"include: {site.example}\npackages: [less]\n")
    target = site.folder / "mm"

    def start() -> None:
        shutil.rmtree(cold, ignore_errors=True)
        cold.mkdir()
        shutil.copytree(site.cache / "archives", cold / "archives")
        shutil.copytree(site.cache / "apt", cold / "apt")
        shutil.rmtree(repo, ignore_errors=True)
        quiet("ostree", "init", f"--repo={repo}", "--mode=bare")

    def ours(series: Series) -> None:
        start()
        site.compose(site.example, repo, cold, series)

    def theirs(series: Series) -> None:
        parts = Series()
        site.bootstrap(target, parts)
        kernel = next((target / "usr/lib/modules").iterdir()).name
        with mount.bind(Path("/proc"), target / "proc"), mount.bind(Path("/dev"), target / "dev"):
            site.run_in(target, "dracut", "--force", "--no-hostonly", "--add", "ostree", "--kver",
                        kernel, "/boot/initramfs.img", series=parts)  # fmt: skip
        subprocess.run(["rm", "-rf", f"{target}/dev"], check=False)
        (target / "dev").mkdir(exist_ok=True)
        plain = site.folder / "plain-repo"
        shutil.rmtree(plain, ignore_errors=True)
        quiet("ostree", "init", f"--repo={plain}", "--mode=bare")
        once(["ostree", "commit", f"--repo={plain}", "-b", "x", str(target)], parts)
        series.seconds.append(sum(parts.seconds))
        series.peak_mb.append(max(parts.peak_mb))

    first = compare("cold compose of a bootable tree", "mmdebstrap + dracut + ostree commit",
                    reach=0.7, runs=runs, ours=ours, theirs=theirs)  # fmt: skip

    def again(series: Series) -> None:
        site.compose(changed, repo, cold, series)
        site.compose(site.example, repo, cold, Series())

    def cold_again(series: Series) -> None:
        series.seconds += first.ours.seconds[:1]
        series.peak_mb += first.ours.peak_mb[:1]

    second = compare("recompose after one package changed", "the cold compose", reach=0.35,
                     runs=runs, ours=again, theirs=cold_again)  # fmt: skip
    return [first, second]


def table(rows: list[Row]) -> str:
    lines = ["| what | against | reach | ratio | ours (s) | theirs (s) | peak (MB) |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        lines.append(
            f"| {row.name} | {row.against} | {row.reach} | {row.ratio:.2f} | {row.ours.median:.2f} "
            f"| {row.theirs.median:.2f} | {max(row.ours.peak_mb):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compose-runs", type=int, default=1)
    parser.add_argument("--only", default="", help="rows whose group contains this word")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp/apt-ostree-bench"))
    args = parser.parse_args()
    mount.enter_private_namespace()
    args.directory.mkdir(parents=True, exist_ok=True)
    site = Site(args.directory)
    site.prepare()
    site.make_chroot()
    rows: list[Row] = []
    groups = {
        "install": lambda: [layering(site, args.runs, (SMALL,), name="warm install of one package",
                                     reach=2.0)],
        "many": lambda: [layering(site, args.runs, MANY, name="warm install of many packages",
                                  reach=0.8)],
        "rebuild": lambda: [rebuild(site, args.runs)],
        "nothing": lambda: [nothing(site, args.runs)],
        "compose": lambda: composes(site, args.compose_runs),
    }  # fmt: skip
    for word, group in groups.items():
        if args.only in word:
            rows += group()
    build = TOP / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(json.dumps([r.as_dict() for r in rows], indent=1) + "\n")
    print(table(rows))


main()

"""Rows about composing trees, and the floors: what single steps cost at least."""

from __future__ import annotations

import subprocess
from pathlib import Path

from apt_ostree.system import mount
from bench.measure import Row, Series, compare, once
from bench.site import Site, quiet, remove_tree


def _empty_repo(path: Path) -> Path:
    remove_tree(path)
    quiet("ostree", "init", f"--repo={path}", "--mode=bare")
    return path


def _dracut(site: Site, target: Path, series: Series) -> None:
    kernel = next((target / "usr/lib/modules").iterdir()).name
    with mount.bind(Path("/proc"), target / "proc"), mount.bind(Path("/dev"), target / "dev"):
        site.run_in(target, "dracut", "--force", "--no-hostonly", "--add", "ostree", "--kver",
                    kernel, "/boot/initramfs.img", series=series)  # fmt: skip


def _commit(site: Site, target: Path, series: Series) -> Path:
    """Commit a plain root; ostree cannot store the device nodes that mmdebstrap makes."""
    subprocess.run(["rm", "-rf", f"{target}/dev"], check=True)
    (target / "dev").mkdir()
    repo = _empty_repo(site.folder / "plain-repo")
    once(["ostree", "commit", f"--repo={repo}", "-b", "x", str(target)], series)
    return repo


def composes(site: Site, runs: int) -> list[Row]:
    """A cold compose against mmdebstrap, dracut and commit; one changed package against cold."""
    repo, cold = site.folder / "compose-repo", site.folder / "cold-cache"
    changed = site.folder / "changed.yaml"
    changed.write_text(f"include: {site.example}\npackages: [less]\n")
    target = site.folder / "mm"
    site.bootstrap(target, Series())  # so that its .debs are here too

    def ours(series: Series) -> None:
        site.copy_cache(cold)
        _empty_repo(repo)
        site.compose(site.example, repo, cold, series)

    def theirs(series: Series) -> None:
        parts = Series()
        site.bootstrap(target, parts)
        _dracut(site, target, parts)
        _commit(site, target, parts)
        series.seconds.append(sum(parts.seconds))
        series.peak_mb.append(max(parts.peak_mb))

    first = compare("cold compose of a bootable tree", "mmdebstrap + dracut + ostree commit",
                    reach=0.7, runs=runs, ours=ours, theirs=theirs)  # fmt: skip
    site.compose(changed, repo, cold, Series())  # fetches the package
    site.compose(site.example, repo, cold, Series())
    again = Series()
    for _ in range(runs):
        quiet("ostree", "refs", f"--repo={cold}/repo", "--delete", "aptostree/pkg/less")
        site.compose(changed, repo, cold, again)
        site.compose(site.example, repo, cold, Series())
    second = Row("recompose after one package changed", "the cold compose", 0.35, again, first.ours)
    return [first, second]


def floors(site: Site, runs: int) -> dict[str, Series]:
    """Single steps by the tools themselves, on the tree that the chroot is."""
    found: dict[str, Series] = {}

    def note(name: str) -> Series:
        return found.setdefault(name, Series())

    for _ in range(runs):
        place = site.folder / "floor-checkout"
        remove_tree(place)
        once(["ostree", "checkout", "-H", f"--repo={site.repo}", site.ref, str(place)],
             note("ostree checkout -H of the base"))  # fmt: skip
        with site.fresh_chroot() as root:
            _dracut(site, root, note("dracut with its default compression"))
            once(["chroot", str(root), "dpkg", "--configure", "-a"],
                 note("dpkg --configure -a with nothing to do"))  # fmt: skip
        target = site.folder / "floor-commit"
        remove_tree(target)
        quiet("cp", "-a", str(site.chroot), str(target))
        _commit(site, target, note("ostree commit of the whole tree"))
        once([str(site.on_argv("status")[0]), "--version"], note("start of the program"))
    for name in ("floor-checkout", "floor-commit"):
        remove_tree(site.folder / name)
    return found

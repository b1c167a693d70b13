"""Rows about layering: installs, rebuilds, and upgrades with nothing to do."""

from __future__ import annotations

import json

from bench.measure import Row, Series, compare, once
from bench.memory import Peak, peak
from bench.site import Site

SMALL = ("htop",)
MANY = ("nginx", "postgresql", "git", "vim", "tmux", "rsync", "strace", "tcpdump", "iputils-ping")
# The phases that `dpkg --unpack` stands against: putting files and database entries in place.
UNPACKING = ("lay", "unpack")


def _packages(count: int) -> str:
    return "one package" if count == 1 else f"{count} packages"


def install(site: Site, runs: int, names: tuple[str, ...], *, reach: float) -> Row:
    """A warm install against apt-get's in a chroot; both have everything downloaded."""
    count = site.keep(*names)
    site.download(names)

    def ours(series: Series) -> None:
        site.new_base()
        site.on("upgrade", "--cache-only")
        site.on("install", "--cache-only", *names, series=series)
        site.on("uninstall", "--all")

    def theirs(series: Series) -> None:
        with site.fresh_chroot() as root:
            site.run_in(root, "apt-get", "-qy", "install", *names, series=series)

    return compare(f"warm install of {_packages(count)}", "apt-get install in a plain chroot",
                   reach=reach, runs=runs, ours=ours, theirs=theirs)  # fmt: skip


def rebuild(site: Site, runs: int) -> list[Row]:
    """Layers moved to a changed base: the whole command, and the part that dpkg could do."""
    site.download(MANY)
    site.on("install", "--idempotent", *MANY)
    count = len(_layered(site))
    debs = sorted(f"/{p.relative_to(site.chroot)}" for p in site.chroot.glob(
        "var/cache/apt/archives/*.deb"))  # fmt: skip
    whole_ours, whole_theirs = Series(), Series()

    def ours(series: Series) -> None:
        site.new_base()
        site.on("upgrade", "--cache-only", series=whole_ours)
        series.seconds.append(sum(whole_ours.phases[-1].get(p, 0.0) for p in UNPACKING))
        series.peak_mb.append(whole_ours.peak_mb[-1])

    def theirs(series: Series) -> None:
        with site.fresh_chroot() as root:
            parts = Series()
            site.run_in(root, "dpkg", "--force-depends", "--unpack", *debs, series=parts)
            series.seconds.append(parts.seconds[0])
            series.peak_mb.append(parts.peak_mb[0])
            site.run_in(root, "dpkg", "--configure", "-a", series=parts)
            whole_theirs.seconds.append(sum(parts.seconds))
            whole_theirs.peak_mb.append(max(parts.peak_mb))

    row = compare(f"{_packages(count)} put in place on a changed base", "dpkg --unpack of them",
                  reach=0.4, runs=runs, ours=ours, theirs=theirs)  # fmt: skip
    whole = Row(f"upgrade that moves {_packages(count)} to a changed base",
                "dpkg --unpack and --configure of them", 1.0, whole_ours, whole_theirs)  # fmt: skip
    site.on("uninstall", "--all")
    return [row, whole]


def _layered(site: Site) -> list[object]:
    listed = once(site.on_argv("list", "--layered", "--json"), Series())
    return list(json.loads(listed))


def nothing(site: Site, runs: int) -> Row:
    """An upgrade that finds nothing to do; no lists are fetched on either side."""
    site.on("install", "--idempotent", *SMALL)

    def ours(series: Series) -> None:
        site.on("upgrade", "--cache-only", series=series)

    def theirs(series: Series) -> None:
        site.run_in(site.chroot, "apt-get", "-s", "dist-upgrade", series=series)

    row = compare("upgrade with nothing to do", "apt-get -s dist-upgrade", reach=1.5, runs=runs,
                  ours=ours, theirs=theirs)  # fmt: skip
    site.on("uninstall", "--all")
    return row


def memory(site: Site) -> list[Peak]:
    """Of a warm install of one package, and of a cold compose."""
    site.keep(*SMALL)
    site.new_base()
    site.on("upgrade", "--cache-only")
    installing = peak("install of one package", site.on_argv("install", "--cache-only", *SMALL))
    site.on("uninstall", "--all")
    cold = site.folder / "cold-cache"
    site.copy_cache(cold)
    composing = peak("cold compose", site.compose_argv(site.example, site.repo, cold,
                                                       "--force-nocache"))  # fmt: skip
    return [installing, composing]

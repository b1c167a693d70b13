"""Measure apt-ostree against what it replaces: python3 tools/bench [--runs N] [--only WORD].

Needs root and an apt mirror for the first run; everything measured uses what was fetched before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "src"), str(TOP / "tools")]

from apt_ostree.system import mount  # noqa: E402
from bench import composes, layers, table  # noqa: E402
from bench.site import Site  # noqa: E402
from bench.table import Results  # noqa: E402


def groups(site: Site, args: argparse.Namespace) -> dict[str, Callable[[], Results]]:
    """What `--only` chooses from."""
    runs = args.runs
    return {
        "install": lambda: Results([layers.install(site, runs, layers.SMALL, reach=2.0)]),
        "many": lambda: Results([layers.install(site, runs, layers.MANY, reach=0.8)]),
        "rebuild": lambda: Results(layers.rebuild(site, runs)),
        "nothing": lambda: Results([layers.nothing(site, runs)]),
        "compose": lambda: Results(composes.composes(site, args.compose_runs)),
        "memory": lambda: Results(peaks=layers.memory(site)),
        "floors": lambda: Results(floors=composes.floors(site, args.compose_runs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compose-runs", type=int, default=3)
    parser.add_argument("--only", default="", help="groups whose name contains this word")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp/apt-ostree-bench"))
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("error: the benchmark needs root (chroots, mounts, owners)")
    load = os.getloadavg()[0]
    mount.enter_private_namespace()
    args.directory.mkdir(parents=True, exist_ok=True)
    site = Site(args.directory)
    site.prepare()
    site.make_chroot()
    results = Results(load=load)
    for word, group in groups(site, args).items():
        if args.only in word:
            results = results.with_more(group())
    build = TOP / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(json.dumps(results.as_dict(), indent=1) + "\n")
    print(table.markdown(results))


main()

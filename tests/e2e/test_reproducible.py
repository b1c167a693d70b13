"""Equal requests give equal trees, whenever and wherever they are carried out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fixtures.bootable import EXAMPLES
from fixtures.machines import CHECKOUT, make_machine, run, suite

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.slow]
EPOCHS = ("1700000000", "1800000000")  # four years apart


def listing(repo: Path, rev: str) -> list[str]:
    return subprocess.run(
        ["ostree", f"--repo={repo}", "ls", "-R", "-C", "-X", rev],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip


def test_a_lockfile_composed_twice_gives_the_same_content(tmp_path):
    """A bootable tree, with an initramfs; each time in another directory, from an empty cache."""
    treefile = CHECKOUT / "examples" / f"{EXAMPLES[suite()]}.yaml"
    lockfile = tmp_path / "lock.json"
    results: list[dict[str, Any]] = []
    listings = []
    for epoch, place in zip(EPOCHS, ("one", "another/and/deeper"), strict=True):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        subprocess.run(["ostree", "init", f"--repo={folder}/repo", "--mode=bare"], check=True)
        locked = ["--ex-lockfile-strict", f"--ex-lockfile={lockfile}"] if results else [
            f"--ex-write-lockfile-to={lockfile}"]  # fmt: skip
        run(
            "compose", "tree", f"--repo={folder}/repo", f"--cachedir={folder}/cache", *locked,
            f"--write-composejson-to={folder}/result.json", treefile, SOURCE_DATE_EPOCH=epoch,
        )  # fmt: skip
        results.append(json.loads((folder / "result.json").read_text()))
        listings.append(listing(folder / "repo", results[-1]["ostree-commit"]))
    assert sorted(set(listings[0]) ^ set(listings[1])) == []
    assert len({r["ostree-content-checksum"] for r in results}) == 1
    # the time is the commit's, so it is another commit all the same
    assert len({r["ostree-commit"] for r in results}) == 2


# Accounts, certificates, caches, byte-compiled Python, shared MIME data.
# PostgreSQL's and MariaDB's data directories are left out: initdb puts a random number in them.
LAYERED = ("fail2ban", "htop", "nginx", "openssh-server", "shared-mime-info", "ssl-cert", "vim")


def test_two_machines_layer_the_same_tree(tmp_path_factory):
    trees, order = [], list(LAYERED)
    for name in ("one", "another"):
        machine = make_machine(tmp_path_factory.mktemp(name))
        machine("refresh-md")
        machine("install", *order)
        order.reverse()  # the same request in other words
        trees.append(listing(machine.repo, machine.deployments[0]["checksum"]))
        machine.release()
    assert sorted(set(trees[0]) ^ set(trees[1])) == []

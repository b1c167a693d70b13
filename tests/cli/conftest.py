"""Running the program in this process, and golden files."""

import os
import sys
import types
from pathlib import Path

import pytest

from apt_ostree.cli import main as cli
from apt_ostree.model.change import Outcome

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden" / "cli"


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the program; gives (exit status, stdout, stderr)."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def call(*words):
        code = cli.main(["apt-ostree", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def golden():
    """Compare a text with its file; APT_OSTREE_UPDATE_GOLDEN=1 rewrites the file instead."""

    def compare(name, text):
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("APT_OSTREE_UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"differs from {path}"

    return compare


@pytest.fixture
def provide(monkeypatch):
    """Put functions in the place of a use case, so that what a command asks of it can be seen."""

    def put(module, **functions):
        name = f"apt_ostree.{module}"
        fake = types.ModuleType(name)
        for key, function in functions.items():
            setattr(fake, key, function)
        monkeypatch.setitem(sys.modules, name, fake)

    return put


@pytest.fixture
def asked(provide):
    """What reaches `host.change`: a list of (sysroot, stateroot, change, options)."""
    calls = []

    def change(sysroot, stateroot, edit, options, progress):
        calls.append((sysroot, stateroot, edit, options))
        return calls_outcome[0]

    calls_outcome = [Outcome(changed=True, deployment="debian-abc.0")]

    class Asked(list):
        def answer(self, outcome):
            calls_outcome[0] = outcome

    calls = Asked()
    provide("host.change", run=change)
    return calls

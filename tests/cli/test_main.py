"""Dispatch, usage errors, exit codes and the ways a run can end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from apt_ostree.cli import registry
from apt_ostree.cli.command import Command, Target
from apt_ostree.cli.options import Opt
from apt_ostree.errors import AptOstreeError, TreefileError, UsageError

PROGRAM = Path(__file__).parents[2] / "bin" / "apt-ostree"


@pytest.fixture
def verb(monkeypatch):
    """Register a command `probe` that does what the test says."""

    def register(function, **details):
        command = Command(function, target=Target.LOCAL, **details)
        monkeypatch.setattr(registry.Entry, "load", lambda self: command)
        monkeypatch.setitem(registry.ENTRIES, "probe", registry.Entry("probe", "", "Probe"))

    return register


def raising(error):
    def body(args, session):
        raise error

    return body


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No command specified"),
        (["bogus"], "Unknown command 'bogus'"),
        (["compose"], 'No "compose" subcommand specified'),
        (["compose", "x"], 'Unknown "compose" subcommand "x"'),
        (["override"], 'No "override" subcommand specified'),
        (["rpm", "x"], 'Unknown "db" subcommand "x"'),
        (["-q", "db"], 'No "db" subcommand specified'),
    ],
)
def test_no_such_command_shows_help_on_stderr(run, words, message):
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert err.startswith("Usage:\n  apt-ostree ")
    assert err.endswith(f"\n\nerror: {message}\n")


def test_unknown_option_is_one_line(run):
    assert run("--nope") == (1, "", "error: Unknown option --nope\n")
    assert run("status", "--nope") == (1, "", "error: Unknown option --nope\n")


@pytest.mark.parametrize("words", [["--version"], ["db", "--version"], ["status", "--version"]])
def test_version_is_yaml(run, words):
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert set(yaml.safe_load(out)["apt-ostree"]) == {"Version", "Features"}


def test_help_lists_visible_commands_in_columns(run):
    code, out, err = run("--help")
    rows = [line for line in out.splitlines() if line.startswith("  ") and line[25:26] != " "]
    names = [row.split()[0] for row in rows]
    assert (code, err) == (0, "")
    assert "  rollback               Revert to the previously booted tree" in rows
    shown = names[names.index("checkout") : names.index("why") + 1]
    assert shown == sorted(shown)
    assert not {"update", "pkg-add", "ex", "rpm", "start-daemon"} & set(names)


def test_option_before_the_command(run):
    code, out, _ = run("-h", "db", "diff")
    assert code == 0
    assert out.startswith("Usage:\n  apt-ostree db diff [OPTION...]")


@pytest.mark.parametrize("name", sorted(registry.UNAVAILABLE))
def test_what_is_not_there_says_so(run, name):
    code, out, err = run(*name.split())
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"error: '{name}' is not available: ")


def test_usage_error_shows_help_first(run, verb):
    verb(raising(UsageError("At least one PACKAGE must be specified")), usage="PACKAGE")
    code, out, err = run("probe")
    assert (code, out) == (1, "")
    assert err.startswith("Usage:\n  apt-ostree probe [OPTION...] PACKAGE\n\nProbe\n")
    assert err.endswith("\n\nerror: usage error: At least one PACKAGE must be specified\n")


def test_failure_has_details_and_hint(run, verb):
    verb(raising(AptOstreeError("no", details=("  why",), hint="try 'x'")))
    assert run("probe") == (1, "", "error: no\n  why\ntry 'x'\n")


def test_several_faults_are_one_failure(run, verb):
    faults = [
        TreefileError("unknown key 'a'", where="t.yaml:1", hint="did you mean 'b'?"),
        TreefileError("no", where="t.yaml:2"),
    ]
    verb(raising(ExceptionGroup("t.yaml cannot be used", faults)))
    code, _, err = run("probe")
    assert code == 1
    assert err.splitlines() == [
        "error: t.yaml cannot be used:",
        "  t.yaml:1: unknown key 'a' (did you mean 'b'?)",
        "  t.yaml:2: no",
    ]


def test_a_bug_is_one_line_unless_debugging(run, verb, monkeypatch):
    verb(raising(ZeroDivisionError("division by zero")))
    code, _, err = run("probe")
    assert code == 1
    assert err.startswith("error: internal error: ZeroDivisionError: division by zero\n")
    assert "Traceback" not in err
    monkeypatch.setenv("APTOSTREE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("probe")


def test_interrupt_is_130(run, verb):
    verb(raising(KeyboardInterrupt()))
    assert run("probe") == (130, "", "error: Operation was cancelled\n")


def test_root_is_asked_for_before_work(run, verb, monkeypatch):
    ran = []
    verb(lambda args, session: ran.append(1) or 0, needs_root=True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _, err = run("probe", "-q")
    assert (code, ran) == (1, [])
    assert err.splitlines()[0] == "error: This command requires root privileges"
    monkeypatch.setenv("APTOSTREE_SUPPRESS_REQUIRES_ROOT_CHECK", "1")
    assert run("probe") == (0, "", "")


def test_clap_family_ends_with_2(run, verb):
    options = (Opt("cachedir", metavar="DIR"),)
    from apt_ostree.cli.command import Family

    verb(lambda *_: 0, family=Family.CLAP, required=("MANIFEST", "DEST"), options=options,
         usage="<MANIFEST> <DEST>")  # fmt: skip
    for words, first in [
        (["a", "b", "--x"], "error: unexpected argument '--x' found"),
        (["a", "b", "c"], "error: unexpected argument 'c' found"),
        (["a"], "error: the following required arguments were not provided:"),
        (
            ["a", "b", "--cachedir"],
            "error: a value is required for '--cachedir' but none was supplied",
        ),
    ]:
        code, out, err = run("probe", *words)
        assert (code, out, err.splitlines()[0]) == (2, "", first)
        assert "Usage: apt-ostree probe [OPTION...] <MANIFEST> <DEST>" in err
    assert run("probe", "a", "b")[0] == 0


def test_not_booted_is_two_lines(run, monkeypatch):
    if Path("/run/ostree-booted").exists():
        pytest.skip("booted through ostree")
    monkeypatch.delenv("container", raising=False)
    code, out, err = run("status")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "error: This system was not booted via libostree.",
        "Currently, most apt-ostree commands only work on ostree-based host systems.",
    ]
    monkeypatch.setenv("container", "podman")
    assert "; found container=podman environment variable." in run("status")[2]


def program(*words, **kwargs):
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words], capture_output=True, check=False, **kwargs
    )


def test_arguments_must_be_utf8():
    done = program(b"install", b"b\xe9")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: Argument is invalid UTF-8: b")


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_work_goes_on_when_the_reader_leaves(tmp_path):
    done_file = tmp_path / "done"
    code = (
        "import sys, types; sys.path.insert(0, 'src')\n"
        "from pathlib import Path\n"
        "from apt_ostree.cli import main as cli\n"
        "from apt_ostree.model.change import Outcome\n"
        "fake = types.ModuleType('apt_ostree.host.change')\n"
        "def run(sysroot, stateroot, change, options, progress):\n"
        "    for n in range(99): progress.message(f'line {n}')\n"
        f"    Path({str(done_file)!r}).touch(); return Outcome(changed=True)\n"
        "fake.run = run; sys.modules['apt_ostree.host.change'] = fake\n"
        "sys.exit(cli.main(['apt-ostree', 'install', 'a', '--sysroot=/mnt']))\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False,
        cwd=PROGRAM.parents[1], env={**os.environ, "APTOSTREE_SUPPRESS_REQUIRES_ROOT_CHECK": "1"},
    )  # fmt: skip
    os.close(write)
    assert done_file.exists()
    assert (done.returncode, done.stderr) == (141, b"")


def test_full_and_closed_streams():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"error: writing the result: No space left on device\n"
    closed = subprocess.run(["sh", "-c", f"{PROGRAM} --version >&- 2>&-"], check=False)
    assert closed.returncode == 0


def test_looking_needs_no_root(run, provide, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    provide("host.kargs", show=lambda *_: "quiet")
    assert run("kargs", "--sysroot=/mnt") == (0, "quiet\n", "")
    code, _, err = run("kargs", "--append=x", "--sysroot=/mnt")
    assert (code, err.splitlines()) == (1, [
        "error: This command requires root privileges",
        "sudo apt-ostree kargs --append=x --sysroot=/mnt",
    ])  # fmt: skip


def test_sysroot_that_is_not_there(run):
    assert run("status", "--sysroot=/nowhere")[2].splitlines() == [
        "error: '/nowhere' is not a directory",
        "apt-ostree init makes a new sysroot",
    ]


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.path.insert(0, 'src'); from apt_ostree.cli.main import main;"
        "main(['apt-ostree', 'install', '--help']); main(['apt-ostree', '--help']);"
        "heavy = {'apt', 'apt_pkg', 'gi', 'yaml', 'rich', 'subprocess', 'argparse', 'asyncio'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=PROGRAM.parents[1], check=True
    )
    assert done.stderr.decode().strip() == "[]"


def test_signal_ends_a_run_cleanly(tmp_path):
    code = (
        "import sys, signal; sys.path.insert(0, 'src')\n"
        "from apt_ostree.cli import main as cli, registry\n"
        "from apt_ostree.cli.command import Command, Target\n"
        "def body(args, session):\n"
        "    try:\n"
        "        print('ready', flush=True); signal.pause()\n"
        "    finally:\n"
        "        print('unwound', flush=True)\n"
        "registry.Entry.load = lambda self: Command(body, target=Target.LOCAL)\n"
        "sys.exit(cli.main(['apt-ostree', 'status']))\n"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=PROGRAM.parents[1],
        ) as child:  # fmt: skip
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(number)
            out, err = child.communicate(timeout=20)
        assert (child.returncode, out) == (130, b"unwound\n")
        assert err.decode().splitlines() == [
            "Caught SIGINT, cancelling transaction" if number == signal.SIGINT
            else "Caught SIGTERM, cancelling transaction",
            "error: Operation was cancelled",
        ]  # fmt: skip

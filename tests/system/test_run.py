import os
import signal
import subprocess
import sys

import pytest

from apt_ostree.errors import CommandError, MissingToolError
from apt_ostree.system.run import run, run_bytes, spawn


def test_output_and_environment_are_clean(monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    out = run(["sh", "-c", "echo $SECRET$LC_ALL; echo err >&2"]).output
    assert out == "C.UTF-8\nerr\n"


def test_stdin_is_empty_or_given():
    assert run(["cat"]).output == ""
    assert run_bytes(["tr", "a", "b"], stdin=b"aa") == b"bb"


def test_failure_carries_status_and_tail():
    script = "for i in $(seq 30); do echo line $i; done; exit 3"
    with pytest.raises(CommandError, match="status 3") as caught:
        run(["sh", "-c", script])
    assert caught.value.status == 3
    assert caught.value.tail[-1] == "line 30"
    assert len(caught.value.tail) == 20


def test_a_signal_is_named():
    with pytest.raises(CommandError, match="killed by signal 9"):
        run(["sh", "-c", "kill -9 $$"])


def test_missing_tool_names_the_package():
    with pytest.raises(MissingToolError, match="'no-such-tool' is not installed") as caught:
        run(["no-such-tool"])
    assert caught.value.hint == "apt-get install no-such-tool"


def test_spawn_leaves_nothing_behind():
    class Stop(Exception):
        pass

    pids = []

    def work() -> None:
        with spawn(["sh", "-c", "sleep 1000 & echo $!; wait"]) as child:
            assert child.stdout is not None
            pids.append(int(child.stdout.readline()))
            raise Stop

    with pytest.raises(Stop):
        work()
    with pytest.raises(ProcessLookupError):
        for _ in range(200):
            os.kill(pids[0], 0)
            subprocess.run([sys.executable, "-c", ""], check=False)


def test_spawned_programs_start_their_own_session():
    with spawn(["sh", "-c", "ps -o sid= -p $$"]) as child:
        assert child.stdout is not None
        assert int(child.stdout.read()) == child.pid
        assert child.wait() == 0
    assert signal.getsignal(signal.SIGINT) is not None

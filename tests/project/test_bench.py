"""The tools that measure, measured on processes whose time and memory are known."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools"))
from bench import memory, table
from bench.measure import Row, Series, compare, once

HUNGRY = "b = b'x' * ({} * 2**20); import time; time.sleep(0.4)"


def test_memory_of_all_descendants_is_added_up():
    child = HUNGRY.format(60)
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', \"{child}\"])"
    peak = memory.peak("two", ["/usr/bin/python3", "-c", code])
    assert 60 < peak.together_mb < 120
    alone = memory.peak("one", ["/usr/bin/python3", "-c", "import time; time.sleep(0.2)"])
    assert 0 < alone.together_mb < 40
    assert alone.largest_mb > 4


def test_a_command_is_timed_and_its_phases_are_read():
    series = Series()
    for seconds in ("0.25", "0.5", "0.75"):
        text = '{"timings": {"lay": %s}}' % seconds  # noqa: UP031 - braces
        assert once(["echo", text], series) == f"{text}\n"
    assert len(series.seconds) == 3 and min(series.seconds) > 0
    assert series.phase_medians == {"lay": 0.5}


def test_a_failing_command_ends_the_benchmark():
    with pytest.raises(SystemExit, match=r"sh -c(.|\n)*no luck"):
        once(["sh", "-c", "echo no luck >&2; exit 3"], Series())


def test_sides_alternate_and_medians_make_the_ratio():
    order = []

    def side(name, times):
        def run(series):
            order.append(name)
            series.seconds.append(times[len(series.seconds)])
            series.peak_mb.append(1.0)

        return run

    row = compare("a", "b", reach=1.0, runs=3, ours=side("ours", [9.0, 1.0, 2.0]),
                  theirs=side("theirs", [4.0, 1.0, 50.0]))  # fmt: skip
    assert order == ["ours", "theirs"] * 3
    assert row.ratio == 0.5
    assert row.as_dict()["ours-s"] == [9.0, 1.0, 2.0]


def test_results_are_tables_of_markdown():
    row = Row("install", "apt", 2.0, Series([1.0], [50.0], [{"solve": 0.3}]), Series([2.0], [9.0]))
    peaks = [memory.Peak("compose", 100.0, 150.0)]
    results = table.Results([row]).with_more(table.Results(peaks=peaks, floors={"x": row.theirs}))
    lines = table.markdown(results).splitlines()
    assert "| install | apt | ≤ 2.0 | 0.50 | 1.00 | 2.00 | 50 |" in lines
    assert "install: solve 0.30 s" in lines
    assert "| compose | 100 | 150 |" in lines
    assert "| x | 2.00 |" in lines

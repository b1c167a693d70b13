import subprocess
import sys
from pathlib import Path

import pytest

from apt_ostree.errors import BusyError
from apt_ostree.system import lock


def test_a_second_holder_is_refused_with_the_name_of_the_first(tmp_path):
    path = tmp_path / "sub/lock"
    code = (
        "import sys; from pathlib import Path; from apt_ostree.system import lock\n"
        "with lock.exclusive(Path(sys.argv[1]), what='the cache'): print('held')"
    )
    env = {"PYTHONPATH": str(Path(lock.__file__).parents[2])}
    with lock.exclusive(path, what="the cache"):
        assert lock.is_locked(path)
        other = subprocess.run(
            [sys.executable, "-c", code, path], env=env, capture_output=True, text=True, check=False
        )
        assert "the cache is in use by process" in other.stderr
        with pytest.raises(BusyError), lock.exclusive(path, what="the cache"):
            pass
    assert not lock.is_locked(path)
    assert not lock.is_locked(tmp_path / "none")
    free = subprocess.run(
        [sys.executable, "-c", code, path], env=env, capture_output=True, text=True, check=True
    )
    assert free.stdout == "held\n"

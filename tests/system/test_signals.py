import os
import signal
import threading

import pytest

from apt_ostree.system import signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_have_no_effect_in_the_block_and_have_after_it(number):
    got = []
    before = signal.signal(number, lambda n, _: got.append(n))
    try:
        with signals.ignored():
            os.kill(os.getpid(), number)
        assert got == []
        os.kill(os.getpid(), number)
        assert got == [number]
    finally:
        signal.signal(number, before)


def test_other_threads_may_use_it():
    done = []

    def work() -> None:
        with signals.ignored():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]

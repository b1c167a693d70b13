import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.daemons import served
from fixtures.debrepo import make_deb
from fixtures.machines import make_machine


@contextmanager
def public_directory():
    """pytest's own directories are closed to others, and an unprivileged client must get in."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="apt-ostree-test-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture(scope="session")
def daemon_machine():
    """A machine with packages to layer; shared, since the daemon's tests are about the daemon."""
    with public_directory() as directory:
        machine = make_machine(directory)
        waits = "#!/bin/sh\nsleep 600\n"
        machine.publish(
            make_deb(directory, "quick", files={"/usr/bin/quick": "#!/bin/sh\n"}),
            make_deb(directory, "slow", scripts={"postinst": waits}),
        )
        yield machine
        machine.release()


@pytest.fixture
def service(daemon_machine):
    """A fresh daemon for one test."""
    with public_directory() as directory, served(directory, daemon_machine) as made:
        yield made

"""End-to-end tests: the program as users run it, on really composed trees."""

import pytest
from fixtures.branch import make_branch
from fixtures.machines import machine  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def branch(tmp_path_factory):
    """A branch with three versions of a base; the tests set which one is the newest."""
    return make_branch(tmp_path_factory.mktemp("branch"))

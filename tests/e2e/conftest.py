"""End-to-end tests: the program as users run it, on really composed trees."""

from fixtures.machines import machine  # noqa: F401 - a fixture

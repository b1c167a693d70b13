"""Verbs on a machine that follows a branch, instead of one with a base of its own."""

from fixtures.branch import machine  # noqa: F401 - a fixture

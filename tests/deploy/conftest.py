"""A real sysroot to work on."""

from fixtures.sysroots import site

__all__ = ["site"]

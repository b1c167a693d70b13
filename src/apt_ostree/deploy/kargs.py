"""Kernel arguments of boot entries, without those that are libostree's own."""

from __future__ import annotations

from apt_ostree.model.change import KargsEdit
from apt_ostree.model.kargs import KernelArgs


def edited(options_line: str, edit: KargsEdit) -> tuple[str, ...]:
    """The arguments of a new boot entry: those of `options_line` after `edit`, without libostree's.

    Raises KargsError when the edit does not fit.  Whether anything changed is the caller's to
    compare with `current`.
    """
    return KernelArgs.parse(options_line).editable().apply(edit).editable().words


def current(options_line: str) -> tuple[str, ...]:
    """The arguments of a boot entry that users may edit."""
    return KernelArgs.parse(options_line).editable().words

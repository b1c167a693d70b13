"""Kernel arguments of boot entries, without the one that is libostree's own."""

from __future__ import annotations

from apt_ostree.model.change import KargsEdit
from apt_ostree.model.kargs import KernelArgs

OWN = "ostree"  # `ostree=` names the deployment; libostree writes it


def edited(options_line: str, edit: KargsEdit) -> tuple[str, ...]:
    """The arguments of a new boot entry: those of `options_line` after `edit`, without `ostree=`.

    Raises KargsError when the edit does not fit.  Whether anything changed is the caller's to
    compare with `current`.
    """
    return KernelArgs.parse(options_line).without(OWN).apply(edit).without(OWN).words


def current(options_line: str) -> tuple[str, ...]:
    """The arguments of a boot entry that users may edit."""
    return KernelArgs.parse(options_line).without(OWN).words

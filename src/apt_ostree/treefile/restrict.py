"""Which keys belong to a build server and which to a client."""

from __future__ import annotations

import json

from apt_ostree.errors import TreefileError
from apt_ostree.treefile.keys import Side
from apt_ostree.treefile.schema import TABLE, Treefile

# Keys of a compose that a client may set without deviating from its base: they say how the file is
# to be read and where packages come from, not what the tree is.
CLIENT_MAY_SET = frozenset({"basearch", "variables", "releasever", "repos"})


def for_compose(treefile: Treefile) -> None:
    """TreefileError when a key is set that only makes sense on top of a base."""
    _refuse(treefile, Side.DERIVE, "the following derivation fields are not supported:")


def for_client(treefile: Treefile) -> None:
    """TreefileError when a key is set that only a compose can honour."""
    _refuse(treefile, Side.COMPOSE, "the following base fields are not supported:")


def _refuse(treefile: Treefile, side: Side, message: str) -> None:
    written = {
        name: value
        for name, value in treefile.as_json().items()
        if TABLE[name].side is side and not (side is Side.COMPOSE and name in CLIENT_MAY_SET)
    }
    if not written:
        return
    error = TreefileError(message, where=treefile.where_of(next(iter(written))))
    error.details = tuple(json.dumps(written, indent=2, ensure_ascii=False).splitlines())
    raise error

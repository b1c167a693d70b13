"""One digest over everything a treefile contributes to a build, for change detection."""

from __future__ import annotations

import hashlib
import json
import os

from apt_ostree.treefile import files, result, sources
from apt_ostree.treefile.schema import FIELDS, Treefile
from apt_ostree.treefile.values import FileRef, encode

# `metadata` is for other tools; of `variables` only what they were substituted into counts.
NOT_PART = frozenset({"metadata", "variables"})


def digest(treefile: Treefile) -> str:
    """SHA-256 (hex) of the keys and of the content of every file they name.

    Comments, the order of keys, the split into included files and where the files lie make no
    difference; defaults count by their value.  Not in it: the packages that the sources hold, and
    the content of `ostree-layers`.  TreefileError when a file has gone.
    """
    named = [(key, ref.name, *_content(ref)) for key, ref in result.references(treefile)]
    identity = {
        "keys": {
            name: encode(treefile.value(name)) for name in sorted(FIELDS) if name not in NOT_PART
        },
        "files": named,
        "sources": [
            (source.id, hashlib.sha256(source.text.encode()).hexdigest())
            for source in sources.find(treefile)
        ],
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _content(ref: FileRef) -> tuple[int, str]:
    """Permission bits and SHA-256 of a file."""
    with files.opened(ref) as (fd, status), os.fdopen(os.dup(fd), "rb") as stream:
        return status.st_mode & 0o7777, hashlib.file_digest(stream, "sha256").hexdigest()

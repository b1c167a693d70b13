"""From merged keys to the value: defaults, substitution, and what only shows in the whole."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import files, variables
from apt_ostree.treefile.keys import UNSET
from apt_ostree.treefile.node import Fault
from apt_ostree.treefile.schema import FIELDS, TABLE, Treefile
from apt_ostree.treefile.values import FileRef

FINALIZE_D = "finalize.d"
# ostree_validate_rev() in libostree's ostree-core.c; "\w" is what GLib's regex takes it for.
REF = re.compile(r"[\w][-._\w]*(/[\w][-._\w]*)*\Z", re.ASCII)


def build(
    values: Mapping[str, Any],
    where: Mapping[str, str],
    directories: tuple[Path, ...],
    *,
    source: str,
) -> Treefile:
    """The value of merged keys; TreefileError for what does not fit together."""
    edition = values.get("edition", "2014")
    is_container = values.get("container", False)
    known = {
        **values.get("variables", {}),
        **variables.automatic(
            basearch=values["basearch"], releasever=values.get("releasever")
        ),
    }  # fmt: skip
    chosen: dict[str, Any] = {}
    for name, attribute in FIELDS.items():
        row = TABLE[name]
        value = values.get(name, row.default_for(edition))
        if is_container and row.container is not UNSET:
            value = row.container
        if row.is_substituted and name in values:
            value = _substituted(value, known, where=where.get(name, source))
        chosen[attribute] = value
    treefile = Treefile(
        **chosen,
        source=source,
        given=frozenset(values),
        directories=directories,
        where=where,
    )
    _check(treefile)
    if treefile.edition >= "2024":
        treefile = replace(treefile, finalize_d=_finalize_d(directories))
    return treefile


def _substituted(value: Any, known: Mapping[str, variables.Variable], *, where: str) -> Any:
    """Texts, and the texts that are values of a map (one level: what lies deeper is data)."""
    try:
        if isinstance(value, str):
            return variables.substitute(value, known)
        return {
            name: variables.substitute(item, known) if isinstance(item, str) else item
            for name, item in value.items()
        }
    except Fault as fault:
        raise TreefileError(fault.message, where=where, hint=fault.hint) from fault


def _check(treefile: Treefile) -> None:
    if treefile.ref is not None and not REF.match(treefile.ref):
        raise TreefileError(
            f"'{treefile.ref}' is not a branch name", where=treefile.where_of("ref"),
            hint="words of letters, digits, '-', '.' and '_', apart by '/'",
        )  # fmt: skip
    if treefile.units and not treefile.machineid_compat:
        raise TreefileError(
            "'units' directive is incompatible with machineid-compat = false",
            where=treefile.where_of("units"),
            hint="without /etc/machine-id systemd presets every unit at first boot",
        )


def _finalize_d(directories: tuple[Path, ...]) -> tuple[FileRef, ...]:
    """The programs of every directory, by name; of two with one name the first directory's."""
    found: dict[str, FileRef] = {}
    for directory in directories:
        for ref in files.executables(directory / FINALIZE_D):
            found.setdefault(ref.name, ref)
    return tuple(found[name] for name in sorted(found))


def references(treefile: Treefile) -> tuple[tuple[str, FileRef], ...]:
    """Every file whose content is part of the build, with the key that names it."""
    found = [("add-files", added.file) for added in treefile.add_files]
    if treefile.postprocess_script is not None:
        found.append(("postprocess-script", treefile.postprocess_script))
    for name, check in (
        ("check-passwd", treefile.check_passwd),
        ("check-groups", treefile.check_groups),
    ):
        if check.file is not None:
            found.append((name, check.file))
    found += [(FINALIZE_D, ref) for ref in treefile.finalize_d]
    return tuple(found)


def check_files(treefile: Treefile) -> None:
    """Open every file once, so that a missing one is found before hours of work, not after."""
    problems: list[TreefileError] = []
    for name, ref in references(treefile):
        try:
            with files.opened(ref) as (fd, _):
                mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if name == "postprocess-script" and not mode & 0o111:
                raise TreefileError(
                    "postprocess-script must be executable", where=ref.where,
                    hint=f"chmod +x {ref.path}",
                )  # fmt: skip
        except TreefileError as err:
            problems.append(err)
    if problems:
        problems[0].details = tuple(str(other) for other in problems[1:])
        raise problems[0]

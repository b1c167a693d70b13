"""Why a file or package is on the system: from it to the request or the treefile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from apt_ostree.apt import dpkgdb
from apt_ostree.apt.dpkgdb import Database
from apt_ostree.errors import AptOstreeError
from apt_ostree.insight import pkglist, selection
from apt_ostree.insight.depends import Graph, Link
from apt_ostree.model import origin as origins
from apt_ostree.model.origin import Origin
from apt_ostree.model.package import Package
from apt_ostree.ostree.sysroot import Deployment, Sysroot

Json = dict[str, Any]
DATABASE = "usr/lib/sysimage/dpkg"
TREEFILE = "usr/share/apt-ostree/treefile.json"


def explain(
    sysroot: Path, stateroot: str | None, target: str, *, deployment: str | None = None
) -> Json:
    """{target, package, chain}: each link of the chain is {kind, name, text}.

    `target` is a path (with a leading `/`) or a package (`name`, `name:arch`).  Kinds: `package`
    owns the file; `depends` needs the one before; then what ends the chain: `request`, `local`,
    `base`, or `unknown` when nothing needs it any more.  Raises AptOstreeError for what is not
    there.
    """
    opened = Sysroot.open(sysroot)
    chosen = selection.choose(opened, stateroot, deployment)
    scene = Scene(opened, chosen)
    if target.startswith("/"):
        owners = scene.database.owners_of(target)
        if not owners:
            raise _unowned(chosen, target)
        package, others = owners[0], owners[1:]
        shared = f" (and {len(others)} more)" if others else ""
        first = [_link("package", package.name, f"owned by {package.nevra}{shared}")]
    else:
        package = scene.package(target)
        first = [_link("package", package.name, package.nevra)] if target != package.name else []
    return {
        "target": target,
        "package": package.as_dict(),
        "chain": [*first, *scene.reasons(package)],
    }


def _link(kind: str, name: str, text: str) -> Json:
    return {"kind": kind, "name": name, "text": text}


def _unowned(deployment: Deployment, path: str) -> AptOstreeError:
    real = deployment.directory / path.lstrip("/")
    if path.startswith("/etc/") or real.is_symlink() or real.exists():
        hint = "it was made by a script, when the tree was built, or by the administrator"
    else:
        hint = f"and there is no such file in {deployment.id}"
    return AptOstreeError(f"no package owns '{path}'", hint=hint)


@dataclass
class Scene:
    """One deployment with what decides its packages, each part read when it is asked for."""

    sysroot: Sysroot
    deployment: Deployment

    @cached_property
    def database(self) -> Database:
        return dpkgdb.load(self.deployment.directory / DATABASE)

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.database)

    @cached_property
    def origin(self) -> Origin:
        text = self.deployment.origin
        source = f"the origin of {self.deployment.id}"
        return origins.parse(text, source=source) if text.strip() else Origin()

    @cached_property
    def base(self) -> dict[str, Package] | None:
        """Packages of the base by key; None when the whole deployment is base."""
        repo = self.sysroot.repo
        checksum = selection.base_of(repo, self.deployment)
        if checksum is None:
            return None
        return {p.key: p for p in pkglist.of_commit(repo, checksum)}

    @cached_property
    def treefile(self) -> Json:
        path = self.deployment.directory / TREEFILE
        try:
            raw = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return {}
        return raw if isinstance(raw, dict) else {}

    def package(self, name: str) -> Package:
        """The installed package of that name.  Raises AptOstreeError."""
        found = self.database.find(name)
        if found:
            return dpkgdb.package_of(found[0])
        bare, _, arch = name.partition(":")
        providers = self.graph.called(bare, arch or None)
        if len(providers) == 1:
            return dpkgdb.package_of(self.database.installed[providers[0]])
        if providers:
            names = ", ".join(p.rpartition(":")[0] for p in providers)
            raise AptOstreeError(
                f"'{name}' is provided by several packages", hint=f"ask for one of: {names}"
            )
        raise AptOstreeError(
            f"package '{name}' is not in deployment {self.deployment.id}",
            hint=f"apt-ostree search {name}",
        )

    def reasons(self, package: Package) -> Iterator[Json]:
        """The chain from a package to its cause, the package itself left out."""
        if self.base is None or package.key in self.base:
            yield from self._base_reasons(package)
            return
        roots = dict(self._requests())
        chain = self.graph.chain(roots, package.key)
        if chain is None:
            yield _link("unknown", package.name, "layered, but no request leads to it")
            return
        yield from _needers(chain)
        yield roots[chain[0].needer if chain else package.key]

    def _base_reasons(self, package: Package) -> Iterator[Json]:
        if self.base is not None and (old := self.base[package.key]) != package:
            yield _link("override", package.name, f"replaces {old.nevra} of the base")
        roots = dict(self._treefile_roots())
        chain = self.graph.chain(roots, package.key) if roots else None
        if chain is None:
            yield _link("base", package.name, "in the base image")
            return
        yield from _needers(chain)
        yield roots[chain[0].needer if chain else package.key]

    def _requests(self) -> Iterator[tuple[str, Json]]:
        """The installed packages that the origin asks for, each with the link that says so."""
        for request in self.origin.requested:
            text = f"requested as '{request}'"
            for key in self._meant(request):
                yield key, _link("request", request, text)
        for local in (*self.origin.local, *self.origin.local_fileoverride):
            for key, stanza in self.database.installed.items():
                if dpkgdb.package_of(stanza).nevra == local.nevra:
                    text = f"requested as a local package: {local.nevra}"
                    yield key, _link("local", local.nevra, text)

    def _meant(self, request: str) -> tuple[str, ...]:
        """`name`, `name:arch`, `name=version`, `name/suite`, or a file that a package owns."""
        if request.startswith("/"):
            return tuple(p.key for p in self.database.owners_of(request))
        name, _, arch = request.partition("=")[0].partition("/")[0].partition(":")
        return self.graph.called(name, arch or None)

    def _treefile_roots(self) -> Iterator[tuple[str, Json]]:
        for entry in self.treefile.get("packages", ()):
            if isinstance(entry, str):
                text = f"in the base image: treefile has '{entry}' in 'packages'"
                for key in self._meant(entry):
                    yield key, _link("base", entry, text)
        for key, stanza in self.database.installed.items():
            if stanza.get("Essential") == "yes":
                yield key, _link("base", stanza["Package"], "in the base image: essential")


def _needers(chain: tuple[Link, ...]) -> Iterator[Json]:
    """From the needed to the needer, as the user reads upwards to the cause."""
    for link in reversed(chain):
        name = link.needer.rpartition(":")[0]
        verb = "recommended by" if link.field == "Recommends" else "needed by"
        yield _link("depends", name, f"{verb} {name} ({link.field}: {link.text})")

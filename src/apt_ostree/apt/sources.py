"""apt sources: parsing `*.sources` and `*.list` files into values that name one suite each.

A source's id is the stem of its file; `:SUITE` is appended when the file holds several, and
`#N` when even that is not unique.  Source: sources.list(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from apt_ostree.apt import deb822
from apt_ostree.errors import AptOstreeError
from apt_ostree.system import fs

# Options of a one-line entry and their deb822 names, where they differ in more than case.
_OPTION_NAMES = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_-]+)\}|\$(suite|arch|releasever|basearch)\b")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Source:
    """One suite of one or more mirrors.

    A flat source has a `suite` ending in `/` and no components.  `options` are the other fields
    by their deb822 names; `where` is `FILE:LINE`.
    """

    id: str
    uris: tuple[str, ...]
    suite: str
    components: tuple[str, ...] = ()
    types: tuple[str, ...] = ("deb",)
    options: tuple[tuple[str, str], ...] = ()
    enabled: bool = True
    where: str = ""

    def option(self, name: str) -> str:
        return next((v for k, v in self.options if k.lower() == name.lower()), "")

    @property
    def is_binary(self) -> bool:
        return "deb" in self.types

    def with_option(self, name: str, value: str) -> Self:
        kept = tuple((k, v) for k, v in self.options if k.lower() != name.lower())
        return replace(self, options=(*kept, (name, value)) if value else kept)

    def stanza(self, types: Sequence[str] = ("deb",)) -> str:
        """The deb822 text that apt reads."""
        fields = {"Types": " ".join(types), "URIs": " ".join(self.uris), "Suites": self.suite}
        if self.components:
            fields["Components"] = " ".join(self.components)
        return deb822.render([{**fields, **dict(self.options)}])

    def describe(self) -> dict[str, Any]:
        """The repository dictionary of the interface: id, description and three flags."""
        return {
            "id": self.id,
            "description": " ".join((*self.uris, self.suite, *self.components)),
            "is-devel": self.suite.endswith(("-proposed", "-proposed-updates", "-debug")),
            "is-source": not self.is_binary,
            "is-enabled": self.enabled,
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "uris": self.uris, "suite": self.suite, "components": self.components,
            "types": self.types, "options": self.options, "enabled": self.enabled,
            "where": self.where,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            id=raw["id"], uris=tuple(raw["uris"]), suite=raw["suite"],
            components=tuple(raw["components"]), types=tuple(raw["types"]),
            options=tuple((k, v) for k, v in raw["options"]), enabled=raw["enabled"],
            where=raw["where"],
        )  # fmt: skip


def load(etc: Path) -> tuple[Source, ...]:
    """The sources of an apt configuration directory: `sources.list` and `sources.list.d/`.

    Files are read in apt's order; others than `*.list` and `*.sources` are left alone.
    """
    files = [etc / "sources.list"] if (etc / "sources.list").is_file() else []
    parts = etc / "sources.list.d"
    if parts.is_dir():
        files += sorted(p for p in parts.iterdir() if _is_source_file(p))
    return tuple(s for path in files for s in load_file(path))


def load_file(path: Path) -> tuple[Source, ...]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as err:
        raise AptOstreeError(f"cannot read apt source {path}: {err}") from err
    return parse(text, str(path))


def _is_source_file(path: Path) -> bool:
    known = path.suffix in (".list", ".sources")
    return known and bool(_FILE_NAME.fullmatch(path.name)) and path.is_file()


def parse(text: str, name: str) -> tuple[Source, ...]:
    """Sources of one file; the suffix of `name` decides the format, `name` stands in errors."""
    found = _parse_stanzas(text, name) if name.endswith(".sources") else _parse_lines(text, name)
    return _with_ids(found, Path(name).stem)


def _with_ids(found: Sequence[Source], stem: str) -> tuple[Source, ...]:
    if len(found) == 1:
        return (replace(found[0], id=stem),)
    used: dict[str, int] = {}
    out = []
    for source in found:
        key = f"{stem}:{source.suite}"
        used[key] = used.get(key, 0) + 1
        out.append(replace(source, id=key if used[key] == 1 else f"{key}#{used[key]}"))
    return tuple(out)


def _parse_stanzas(text: str, name: str) -> list[Source]:
    found = []
    for line, stanza in deb822.parse_numbered(text, name, comments=True):
        fields = {key.lower(): value for key, value in stanza.items()}
        words = {key: fields.get(key, "").split() for key in ("types", "uris", "suites")}
        for key, field in (("types", "Types"), ("uris", "URIs"), ("suites", "Suites")):
            if not words[key]:
                raise AptOstreeError(
                    f"{name}:{line}: field '{field}' is missing", hint="see sources.list(5)"
                )
        _check_types(words["types"], f"{name}:{deb822.field_line(text, line, 'Types')}")
        known = {"types", "uris", "suites", "components", "enabled"}
        options = tuple((k, v) for k, v in stanza.items() if k.lower() not in known)
        enabled = fields.get("enabled", "yes").strip().lower() not in (
            "no",
            "false",
            "0",
            "off",
            "disable",
        )
        for suite in words["suites"]:
            found.append(Source(
                id="", uris=tuple(words["uris"]), suite=suite,
                components=tuple(fields.get("components", "").split()),
                types=tuple(words["types"]), options=options, enabled=enabled,
                where=f"{name}:{line}",
            ))  # fmt: skip
            _check_components(found[-1])
    return found


def _parse_lines(text: str, name: str) -> list[Source]:
    found: list[Source] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if entry:
            source = _parse_line(entry, f"{name}:{number}")
            _check_components(source)
            twin = next((i for i, s in enumerate(found) if _same_but_type(s, source)), None)
            if twin is None:
                found.append(source)
            else:
                found[twin] = replace(found[twin], types=(*found[twin].types, *source.types))
    return found


def _parse_line(entry: str, where: str) -> Source:
    match = re.fullmatch(r"(\S+)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)", entry)
    if not match:
        raise AptOstreeError(
            f"{where}: expected 'deb [OPTIONS] URI SUITE COMPONENTS', found '{entry[:60]}'",
            hint="see sources.list(5)",
        )
    kind, options, uri, suite, components = match.groups()
    _check_types([kind], where)
    pairs = []
    for item in (options or "").split():
        key, equals, value = item.partition("=")
        if not equals:
            raise AptOstreeError(f"{where}: option '{item}' is not NAME=VALUE")
        title = "-".join(w.capitalize() for w in key.rstrip("+-").split("-"))
        pairs.append((_OPTION_NAMES.get(key, title), value.replace(",", " ")))
    return Source(
        id="", uris=(uri,), suite=suite, components=tuple(components.split()), types=(kind,),
        options=tuple(pairs), where=where,
    )  # fmt: skip


def _same_but_type(a: Source, b: Source) -> bool:
    key = (b.uris, b.suite, b.components, b.options)
    return (a.uris, a.suite, a.components, a.options) == key and not set(a.types) & set(b.types)


def _check_types(types: Iterable[str], where: str) -> None:
    for kind in types:
        if kind not in ("deb", "deb-src"):
            raise AptOstreeError(
                f"{where}: unknown type '{kind}'", hint="a source is of type deb or deb-src"
            )


def _check_components(source: Source) -> None:
    flat = source.suite.endswith("/")
    if flat == bool(source.components):
        what = "allows no components" if flat else "needs components"
        raise AptOstreeError(f"{source.where}: suite '{source.suite}' {what}")


def substitute(sources: Iterable[Source], variables: Mapping[str, str]) -> tuple[Source, ...]:
    """Replace `${NAME}` (and `$suite`, `$arch`, `$releasever`, `$basearch`) in every value.

    apt's own `$(ARCH)` stays.  A name that `variables` lacks is an error at the source's line.
    Ids are made new, since they hold suites.
    """

    def of(source: Source, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in variables:
                raise AptOstreeError(
                    f"{source.where}: undefined variable '{name}'",
                    hint="set it with repovars, or releasever for the suite",
                )
            return variables[name]

        return _VARIABLE.sub(value, text)

    return tuple(
        replace(
            s, id=of(s, s.id), uris=tuple(of(s, u) for u in s.uris), suite=of(s, s.suite),
            components=tuple(w for c in s.components for w in of(s, c).split()),
            options=tuple((k, of(s, v)) for k, v in s.options),
        )
        for s in sources
    )  # fmt: skip


def choose(sources: Sequence[Source], names: Iterable[str]) -> tuple[Source, ...]:
    """Enable exactly `names` (ids, or file stems for all suites of a file); keep the rest off.

    Raises AptOstreeError listing every unknown name, with the known ids as details.
    """
    wanted = list(names)
    unknown = [n for n in wanted if not any(_is_called(s, n) for s in sources)]
    if unknown:
        raise AptOstreeError(
            f"Unknown apt source: {', '.join(unknown)}",
            details=("Discovered apt sources:", *(f"- {s.id}" for s in sources)),
        )
    return tuple(replace(s, enabled=any(_is_called(s, n) for n in wanted)) for s in sources)


def switch(
    sources: Sequence[Source], *, enable: Iterable[str] = (), disable: Iterable[str] = ()
) -> tuple[Source, ...]:
    """Turn sources on and off by id, file stem or `*`; enabling wins."""
    on, off = tuple(enable), tuple(disable)
    choose(sources, [n for n in (*on, *off) if n != "*"])  # unknown names are errors
    out = []
    for source in sources:
        enabled = source.enabled and not any(n == "*" or _is_called(source, n) for n in off)
        out.append(
            replace(source, enabled=enabled or any(n == "*" or _is_called(source, n) for n in on))
        )
    return tuple(out)


def _is_called(source: Source, name: str) -> bool:
    return name == source.id or name == source.id.partition(":")[0]


def set_enabled(path: Path, *, enabled: bool) -> None:
    """Turn every source of a file on or off, in the file (`Enabled:` or a commented line)."""
    text = path.read_text()
    if path.suffix == ".sources":
        new = _with_enabled_field(text, str(path), enabled=enabled)
    else:
        mark = re.compile(r"^#\s*(?=deb(-src)?\s)" if enabled else r"^(?=deb(-src)?\s)", re.M)
        new = mark.sub("" if enabled else "# ", text)
    fs.write_atomic(path, new.encode())


def _with_enabled_field(text: str, name: str, *, enabled: bool) -> str:
    starts = {line for line, _ in deb822.parse_numbered(text, name, comments=True)}
    out = []
    for number, line in enumerate(text.split("\n"), start=1):
        if number in starts and not enabled:
            out.append("Enabled: no")
        if line.partition(":")[0].lower() != "enabled":
            out.append(line)
    return "\n".join(out)

"""What a worker process is asked to do, in a form that goes through a pipe."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from apt_ostree.model.change import Change, KargsEdit, Options


@dataclass(frozen=True, slots=True)
class Job:
    """`verb` names a function of `daemon.worker`; `parameters` are its own arguments.

    `handles` are descriptors that the worker inherits, by the attribute of `change` whose files
    they are; `repo` is that of a local repository.
    """

    verb: str
    sysroot: str
    stateroot: str | None = None
    change: Change = field(default_factory=Change)
    options: Options = field(default_factory=Options)
    handles: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    repo: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fds(self) -> tuple[int, ...]:
        own = () if self.repo is None else (self.repo,)
        return (*(fd for fds in self.handles.values() for fd in fds), *own)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        raw = json.loads(text)
        change = _tuples(raw.pop("change"))
        change["kargs"] = KargsEdit(**change["kargs"])
        options = Options(**_tuples(raw.pop("options")))
        handles = _tuples(raw.pop("handles"))
        return cls(**raw, change=Change(**change), options=options, handles=handles)


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has only lists where the values are tuples, at any depth."""
    return {key: _tuple(value) for key, value in raw.items()}


def _tuple(value: Any) -> Any:
    match value:
        case list():
            return tuple(_tuple(v) for v in value)
        case dict():
            return _tuples(value)
        case _:
            return value

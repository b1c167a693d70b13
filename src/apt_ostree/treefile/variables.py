"""`${name}` in texts, and the conditions of conditional-include."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from apt_ostree.treefile.node import Fault

Variable: TypeAlias = "bool | int | str"

PLACE = re.compile(r"\$\{([^}]*)(\}?)")
CONDITION = re.compile(r"\s*([A-Za-z0-9_]+)\s*(?:([^\sA-Za-z0-9_\"']+)\s*(.*?)\s*)?\Z",
                       re.ASCII | re.DOTALL)  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def show(value: Variable) -> str:
    """As it stands in a treefile: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def automatic(*, basearch: str, releasever: str | int | None) -> dict[str, Variable]:
    """The variables that every treefile has."""
    found: dict[str, Variable] = {"basearch": basearch}
    if releasever is not None:
        found["releasever"] = releasever
    return found


def substitute(text: str, variables: Mapping[str, Variable], *, line: int = 0) -> str:
    """`text` with every `${name}` replaced, in one pass: values are not looked into again.

    Fault for an unknown name, a missing brace, and a result that would change when it is read
    again (a value that brings in a `${`).
    """

    def value_of(found: re.Match[str]) -> str:
        name, brace = found.groups()
        if not brace:
            raise Fault(line, f"missing '}}' in '{text}'")
        if name not in variables:
            raise Fault(line, f"undefined variable '{name}'",
                        hint="known: " + ", ".join(sorted(variables)))  # fmt: skip
        return show(variables[name])

    result = PLACE.sub(value_of, text)
    if "${" in result:
        raise Fault(line, f"'{text}' still has a '${{' after substitution",
                    hint="the value of a variable cannot refer to another one")  # fmt: skip
    return result


@dataclass(frozen=True, slots=True)
class Condition:
    """`VAR`, or `VAR op VALUE`; the value is `true`, `false`, a number or a "string"."""

    variable: str
    op: str
    value: Variable

    @classmethod
    def parse(cls, text: str, *, line: int = 0) -> Condition:
        found = CONDITION.match(text)
        if found is None:
            raise Fault(line, f"invalid condition: {text}",
                        hint="expected VARIABLE, or VARIABLE OPERATOR VALUE")  # fmt: skip
        variable, op, written = found.groups()
        if op is None:
            return cls(variable, "==", value=True)
        if op not in OPERATORS:
            raise Fault(line, f"expected one of {', '.join(OPERATORS)} but got {op}")
        return cls(variable, op, _value(written, text, line))

    def holds(self, variables: Mapping[str, Variable], *, line: int = 0) -> bool:
        """Whether it is true; Fault for an unknown variable or values that do not compare."""
        if self.variable not in variables:
            raise Fault(line, f"undefined variable '{self.variable}'",
                        hint="known: " + ", ".join(sorted(variables)))  # fmt: skip
        value = variables[self.variable]
        if type(value) is not type(self.value):
            raise Fault(line, f"{self.variable} is not same type as {show(self.value)}")
        if self.op not in ("==", "!=") and type(value) is not int:
            raise Fault(
                line, f"invalid op for values '{show(value)}' and '{show(self.value)}'",
                hint=f"only numbers can be compared by {self.op}",
            )  # fmt: skip
        return OPERATORS[self.op](value, self.value)


def _value(written: str, text: str, line: int) -> Variable:
    if written in ("true", "false"):
        return written == "true"
    if re.fullmatch(r"[0-9]{1,18}", written, re.ASCII):
        return int(written)
    quoted = re.fullmatch(r"\"([^\"]*)\"|'([^']*)'", written)
    if quoted:
        return quoted.group(1) if quoted.group(1) is not None else quoted.group(2)
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", written, re.ASCII):
        return written  # a word needs no quotes
    raise Fault(line, f"invalid condition: {text}",
                hint='expected true, false, a number or a "string" as value')  # fmt: skip

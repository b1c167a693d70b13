"""The line grammar of `status`: right-aligned keys, wrapped lists, trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apt_ostree.cli.render.output import Style

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/=:-")
BLOCK_WIDTH = 23  # of keys in a deployment block: `InactiveRemoteOverrides`
UPDATE_WIDTH = 13  # in the block of an available update: `SecAdvisories`
MIN_LIST_WIDTH = 64
# two blanks, the key, `: `
BLOCK_INDENT = 2 + BLOCK_WIDTH + 2


def key_value(key: str, value: str, *, width: int = BLOCK_WIDTH) -> str:
    return f"  {key:>{width}}: {value}"


def continuation(value: str, *, width: int = BLOCK_WIDTH) -> str:
    """A further line of a value: no key, and a blank where the colon was."""
    return f"  {'':>{width}}  {value}"


def lines_of(key: str, values: Iterable[str], *, width: int = BLOCK_WIDTH) -> Iterator[str]:
    """One value a line, the key before the first."""
    for at, value in enumerate(values):
        yield key_value(key, value, width=width) if at == 0 else continuation(value, width=width)


def value_list(key: str, items: Iterable[str], style: Style) -> Iterator[str]:
    """Items sorted without regard to case, joined by blanks, wrapped to the terminal."""
    ordered = sorted(items, key=lambda item: (item.lower(), item))
    limit = max(MIN_LIST_WIDTH, style.columns - BLOCK_INDENT)
    return lines_of(key, wrap(ordered, limit))


def wrap(items: Sequence[str], limit: int) -> Iterator[str]:
    """Lines of at most `limit` columns, with at least one item each."""
    line = ""
    for item in items:
        if line and len(line) + 1 + len(item) > limit:
            yield line
            line = item
        else:
            line = f"{line} {item}" if line else item
    if line:
        yield line


def tree(header: str, items: Sequence[str], style: Style) -> Iterator[str]:
    """The values of a tree list: its header, then a branch per item."""
    if header:
        yield header
    for at, item in enumerate(items, start=1):
        yield f"{style.last_branch if at == len(items) else style.branch}{item}"


def quote(word: str) -> str:
    """Shell quoting that leaves what needs none, and `=` and `:` besides, as it is."""
    if word and all(letter in _PLAIN for letter in word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def quote_all(words: Sequence[str]) -> list[str]:
    return [quote(w) for w in words]

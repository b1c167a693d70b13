"""The settings of the daemon: `/etc/apt-ostreed.conf`, a key file with the group `[Daemon]`."""

from __future__ import annotations

import configparser
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

from apt_ostree.errors import AptOstreeError

log = logging.getLogger(__name__)

PATH = Path("/etc/apt-ostreed.conf")
GROUP = "Daemon"
POLICY_KEY = "AutomaticUpdatePolicy"
KEYS = (POLICY_KEY, "IdleExitTimeout", "LockLayering", "Recommends")
# Of the same file, but read at each build by the room `host`, which works without a daemon too.
BUILD_KEYS = ("ScriptTimeout", "ScriptProcessLimit")

_TIMEOUT_MAX_S = 2**31 - 1  # GLib counts seconds in a guint, and some are added to it
_SIZE_MAX_BYTES = 1 << 20
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
T = TypeVar("T")


class AutomaticUpdatePolicy(StrEnum):
    """What an automatic update does; each does what the ones before it do, too."""

    NONE = "none"
    CHECK = "check"  # fetch metadata, say what is new
    STAGE = "stage"  # make the next deployment
    APPLY = "apply"  # and reboot into it

    @classmethod
    def parse(cls, text: str) -> Self:
        """The policy of a word, in any case, or of an alias.  Raises AptOstreeError."""
        word = text.lower()
        try:
            return cls(_ALIASES.get(word, word))
        except ValueError:
            raise AptOstreeError(
                f"Invalid value for {POLICY_KEY}: '{text}'",
                hint=f"known are {', '.join(p.value for p in cls)}",
            ) from None


_ALIASES = {"off": "none", "ex-stage": "stage"}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, with the defaults that hold for what a file does not say.

    `idle_exit_timeout_s` is 0 where the daemon stays; `recommends` is about packages that are
    layered on this machine.
    """

    automatic_update_policy: AutomaticUpdatePolicy = AutomaticUpdatePolicy.NONE
    idle_exit_timeout_s: int = 60
    lock_layering: bool = False
    recommends: bool = True


def load(path: Path = PATH) -> Config:
    """The settings in `path`; a missing file says nothing.

    Raises AptOstreeError naming the file when it cannot be read, and as `parse` does.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_SIZE_MAX_BYTES + 1)
    except FileNotFoundError:
        return Config()
    except OSError as err:
        raise AptOstreeError(f"reading '{path}': {err.strerror}") from err
    if len(raw) > _SIZE_MAX_BYTES:
        raise AptOstreeError(f"reading '{path}': more than {_SIZE_MAX_BYTES} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError as err:
        line = raw[: err.start].count(b"\n") + 1
        raise AptOstreeError(f"{path}:{line}: not UTF-8 text") from err
    return parse(text, source=str(path))


def parse(text: str, *, source: str = "configuration") -> Config:
    """The settings in `text`.

    Raises AptOstreeError, with `source` and the line, for what is no key file, and for an unknown
    policy: an update must not do what nobody asked for.  Other values that make no sense are
    warned of and stay at their defaults, so that a typing error does not keep the daemon away.
    """
    values = _read(text, source)
    for key in sorted(values.keys() - {*KEYS, *BUILD_KEYS}):
        log.warning("%s: unknown key '%s' in [%s]", source, key, GROUP)
    default = Config()

    def setting(key: str, read: Callable[[str], T | None], fallback: T, wanted: str) -> T:
        value = values.get(key)
        found = None if value is None else read(value)
        if value is not None and found is None:
            log.warning("%s: %s=%s is not %s; using the default", source, key, value, wanted)
        return fallback if found is None else found

    policy = default.automatic_update_policy
    if (word := values.get(POLICY_KEY)) is not None:
        policy = AutomaticUpdatePolicy.parse(word)
    timeout_s, is_locked = default.idle_exit_timeout_s, default.lock_layering
    return Config(
        automatic_update_policy=policy,
        idle_exit_timeout_s=setting(
            "IdleExitTimeout", _seconds, timeout_s, "a number of seconds"
        ),
        lock_layering=setting("LockLayering", _boolean, is_locked, "true or false"),
        recommends=setting("Recommends", _boolean, default.recommends, "true or false"),
    )  # fmt: skip


def _read(text: str, source: str) -> Mapping[str, str]:
    """The group of the daemon.  Rules are those of GLib's key files: no continuation lines, a
    group or key that is there twice counts once, the last value wins."""
    parser = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#",), inline_comment_prefixes=None, strict=False,
        empty_lines_in_values=False, interpolation=None, default_section="",
    )  # fmt: skip
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their case
    # configparser takes indented lines for continuations
    plain = "\n".join(line.strip() for line in text.split("\n"))
    try:
        parser.read_string(plain, source)
    except configparser.MissingSectionHeaderError as err:
        raise AptOstreeError(
            f"{source}:{err.lineno}: expected '[{GROUP}]' before '{err.line.strip()}'"
        ) from err
    except configparser.ParsingError as err:
        line = err.errors[0][0]
        found = plain.split("\n")[line - 1]
        raise AptOstreeError(f"{source}:{line}: expected KEY=VALUE, found '{found}'") from err
    return dict(parser.items(GROUP)) if parser.has_section(GROUP) else {}


def _seconds(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(_TIMEOUT_MAX_S)):
        return None
    return int(text) if int(text) <= _TIMEOUT_MAX_S else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())

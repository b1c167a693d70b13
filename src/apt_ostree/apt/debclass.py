"""Which packages may be laid down before any of their code ran.

dpkg runs a package's preinst before it unpacks; laying files first is the same only when the
preinst does nothing on a first installation.  A preinst that diverts a path, for one, would
otherwise move the package's own file away.  This module proves "does nothing" for the shapes that
debhelper generates and a few that maintainers write; whatever it cannot prove is slow, never wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from apt_ostree.apt.deb import Deb
from apt_ostree.system.run import run


@dataclass(frozen=True, slots=True)
class Class:
    """`is_fast`: the files may be placed without dpkg, provided that no version of the package is
    or was installed in the tree (then preinst gets an old version as its second argument).

    `reason` says why it is slow, empty otherwise.
    """

    is_fast: bool
    reason: str = ""


FAST = Class(is_fast=True)

_SHELL = re.compile(r"#!\s*/(?:usr/)?bin/(?:sh|bash|dash)(?:\s+-[eux]+)?\s*")
# One word without a command substitution: quoted without blanks, or bare.
_WORD = r"(?:\"(?:[^\"\s`$\\]|\$(?!\())*\"|'[^'\s]*'|(?:[^\s\"'`$();&|<>#\\]|\$(?!\())+)"
_HARMLESS = re.compile(rf"set -[eux]+|exit 0|:|true|[A-Z_][A-Za-z0-9_]*={_WORD}")
# dpkg-maintscript-helper(1): in preinst each of these acts only when there is an old version.
_HELPER = re.compile(
    r"dpkg-maintscript-helper (?:rm_conffile|mv_conffile|symlink_to_dir|dir_to_symlink)"
    r"(?: [^\s;&|<>()`$#]+)* -- \"\$@\""
)
_IF = re.compile(r"if (?P<condition>[^;]+?) ?; ?then")
_ATOM = rf"(?:! )?-[a-zA-Z] {_WORD}|{_WORD} (?:=|==|!=|-[a-z]{{2}}) {_WORD}"
_TEST = re.compile(rf"(?:! )?(?:\[ (?:{_ATOM})(?: -a (?:{_ATOM}))* \]"
                   rf"|test (?:{_ATOM})(?: -a (?:{_ATOM}))*)")  # fmt: skip
_COMPARE = re.compile(rf"(?:! )?dpkg --compare-versions(?: {_WORD})+")
# Surely false when called as `preinst install`.
_NEVER = re.compile(
    r"(?:\"\$1\"|\$1) ==? [\"']?(?:upgrade|abort-upgrade|configure)[\"']?"
    r"|-n \"\$(?:2|\{2\}|\{2:-\})\""
)
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\`$]|\\.|\$(?!\())*\"")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_KEYWORD = re.compile(r"(?<![^\s;&|(){}!])(if|elif|else|fi)(?![^\s;&|(){}])")
_COMMAND_START = re.compile(r"(?:^|[;&|({)!]|(?:^|[\s;])(?:then|else|do))\s*$")


def classify(deb: Deb) -> Class:
    """Judge by the control area alone; content that forbids the fast way shows while importing."""
    if "preinst" not in deb.scripts:
        return FAST
    if is_inert_on_install(deb.info_text("preinst")):
        return FAST
    return Class(is_fast=False, reason="its preinst acts on a first installation")


def is_inert_on_install(script: str) -> bool:
    """Whether a preinst called as `preinst install` provably does nothing.

    Accepts: comments, `set -e`, `exit 0`, dpkg-maintscript-helper calls, and `if` blocks whose
    condition is a conjunction with a part that is false then (`"$1" = upgrade`, `-n "$2"`).
    Cost: one `sh -n` (2 ms) for those.
    """
    head, _, body = script.partition("\n")
    if not _SHELL.fullmatch(head) or any(odd in body for odd in ("<<", "\r", "\0")):
        return False
    lines = _logical_lines(body)
    at = 0
    while at < len(lines):
        line = lines[at]
        if _HARMLESS.fullmatch(line) or _HELPER.fullmatch(line):
            if line == "exit 0":
                break
            at += 1
            continue
        end = _dead_block(lines, at)
        if end is None:
            return False
        at = end
    # What the shell would refuse must fail as it does with dpkg.  `-n` only parses.
    return run(["sh", "-n"], stdin=script.encode(), ok=range(256)).status == 0


def _logical_lines(body: str) -> list[str]:
    """Lines with continuations joined and comments, empty lines and indentation gone."""
    joined = re.sub(r"\\\n[ \t]*", "", body)
    lines = (re.sub(r"\s+", " ", line).strip() for line in joined.split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _dead_block(lines: list[str], start: int) -> int | None:
    """Index after the `fi` of an `if` block that a first installation passes over, else None.

    The body is never run, so only its nesting matters; anything that makes counting `if` and `fi`
    doubtful (an odd quote, a keyword where a command cannot start) ends the proof.
    """
    head, at = lines[start], start + 1
    if at < len(lines) and lines[at] == "then":
        head, at = f"{head}; then", at + 1
    match = _IF.fullmatch(head)
    if match is None or not _is_false(match["condition"]):
        return None
    depth = 1
    for index in range(at, len(lines)):
        bare = _COMMENT.sub("", _QUOTED.sub("Q", lines[index]))
        if '"' in bare or "'" in bare or "`" in bare:
            return None
        for word in _KEYWORD.finditer(bare):
            if not _COMMAND_START.search(bare[: word.start()]):
                return None
            if word.group() in ("else", "elif"):
                if depth == 1:
                    return None
                continue
            depth += 1 if word.group() == "if" else -1
            if depth == 0:
                return index + 1 if bare == "fi" else None
    return None


def _is_false(condition: str) -> bool:
    """Whether a condition is a conjunction of harmless looks of which one is surely false.

    The shell stops at the first false part, but parts before it run, so those must only look.
    """
    for part in condition.split(" && "):
        if _TEST.fullmatch(part):
            inside = part.removeprefix("[ ").removesuffix(" ]").removeprefix("test ")
            if not part.startswith("!") and any(map(_NEVER.fullmatch, inside.split(" -a "))):
                return True
        elif not _COMPARE.fullmatch(part):
            return False
    return False

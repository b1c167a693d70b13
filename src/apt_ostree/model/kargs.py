"""Kernel arguments: parse, edit, print.

libostree's own `OSTree.KernelArgs` cannot be made through introspection (it has no constructor
there), so its rules live here.  Source: libostree/ostree-kernel-args.c.  Order, duplicates and
quotes are kept: a kernel reads the last `console=` differently from the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import KargsEdit


class KargsError(AptOstreeError):
    """An edit does not fit the arguments that are there."""


@dataclass(frozen=True, slots=True)
class Karg:
    """One argument.  `value` is None for `quiet`, "" for `quiet=`."""

    key: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        key, equals, value = text.partition("=")
        return cls(key, value if equals else None)

    def __str__(self) -> str:
        return self.key if self.value is None else f"{self.key}={self.value}"


def is_libostrees(word: str) -> bool:
    """Whether libostree writes this argument itself, anew for each boot entry.

    `ostree=` names the deployment; where there is no initramfs, `init=` names the program that
    prepares the root (`install_deployment_kernel`, ostree-sysroot-deploy.c).
    """
    return word.startswith(("ostree=", "init=/ostree/"))


def split(line: str) -> tuple[str, ...]:
    """The arguments of a command line; blanks inside double quotes do not separate.

    The kernel's own rule (lib/cmdline.c, `next_arg`): every `"` toggles, nothing escapes it.
    """
    words: list[str] = []
    word = ""
    is_quoted = False
    for letter in line:
        if letter == '"':
            is_quoted = not is_quoted
        if letter.isspace() and not is_quoted:
            words.append(word)
            word = ""
        else:
            word += letter
    words.append(word)
    return tuple(w for w in words if w)


@dataclass(frozen=True, slots=True)
class KernelArgs:
    """The arguments of one boot entry, in order."""

    args: tuple[Karg, ...] = ()

    @classmethod
    def parse(cls, line: str) -> Self:
        return cls.of(split(line))

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        return cls(tuple(Karg.parse(w) for w in words))

    def __str__(self) -> str:
        return " ".join(str(a) for a in self.args)

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(str(a) for a in self.args)

    def editable(self) -> KernelArgs:
        """Without what libostree writes."""
        return KernelArgs(tuple(a for a in self.args if not is_libostrees(str(a))))

    def __contains__(self, text: str) -> bool:
        return Karg.parse(text) in self.args

    def without(self, key: str) -> KernelArgs:
        """Every argument but those named `key` (users do not edit `ostree=`, libostree does)."""
        return KernelArgs(tuple(a for a in self.args if a.key != key))

    def append(self, text: str) -> KernelArgs:
        return KernelArgs((*self.args, Karg.parse(text)))

    def replace(self, text: str) -> KernelArgs:
        """`KEY=NEW` where there is one KEY, else `KEY=OLD=NEW`.

        Raises KargsError with libostree's texts.
        """
        wanted = Karg.parse(text)
        places = self._places(wanted.key)
        old, equals, new = (wanted.value or "").partition("=")
        if equals:
            for at in places:
                if self.args[at].value == old:
                    return self._with(at, Karg(wanted.key, new))
            raise KargsError(f"No karg '{wanted.key}={old}' found", hint=_SHOW)
        if len(places) > 1:
            raise KargsError(
                f"Multiple values for key '{wanted.key}' found",
                hint=f"name the one to replace: --replace={wanted.key}=OLD=NEW",
            )
        return self._with(places[0], wanted)

    def delete(self, text: str) -> KernelArgs:
        """`KEY` where there is one (or one without a value), else `KEY=VALUE`.

        Raises KargsError with libostree's texts.
        """
        wanted = Karg.parse(text)
        places = self._places(wanted.key)
        if len(places) == 1 and wanted.value is None:
            return self._without(places[0])
        for at in places:
            if self.args[at].value == wanted.value:
                return self._without(at)
        if wanted.value is None:
            raise KargsError(
                f"Multiple values for key '{wanted.key}' found",
                hint=f"name the one to delete: --delete={wanted.key}=VALUE",
            )
        raise KargsError(f"No karg '{wanted}' found", hint=_SHOW)

    def apply(self, edit: KargsEdit) -> KernelArgs:
        """All edits of one command, in the order that rpm-ostree applies them.

        `delete_if_present` asks the arguments as they were before: what the same command appends
        stays.
        """
        if edit.final is not None:
            return KernelArgs.of(edit.final)
        now = self
        for text in edit.delete:
            now = now.delete(text)
        for text in edit.replace:
            now = now.replace(text)
        for text in edit.append:
            now = now.append(text)
        for text in edit.append_if_missing:
            if text not in now:
                now = now.append(text)
        for text in edit.delete_if_present:
            if text in self and text in now:
                now = now.delete(text)
        return now

    def _places(self, key: str) -> list[int]:
        places = [at for at, arg in enumerate(self.args) if arg.key == key]
        if not places:
            raise KargsError(f"No key '{key}' found", hint=_SHOW)
        return places

    def _with(self, at: int, arg: Karg) -> KernelArgs:
        return KernelArgs((*self.args[:at], arg, *self.args[at + 1 :]))

    def _without(self, at: int) -> KernelArgs:
        return KernelArgs((*self.args[:at], *self.args[at + 1 :]))


_SHOW = "apt-ostree kargs"

"""libapt's configuration for one root, with nothing of the host in it.

apt reads `/etc/apt/apt.conf.d` of the machine it runs on; here the file that `APT_CONFIG` names
comes first and points those directories at nothing (apt.conf(5)), so that no hook, no
Default-Release and no cache setting of the host can act.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import apt_pkg

from apt_ostree.apt.engine import Context
from apt_ostree.apt.root import AptRoot
from apt_ostree.apt.sources import Source

# Of a root's own apt.conf(.d) these subtrees are taken: how to reach a mirror, and the preferred
# release.  Everything that starts a program (Proxy-Auto-Detect, hooks) or weakens a check is not.
TAKEN = (
    "Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Retries", "Acquire::ForceIPv4",
    "Acquire::ForceIPv6", "Acquire::ForceHash", "APT::Default-Release",
)  # fmt: skip
_RUNS_PROGRAM = ("proxyautodetect", "proxy-auto-detect")
# A source may not weaken these; `Trusted: yes` is the one way to use an unsigned source.
_DROPPED_OPTIONS = ("allow-insecure", "allow-weak", "allow-downgrade-to-insecure")


def configure(context: Context, *, preferences: str = "", extra: Iterable[Source] = ()) -> None:
    """Make libapt see `context.root` and nothing else; once per process.

    `preferences` are apt_preferences(5) records that come before the root's own; `extra` are
    sources beside the root's.
    """
    root, work = context.root, context.work
    _init(work)
    for name in ("sources.list.d", "state", "log"):
        (work / name).mkdir(exist_ok=True)
    (work / "status").touch()
    used = (*(root.sources or ()), *extra)
    for number, source in enumerate(used):
        kept = source
        for option in _DROPPED_OPTIONS:
            kept = kept.with_option(option, "")
        kept = _with_readable_keys(kept, work, number)
        (work / "sources.list.d" / f"{number:04}.sources").write_text(kept.stanza())
    own = _text_of(root.etc / "preferences") if root.etc and root.preferences else ""
    (work / "preferences").write_text(f"{preferences}\n{own}")
    if root.etc:
        _take_from(root.etc)
    for name, value in _settings(root, work).items():
        apt_pkg.config.set(name, value)
    apt_pkg.config.clear("APT::Architectures")
    for arch in dict.fromkeys((root.arch, *root.foreign)):
        apt_pkg.config.set("APT::Architectures::", arch)
    if any(_is_private(uri) for source in used for uri in source.uris):
        # A local repository that only root can read: its files are no network input.
        apt_pkg.config.set("APT::Sandbox::User", "root")
    apt_pkg.init_system()


def _init(work: Path) -> None:
    first = work / "apt.conf"
    first.write_text('Dir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\n')
    os.environ["APT_CONFIG"] = str(first)
    apt_pkg.init_config()


def _settings(root: AptRoot, work: Path) -> dict[str, str]:
    nowhere = Path("/nonexistent")
    etc = root.etc or nowhere
    pins = etc / "preferences.d" if root.preferences else nowhere
    return {
        "APT::System": "Debian dpkg interface",  # else it is guessed from the host's files
        "APT::Architecture": root.arch,
        "APT::Install-Recommends": _flag(root.recommends),
        "APT::Install-Suggests": "false",
        "APT::Solver": "internal",
        # apt calls itself essential; a tree without apt is a choice (apt's deblistparser.cc).
        "pkgCacheGen::ForceEssential": "",
        # Essential packages work when unpacked (Policy 3.8): no need to configure one by one.
        "APT::Immediate-Configure": "false",
        # A tree must not depend on the machine that solves for it.
        "APT::Get::Always-Include-Phased-Updates": "true",
        **({"APT::Default-Release": root.release} if root.release else {}),
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": str(work / "sources.list.d"),
        "Dir::Etc::preferences": str(work / "preferences"),
        "Dir::Etc::preferencesparts": str(pins),
        "Dir::Etc::trusted": str(etc / "trusted.gpg"),
        "Dir::Etc::trustedparts": str(etc / "trusted.gpg.d"),
        "Dir::Etc::netrc": str(etc / "auth.conf"),
        "Dir::Etc::netrcparts": str(etc / "auth.conf.d"),
        "Dir::State": str(work / "state"),
        "Dir::State::lists": str(root.lists),
        "Dir::State::status": str(root.status or work / "status"),
        "Dir::Cache": str(root.cache or work / "state"),
        "Dir::Cache::archives": str(root.archives),
        # Only the parsed indexes are kept: adding the status file to them takes 10 ms, while
        # pkgcache.bin would be another 37 MB to write and is keyed by the status file's mtime,
        # which is 0 in every deployment.
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "srcpkgcache.bin" if root.cache else "",
        "Dir::Log": str(work / "log"),
        # A dump of all that the planner knew, compressed with xz, for each order asked for.
        "Dir::Log::Planner": "/dev/null",
        "Dir::Log::Solver": "/dev/null",
        # libapt is never to run dpkg: not even when its package manager is asked for an order.
        "Dir::Bin::dpkg": "/bin/true",
        "Acquire::Languages": "none",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "Acquire::AllowReleaseInfoChange": "false",
        "Acquire::Check-Valid-Until": "true",
        # Compressed indexes would be decompressed from the start for every record that is read.
        "Acquire::GzipIndexes": "false",
        # Off unless a source says `Targets: Packages Contents-deb`; for requests by path.
        "Acquire::IndexTargets::deb::Contents-deb::MetaKey":
            "$(COMPONENT)/Contents-$(ARCHITECTURE)",
        "Acquire::IndexTargets::deb::Contents-deb::ShortDescription": "Contents-$(ARCHITECTURE)",
        "Acquire::IndexTargets::deb::Contents-deb::Description":
            "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)",
        "Acquire::IndexTargets::deb::Contents-deb::flatMetaKey": "Contents-$(ARCHITECTURE)",
        "Acquire::IndexTargets::deb::Contents-deb::flatDescription": "$(RELEASE) Contents (deb)",
        "Acquire::IndexTargets::deb::Contents-deb::PDiffs": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        **({"Acquire::http::Proxy": root.proxy, "Acquire::https::Proxy": root.proxy}
           if root.proxy else {}),
    }  # fmt: skip


def _flag(value: object) -> str:
    return "true" if value else "false"


def _take_from(etc: Path) -> None:
    """Copy the settings of `TAKEN` from a root's apt.conf(.d) into the running configuration."""
    scratch = apt_pkg.Configuration()
    if (etc / "apt.conf.d").is_dir():
        apt_pkg.read_config_dir(scratch, str(etc / "apt.conf.d"))
    if (etc / "apt.conf").is_file():
        apt_pkg.read_config_file(scratch, str(etc / "apt.conf"))
    for key in scratch.keys():  # noqa: SIM118 - a Configuration is no mapping
        below = any(key.lower() == t.lower() or key.lower().startswith(f"{t.lower()}::")
                    for t in TAKEN)  # fmt: skip
        value = scratch.get(key)
        if below and key.rpartition("::")[2].lower() not in _RUNS_PROGRAM and value:
            apt_pkg.config.set(key, value)


def _text_of(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _with_readable_keys(source: Source, work: Path, number: int) -> Source:
    """`source` with copies of the keys that the user `_apt`, who verifies, could not reach.

    The keys of a tree that is checked out for building lie behind directories only root may enter.
    """
    words: list[str] = []
    for word in source.option("Signed-By").split():
        path = Path(word)
        if path.is_absolute() and path.is_file() and _is_hidden(path):
            copy = work / f"key-{number}-{len(words)}{path.suffix}"
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o644)
            work.chmod(0o711)
            words.append(str(copy))
        else:
            words.append(word)
    hidden = words != source.option("Signed-By").split()
    return source.with_option("Signed-By", " ".join(words)) if hidden else source


def _is_private(uri: str) -> bool:
    """Whether a local repository lies where the user `_apt` cannot look."""
    kind, _, rest = uri.partition(":")
    return kind in ("file", "copy") and _is_hidden(Path("/" + rest.lstrip("/")))


def _is_hidden(path: Path) -> bool:
    return any(p.is_dir() and not p.stat().st_mode & 0o001 for p in (path, *path.parents))

"""Secrets and identities: never in a tree, made by each machine when it boots.

Package scripts make them at installation.  In an image every machine would share them; in a client
build they would replace the machine's own at each upgrade, since an unchanged file follows the
image.  A tree carries a small unit instead that makes what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from apt_ostree.assemble.dirtree import DirTree, walk

UNIT = "usr/lib/systemd/system/apt-ostree-identity.service"
WANTS = "usr/lib/systemd/system/sysinit.target.wants/apt-ostree-identity.service"
SCRIPT = "usr/lib/apt-ostree/make-identity"


@dataclass(frozen=True, slots=True)
class Secret:
    """`pattern` matches paths of the tree; `makers` are shell lines that make it again."""

    pattern: str
    reason: str
    maker: str = ""


SECRETS = (
    Secret(
        "usr/etc/ssh/ssh_host_*_key*", "host key of one machine",
        # a key of a machine that lost power while it was written is empty
        "[ ! -x /usr/sbin/sshd ] || {\n"
        "\tfind /etc/ssh -maxdepth 1 -name 'ssh_host_*_key*' -size 0 -delete\n"
        "\tssh-keygen -A\n}",
    ),
    Secret(
        "usr/etc/ssl/private/ssl-cert-snakeoil.key", "private key",
        "[ ! -x /usr/sbin/make-ssl-cert ] || [ -e /etc/ssl/private/ssl-cert-snakeoil.key ] || "
        "make-ssl-cert generate-default-snakeoil --force-overwrite",
    ),
    Secret("usr/etc/ssl/certs/ssl-cert-snakeoil.pem", "certificate of that key"),
    Secret(
        "usr/etc/iscsi/initiatorname.iscsi", "name of one machine",
        "[ ! -x /usr/sbin/iscsi-iname ] || [ -e /etc/iscsi/initiatorname.iscsi ] || "
        'echo "InitiatorName=$(iscsi-iname)" >/etc/iscsi/initiatorname.iscsi',
    ),
    Secret(
        "usr/etc/nvme/hostid", "name of one machine",
        "[ ! -d /etc/nvme ] || [ -e /etc/nvme/hostid ] || "
        "cat /proc/sys/kernel/random/uuid >/etc/nvme/hostid",
    ),
    Secret(
        "usr/etc/nvme/hostnqn", "name of one machine",
        "[ ! -x /usr/sbin/nvme ] || [ -e /etc/nvme/hostnqn ] || "
        "nvme gen-hostnqn >/etc/nvme/hostnqn",
    ),
    Secret(
        "usr/etc/dropbear/dropbear_*_host_key", "host key of one machine",
        "[ ! -x /usr/bin/dropbearkey ] || [ ! -d /etc/dropbear ] || for kind in rsa ecdsa ed25519\n"
        "do\n\tkey=/etc/dropbear/dropbear_${kind}_host_key\n"
        '\t[ -s "$key" ] || dropbearkey -t "$kind" -f "$key" >/dev/null\ndone',
    ),
    Secret(
        "usr/etc/bind/rndc.key", "key of one machine",
        "[ ! -x /usr/sbin/rndc-confgen ] || [ ! -d /etc/bind ] || [ -s /etc/bind/rndc.key ] || {\n"
        "\trndc-confgen -a -q\n\tchown bind:bind /etc/bind/rndc.key\n"
        "\tchmod 640 /etc/bind/rndc.key\n}",
    ),
    Secret(
        "usr/etc/munge/munge.key", "key of one cluster",
        "[ ! -x /usr/sbin/mungekey ] || [ ! -d /etc/munge ] || [ -s /etc/munge/munge.key ] || {\n"
        "\tmungekey --create\n\tchown munge:munge /etc/munge/munge.key\n}",
    ),
    Secret("usr/etc/unbound/unbound_*.key", "key of one machine",
           "[ ! -x /usr/sbin/unbound-control-setup ] || [ -s /etc/unbound/unbound_server.key ] || "
           "unbound-control-setup >/dev/null"),
    Secret("usr/etc/unbound/unbound_*.pem", "certificate of that key"),
    Secret("usr/etc/xrdp/rsakeys.ini", "key of one machine",
           "[ ! -x /usr/bin/xrdp-keygen ] || [ -s /etc/xrdp/rsakeys.ini ] || "
           "xrdp-keygen xrdp /etc/xrdp/rsakeys.ini"),
    Secret("usr/etc/popularity-contest.conf", "identity of one machine"),
    Secret("usr/etc/krb5.keytab", "keys of one machine"),
    Secret("usr/etc/hostid", "identity of one machine"),
    Secret("usr/etc/machine-info", "description of one machine"),
    Secret("usr/etc/random-seed", "secret"),
    Secret("usr/etc/ppp/*-secrets~", "backup of secrets"),
)  # fmt: skip
# Emptied or made a link, not removed: programs and first-boot logic look at whether they exist.
MACHINE_ID = "usr/etc/machine-id"

_UNIT_TEXT = """\
[Unit]
Description=Make the keys and identities of this machine
Documentation=man:apt-ostree(1)
ConditionPathIsReadWrite=/etc
ConditionNeedsUpdate=/etc
DefaultDependencies=no
After=systemd-remount-fs.service systemd-sysusers.service systemd-tmpfiles-setup.service
After=systemd-random-seed.service
Before=sysinit.target systemd-update-done.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/apt-ostree/make-identity
"""
_SCRIPT_HEAD = """\
#!/bin/sh
# Keys and names that belong to one machine are not part of its image; make the missing ones.
set -u
umask 077
"""


def remove(root: Path, upper: Path) -> tuple[str, ...]:
    """Delete every secret that the build made; returns the paths.

    Links to it from the same directory go with it (`/etc/ssl/certs/HASH.0`, whose maker makes them
    again).  Only what is in `upper` (`root` itself for a plain root) can be new, so the cost is
    O(upper).
    The machine id becomes an empty file: "not the first boot, the id is made at run time"
    (machine-id(5)).
    """
    gone = []
    with DirTree(root) as tree:
        along = None if os.path.samestat(os.stat(root), os.stat(upper)) else upper
        found = [f.path for f in walk(tree, "usr/etc", along=along) if not f.is_dir]
        for path in found:
            if is_secret(path):
                tree.remove(path)
                gone.append(path)
        gone += _dangling(tree, found, gone)
        if MACHINE_ID in found and tree.read(MACHINE_ID) != b"":
            tree.write(MACHINE_ID, b"", mode=0o444)
            gone.append(MACHINE_ID)
    return tuple(gone)


def _dangling(tree: DirTree, found: Iterable[str], gone: Collection[str]) -> list[str]:
    """Remove links to what is gone, such as the hash link of the snakeoil certificate: its name
    comes from the host's name, so the machine's own certificate gets another one."""
    out = []
    for path in found:
        target = tree.readlink(path)
        if target is not None and os.path.normpath(f"{os.path.dirname(path)}/{target}") in gone:
            tree.remove(path)
            out.append(path)
    return out


def is_secret(path: str) -> bool:
    return any(fnmatchcase(path, s.pattern) for s in SECRETS)


def script(secrets: Iterable[Secret] = SECRETS) -> str:
    """The shell script that makes what is missing; one failing line does not stop the others."""
    return _SCRIPT_HEAD + "".join(f"{s.maker}\n" for s in secrets if s.maker) + "exit 0\n"


def write_unit(root: Path) -> None:
    """Put the unit and its script into a tree, enabled."""
    with DirTree(root) as tree:
        for path, mode, text in ((UNIT, 0o644, _UNIT_TEXT), (SCRIPT, 0o755, script())):
            tree.make_dirs(os.path.dirname(path))
            tree.write(path, text.encode(), mode=mode)
        tree.make_dirs(os.path.dirname(WANTS))
        if tree.stat(WANTS) is None:
            tree.symlink(WANTS, f"../{os.path.basename(UNIT)}")

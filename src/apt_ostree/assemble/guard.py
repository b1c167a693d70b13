"""What keeps apt and its timers from changing a tree that is replaced as a whole.

apt asks `apt-guard` before it starts dpkg (DPkg::Pre-Invoke, apt.conf(5)); where `/usr` cannot be
written to, the answer is the command that does the job.  Units that would run apt or copy its
database on their own are masked.
"""

from __future__ import annotations

import os
from pathlib import Path

from apt_ostree.assemble.dirtree import DirTree

GUARD = "usr/libexec/apt-ostree/apt-guard"
CONF = "usr/etc/apt/apt.conf.d/90apt-ostree"
UNITS = "usr/etc/systemd/system"
# Links to /dev/null in /etc, where an admin can remove them; packages that come later find them.
MASKED = (
    "apt-daily.service", "apt-daily.timer", "apt-daily-upgrade.service", "apt-daily-upgrade.timer",
    "dpkg-db-backup.service", "dpkg-db-backup.timer", "packagekit-offline-update.service",
    "unattended-upgrades.service",
)  # fmt: skip

_CONF_TEXT = """\
// The packages of this system come with its image: apt-ostree(1).
DPkg::Pre-Invoke { "/usr/libexec/apt-ostree/apt-guard"; };
APT::Periodic::Enable "0";
"""
# The name of the package is in apt's own command line: apt runs this through `sh -c`.
_GUARD_TEXT = """\
#!/bin/sh
# Stop apt before it starts dpkg on an image that it cannot change (after `apt-ostree usroverlay`,
# and in containers, it can).
[ ! -w /usr/lib/sysimage/dpkg ] || exit 0

apt_words() {
    pid=$PPID
    for _ in 1 2 3; do
        [ -r "/proc/$pid/cmdline" ] || return 0
        line=$(tr '\\0' ' ' <"/proc/$pid/cmdline")
        case ${line%% *} in
        apt | apt-get | aptitude | */apt | */apt-get | */aptitude) echo "$line"; return 0 ;;
        esac
        while read -r key value; do
            [ "$key" != PPid: ] || pid=$value
        done <"/proc/$pid/status"
    done
}

verb='' packages=''
set -f
for word in $(apt_words | cut -d ' ' -f 2-); do
    case $word in
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else packages="$packages $word"; fi ;;
    esac
done
case $verb in
remove | purge | autoremove) command=uninstall ;;
upgrade | dist-upgrade | full-upgrade) command=upgrade packages='' ;;
*) command=install; [ -n "$packages" ] || packages=' PACKAGE' ;;
esac
echo "/usr belongs to an image and is read-only: use \\`apt-ostree $command$packages\\`" >&2
exit 1
"""


def write(root: Path) -> None:
    """Put the guard, apt's configuration for it, and the masks into a tree."""
    with DirTree(root) as tree:
        for path, mode, text in ((GUARD, 0o755, _GUARD_TEXT), (CONF, 0o644, _CONF_TEXT)):
            tree.make_dirs(os.path.dirname(path))
            tree.write(path, text.encode(), mode=mode)
        tree.make_dirs(UNITS)
        for name in MASKED:
            path = f"{UNITS}/{name}"
            if tree.stat(path) is None:
                tree.symlink(path, "/dev/null")

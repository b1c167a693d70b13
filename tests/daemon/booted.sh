#!/bin/sh
# Boot systemd as the first process of its own namespaces, on a root directory of its own.
#
#     unshare --mount --pid --fork --ipc --uts --cgroup --propagation private \
#         booted.sh CONFIG MACHINE CHECKOUT
#
# The new root is a tmpfs.  It has /usr and /etc of this machine under an overlay, with CONFIG/usr and
# CONFIG/etc on top; CONFIG as /test; MACHINE, a directory below /var/tmp, with MACHINE/scratch as
# /var/tmp; CHECKOUT read-only; and nothing else.  A system that boots empties /tmp and writes to
# /var, so neither is ever to be those of the machine that runs the tests.
set -eu
config=$1
machine=$2
checkout=$3

root=$config/root
mkdir "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir boot dev etc home proc root run srv sys test tmp usr var var/lib var/tmp .old .upper
ln -s ../run var/run
mount -t tmpfs -o mode=1777 tmpfs tmp
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then
        cp -P "/$name" .
    fi
done

for name in etc usr; do
    mkdir ".upper/$name" ".upper/$name.work"
    cp -a "$config/$name/." ".upper/$name"
    mount -t overlay overlay \
        -o "lowerdir=/$name,upperdir=.upper/$name,workdir=.upper/$name.work" "$name"
done
# Nothing starts but what the test names: not systemd-tmpfiles, which empties /tmp.
rm -rf etc/fstab etc/systemd/system/*.wants etc/systemd/system/*.requires
rm -rf usr/lib/systemd/system/*.wants usr/lib/systemd/system/*.requires

mount --bind "$config" test
mount --bind "$machine/scratch" var/tmp
mkdir -p ".$machine" ".$checkout"
mount --bind "$machine" ".$machine"
mount --bind "$checkout" ".$checkout"
mount -o remount,bind,ro ".$checkout"

mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind /sys sys
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 tmpfs sys/fs
mkdir sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup

mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
    mount -o remount,bind,ro "dev/$name" # its mode is the machine's, too
done
mkdir dev/pts dev/shm
ln -s pts/ptmx dev/ptmx
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run

pivot_root . .old
cd /
umount -l /.old
rmdir /.old
test "$(stat -f -c %T /)" = tmpfs # the last chance to notice that this is the machine's own root
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=work.target --log-target=console --show-status=0

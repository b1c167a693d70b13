#!/bin/sh
# The daemon's own view of the system, with gdbus: which deployments there are, and what is going on.
set -e
ask() {
    gdbus call --system --dest org.aptostree.dev --object-path "$1" --method "$2" "$3" "$4"
}
get=org.freedesktop.DBus.Properties.Get
sysroot=/org/aptostree/dev1/Sysroot
ask "$sysroot" "$get" org.aptostree.dev1.Sysroot Deployments
ask "$sysroot" "$get" org.aptostree.dev1.Sysroot ActiveTransaction

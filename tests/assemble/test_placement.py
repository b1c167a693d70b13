"""The table from package paths to tree paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.apt.debtar import Kind
from apt_ostree.assemble.placement import NOWHERE, Place, Policy, place
from apt_ostree.errors import PackageError

POLICY = Policy()


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("", "d", NOWHERE),
        ("usr", "d", Place("usr")),
        ("bin/x", "f", Place("usr/bin/x")),
        ("lib", "d", Place("usr/lib")),
        ("lib", "l", NOWHERE),  # trixie's base-files
        ("lib64/ld.so", "l", Place("usr/lib64/ld.so")),
        ("etc/x", "f", Place("usr/etc/x")),
        ("var/lib", "d", Place(state="var/lib")),
        ("var/lib/x/f", "f", Place("usr/share/factory/var/lib/x/f", "var/lib/x/f")),
        ("var/run/x", "d", Place(state="run/x")),
        ("var/lock/x", "d", Place(state="run/lock/x")),
        ("var/lib/dpkg/info", "d", NOWHERE),
        ("var/lib/dpkg/cputable", "f", Place("usr/lib/sysimage/dpkg/cputable")),
        ("run/x", "d", Place(state="run/x")),
        ("run/x/f", "f", NOWHERE),
        ("tmp", "d", NOWHERE),
        ("root", "d", NOWHERE),
        ("srv/www", "d", Place(state="var/srv/www")),
        ("root/x", "d", Place(state="var/roothome/x")),
        ("media/x", "d", Place(state="run/media/x")),
        ("usr/local", "d", NOWHERE),
        ("usr/local/lib/x", "d", Place(state="var/usrlocal/lib/x")),
        ("usr/localx/f", "f", Place("usr/localx/f")),
        ("boot/vmlinuz-6.1-amd64", "f", Place("usr/lib/modules/6.1-amd64/vmlinuz")),
        ("boot/vmlinux-6.1", "f", Place("usr/lib/modules/6.1/vmlinuz")),
        ("boot", "d", NOWHERE),
        ("opt/v", "d", Place("usr/lib/opt/v", "var/opt/v")),
        ("opt/v/f", "f", Place("usr/lib/opt/v/f")),
        ("proc", "d", NOWHERE),
    ],
)
def test_table(path, kind, expected):
    assert place(path, Kind(kind), POLICY, package="p") == expected


ANY_PATH = st.lists(
    st.sampled_from(["usr", "bin", "lib", "etc", "var", "run", "opt", "local", "home", "boot", "dev", "lib32", "dpkg", "x", "y", "etcx"]),
    min_size=1, max_size=4,
).map("/".join)  # fmt: skip


@given(ANY_PATH, st.sampled_from(list(Kind)), st.sampled_from(["var", "root", "state-overlay"]))
def test_content_never_lands_where_a_tree_has_none(path, kind, opt):
    try:
        found = place(path, kind, Policy(opt=opt), package="p")
    except PackageError:
        return
    if found.tree is not None:
        assert found.tree.split("/")[0] in ("usr", "opt" if opt == "root" else "usr")
        if opt == "var":
            assert not found.tree.startswith("usr/local/")
    if found.state is not None:
        assert found.state.split("/")[0] in ("var", "run")
        assert "/" in found.state


def test_key_tells_policies_apart():
    policies = [Policy(), Policy(documentation=False), Policy(install_langs=()), Policy(opt="root"),
                Policy(install_langs=("de",)), Policy(readonly_executables=True)]  # fmt: skip
    assert len({p.key for p in policies}) == len(policies)
    assert Policy(install_langs=("a", "b")).key == Policy(install_langs=("b", "a", "a")).key

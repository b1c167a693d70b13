from pathlib import Path

import pytest

from apt_ostree.errors import AptOstreeError
from apt_ostree.host.edit import edit, resolve_refspec
from apt_ostree.model.change import Change, Options
from apt_ostree.model.origin import LocalPackage, Origin, RemoteReplacement

BASE = Origin(refspec="origin:debian/13")
FOO = LocalPackage("a" * 64, "foo-bar-1.0-1.amd64")
FOO2 = LocalPackage("b" * 64, "foo-bar-2.0-1.amd64")
GCC = LocalPackage("c" * 64, "gcc-12-base-12.2.0-14.amd64")


def apply(origin: Origin, change: Change, **options: bool) -> Origin:
    local = {Path("/foo.deb"): FOO, Path("/foo2.deb"): FOO2, Path("/gcc.deb"): GCC}
    names = {FOO.sha256: "foo-bar", FOO2.sha256: "foo-bar", GCC.sha256: "gcc-12-base"}
    return edit(origin, change, options=Options(**options), local=local, arch="amd64", names=names)


def test_requests_are_added_once_and_removed():
    one = apply(BASE, Change(install=("htop", "vim:amd64", "zsh:i386")))
    assert one.requested == ("htop", "vim", "zsh:i386")
    two = apply(one, Change(uninstall=("vim",), install=("nano",)))
    assert two.requested == ("htop", "nano", "zsh:i386")
    assert apply(two, Change(no_layering=True)) == BASE


def test_a_version_replaces_the_request_of_the_same_name():
    one = apply(BASE, Change(install=("htop",)))
    assert apply(one, Change(install=("htop=3.2",))).requested == ("htop=3.2",)
    pinned = apply(one, Change(install=("htop=3.2",)))
    assert apply(pinned, Change(uninstall=("htop",))).requested == ()


def test_local_packages_replace_their_older_self_and_leave_by_name():
    one = apply(BASE, Change(install_local=(Path("/foo.deb"),)))
    two = apply(one, Change(install_local=(Path("/foo2.deb"),)))
    assert two.local == (FOO2,)
    assert apply(two, Change(uninstall=("foo-bar",))).local == ()
    with pytest.raises(AptOstreeError, match="not currently requested"):
        apply(two, Change(uninstall=("foo",)))


@pytest.mark.parametrize(
    ("origin", "change", "message"),
    [
        (Origin(refspec="a", requested=("x",)), Change(install=("x",)), "'x' is already requested"),
        (BASE, Change(uninstall=("x",)), "'x' is not currently requested"),
        (Origin(refspec="a", override_remove=("x",)), Change(override_remove=("x",)), "already"),
        (BASE, Change(override_reset=("x",)), "No overrides for package 'x'"),
        (BASE, Change(refspec="origin:debian/13"), "Old and new refs are equal"),
        (BASE, Change(refspec=""), "Refspec is empty"),
        (BASE, Change(initramfs_regenerate=False), "already disabled"),
        (BASE, Change(initramfs_etc_track=("/usr/x",)), "Path outside /etc forbidden: /usr/x"),
        (BASE, Change(initramfs_etc_track=("/etc/../x",)), "must be canonical"),
        (BASE, Change(initramfs_regenerate=True, initramfs_etc_track=("/etc/x",)), "compatible"),
        (BASE, Change(no_overrides=True, override_reset=("x",)), "no-overrides"),
        (BASE, Change(skip_purge=True), "skip-purge"),
    ],
)
def test_refusals(origin, change, message):
    with pytest.raises(AptOstreeError, match=message):
        apply(origin, change)


def test_idempotent_accepts_what_is_there():
    origin = Origin(refspec="a", requested=("x",), local=(FOO,))
    change = Change(install=("x",), uninstall=("y",), install_local=(Path("/foo.deb"),))
    assert apply(origin, change, idempotent=True) == origin


def test_overrides_by_source_move_between_sources():
    one = apply(BASE, Change(override_replace_from=(("repo=a", ("x", "y")),)))
    two = apply(one, Change(override_replace_from=(("suite=b", ("y",)),)))
    assert two.override_remote == (
        RemoteReplacement("repo=a", ("x",)),
        RemoteReplacement("suite=b", ("y",)),
    )
    assert apply(two, Change(override_reset=("x",))).override_remote == (
        RemoteReplacement("suite=b", ("y",)),
    )


def test_initramfs():
    on = apply(BASE, Change(initramfs_regenerate=True, initramfs_args=("-I", "/etc/x")))
    assert (on.regenerate_initramfs, on.initramfs_args) == (True, ("-I", "/etc/x"))
    other = apply(on, Change(initramfs_regenerate=True, initramfs_args=("-v",)))
    assert other.initramfs_args == ("-v",)
    assert apply(other, Change(initramfs_regenerate=False)) == BASE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian/14", "origin:debian/14"),
        ("other:", "other:debian/13"),
        (":local", "local"),
        ("other:x/y", "other:x/y"),
        ("ostree://other:x", "other:x"),
        ("c" * 64, "c" * 64),
    ],
)
def test_refspecs(text, expected):
    assert resolve_refspec(text, BASE) == expected


def test_upgrade_drops_a_pin_and_install_keeps_it():
    pinned = Origin(refspec="a", override_commit="c" * 64)
    assert apply(pinned, Change(pull_base=True)).override_commit is None
    assert apply(pinned, Change(install=("x",))).override_commit == "c" * 64


def test_a_name_with_a_number_in_it():
    gcc = apply(BASE, Change(install_local=(Path("/gcc.deb"),)))
    with pytest.raises(AptOstreeError, match="'gcc' is not currently requested"):
        apply(gcc, Change(uninstall=("gcc",)))
    assert apply(gcc, Change(uninstall=("gcc-12-base",))) == BASE


def test_forcing_a_file_is_another_request():
    plain = apply(BASE, Change(install_local=(Path("/foo.deb"),)))
    forced = apply(plain, Change(install_fileoverride_local=(Path("/foo.deb"),)))
    assert (forced.local, forced.local_fileoverride) == ((), (FOO,))
    assert apply(forced, Change(install_local=(Path("/foo.deb"),))) == plain


def test_a_package_has_one_replacement():
    by_source = apply(BASE, Change(override_replace_from=(("repo=a", ("foo-bar", "x")),)))
    by_file = apply(by_source, Change(override_replace_local=(Path("/foo.deb"),)))
    assert by_file.override_local == (FOO,)
    assert by_file.override_remote == (RemoteReplacement("repo=a", ("x",)),)
    back = apply(by_file, Change(override_replace_from=(("repo=a", ("foo-bar",)),)))
    assert back == by_source
    for now, change in (
        (by_file, Change(override_replace_local=(Path("/foo.deb"),))),
        (by_source, Change(override_replace_from=(("repo=a", ("foo-bar",)),))),
    ):
        with pytest.raises(AptOstreeError, match="Override already exists for package 'foo"):
            apply(now, change)


def test_the_hint_names_an_option_that_the_command_has():
    origin = Origin(refspec="a", requested=("x",))
    for change, hint in (
        (Change(install=("x",)), "--idempotent accepts this"),
        (Change(install=("x",), revision="1"), "leave it out, it stays"),
        (Change(install=("x",), no_overrides=True), "leave it out, it stays"),
    ):
        with pytest.raises(AptOstreeError) as caught:
            apply(origin, change)
        assert caught.value.hint == hint


def test_what_is_typed_twice_counts_once():
    change = Change(install=("x", "x"), install_local=(Path("/foo.deb"), Path("/foo.deb")))
    assert apply(BASE, change) == apply(
        BASE, Change(install=("x",), install_local=(Path("/foo.deb"),))
    )

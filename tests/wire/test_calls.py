"""What a client encodes is what the daemon decodes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import AptOstreeError
from apt_ostree.model.change import Change, KargsEdit, Options
from apt_ostree.wire import decode, encode
from apt_ostree.wire.glib import GLib

name = st.text("abcdefghijklmnop0123456789+.:=/-", min_size=1, max_size=20)
names = st.lists(name, max_size=3).map(tuple)
words = st.text("abcdefgh=.,", min_size=1, max_size=9).filter(lambda w: not w.startswith("="))
files = st.lists(st.sampled_from(["/a.deb", "/b.deb", "/c.deb"]).map(Path), max_size=2).map(tuple)
optional = st.none() | name

packages = st.builds(
    Change, install=names, install_local=files, install_fileoverride_local=files, uninstall=names,
    no_layering=st.booleans(), override_remove=names, override_replace_local=files,
    override_reset=names, override_replace_from=st.lists(st.tuples(name, names), max_size=2).map(tuple),
    pull_base=st.booleans(), no_initramfs=st.booleans(), debconf=names, architectures=names,
)  # fmt: skip
bases = st.builds(
    Change, pull_base=st.just(True), refspec=name.filter(lambda n: not n.startswith("/")), revision=optional,
    skip_purge=st.booleans(), skip_branch_check=st.booleans(),
    custom_origin=st.none() | st.tuples(name, name), install=names,
)  # fmt: skip
boots = st.one_of(
    st.builds(Change, initramfs_regenerate=st.booleans(), initramfs_args=names),
    st.builds(Change, initramfs_etc_track=names.filter(bool), initramfs_etc_untrack=names,
              initramfs_etc_untrack_all=st.booleans(), initramfs_etc_force_sync=st.booleans()),
    st.builds(
        Change,
        kargs=st.builds(
            KargsEdit, delete=names, replace=names, append=names.filter(bool),
            append_if_missing=names, delete_if_present=names,
            final=st.none() | st.lists(words, min_size=1).map(tuple),
        ),
        kargs_base_index=st.none() | st.integers(0, 9),
    ),
)  # fmt: skip
options = st.builds(
    Options, dry_run=st.booleans(), allow_inactive=st.booleans(), idempotent=st.booleans(),
    allow_downgrade=st.booleans(), lock_finalization=st.booleans(), cache_only=st.booleans(), only_check=st.booleans(),
    command_line=st.text(max_size=30).filter(lambda t: "\0" not in t),
    enable_sources=names, disable_sources=names, release=optional,
)  # fmt: skip


@given(packages | bases | boots, options, st.booleans())
def test_what_is_encoded_is_decoded(change, given_options, reboot):
    call = encode.encode(change, given_options, reboot=reboot)
    request = decode.decode(call.method, call.arguments.unpack(), fd_count=len(call.files))
    back = replace(
        request.change,
        **{a: tuple(call.files[h] for h in hs) for a, hs in (request.handles or {}).items()},
    )
    assert back == change
    assert (request.options, request.reboot) == (given_options, reboot)


def test_a_local_repository_travels_as_a_descriptor():
    change = Change(pull_base=True, refspec="/srv/repo:debian/13")
    call = encode.encode(change, Options())
    assert call.files == (Path("/srv/repo"),)
    request = decode.decode(call.method, call.arguments.unpack(), fd_count=1)
    assert (request.repo, request.change.refspec) == (0, "debian/13")


def update(modifiers, settings=None, fd_count=0):
    return decode.decode("UpdateDeployment", (modifiers, settings or {}), fd_count=fd_count)


@pytest.mark.parametrize(
    ("modifiers", "settings", "message"),
    [
        ({"install-modules": ["a"]}, {}, "apt has no modules"),
        ({"install-fileoverride-packages": ["a"]}, {}, "Non-local fileoverrides not implemented"),
        ({"override-replace-packages": ["a"]}, {}, "Non-local replacement overrides not"),
        ({"install-local-packages": [0]}, {}, "Expected 1 fds but received 0"),
        ({"set-refspec": "a"}, {"no-pull-base": True}, "Can't specify no-pull-base if setting"),
        ({"override-reset-packages": ["a"]}, {"no-overrides": True}, "Can't specify no-overrides"),
        ({}, {"skip-purge": True}, "Can't specify skip-purge if not setting a new refspec"),
        ({}, {"cache-only": True, "download-only": True}, "Can't specify cache-only and download"),
        ({}, {"dry-run": True, "download-only": True}, "Can't specify dry-run and download-only"),
        ({}, {"apply-live": True, "reboot": True}, "Cannot specify `apply-live` and `reboot`"),
        ({}, {"custom-origin": ("url", "")}, "Invalid custom-origin"),
        ({}, {"dry-run": "yes"}, "option 'dry-run' has the wrong type"),
        ({"install-packages": "htop"}, {}, "option 'install-packages' has the wrong type"),
        ({"install-packages": [1]}, {}, "option 'install-packages' must be a list of strings"),
        ({"treefile": "["}, {}, "the 'treefile' modifier is not a derivation treefile"),
        ({"treefile": json.dumps([1])}, {}, "the 'treefile' modifier is not"),
    ],
)
def test_calls_that_make_no_sense(modifiers, settings, message):
    with pytest.raises(AptOstreeError, match=message):
        update(modifiers, settings)


def test_descriptors_that_nothing_names_are_refused():
    with pytest.raises(AptOstreeError, match="Expected 0 fds but received 2"):
        update({}, fd_count=2)
    with pytest.raises(AptOstreeError, match="Expected 2 fds but received 2"):
        update({"install-local-packages": [0, 7]}, fd_count=2)


def test_downgrades_are_allowed_where_a_base_is_named():
    assert update({"set-revision": "1"}).options.allow_downgrade
    assert not update({}).options.allow_downgrade
    assert decode.decode("Deploy", ("1", {})).options.allow_downgrade
    assert decode.decode("Rebase", ({}, "a:b", [])).options.allow_downgrade
    assert not decode.decode("Upgrade", ({},)).options.allow_downgrade


values = st.recursive(
    st.booleans() | st.text() | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    ("install-packages", "treefile", "set-refspec", "install-local-packages", "dry-run",
     "custom-origin", "ex-local-repo-remote", "override-replace-local-packages", "x")
)  # fmt: skip


@given(st.dictionaries(keys, values), st.dictionaries(keys, values), st.integers(0, 3))
def test_anything_is_decoded_or_refused(modifiers, settings, fd_count):
    try:
        update(modifiers, settings, fd_count)
    except AptOstreeError as err:
        assert err.message


def test_the_arguments_have_the_signatures_of_the_interface():
    assert encode.encode(Change(), Options()).arguments.get_type_string() == "(a{sv}a{sv})"
    kargs = encode.encode(Change(kargs=KargsEdit(append=("a",))), Options())
    assert kargs.arguments.get_type_string() == "(sasasasa{sv})"
    assert isinstance(kargs.arguments, GLib.Variant)

"""The value: defaults, substitution, JSON, and which side may use which key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import include, restrict
from apt_ostree.treefile.parse import Format
from apt_ostree.treefile.schema import FIELDS
from apt_ostree.treefile.values import AccountCheck


def text(source: str, basearch: str = "amd64", **variables):
    return include.load_text(
        source, basearch=basearch, source="t", form=Format.YAML, variables=variables
    )


DEFAULTS = [
    # text, boot-location, tmp-is-dir, selinux, check-passwd
    ("{}", "new", False, False, "previous"),
    ("edition: '2014'", "new", False, False, "previous"),
    ("edition: 2024", "modules", True, False, "previous"),
    ("edition: 2024\nboot-location: new\ntmp-is-dir: false", "new", False, False, "previous"),
    ("container: true\nselinux: true\nboot-location: new", "modules", True, False, "none"),
    ("selinux: true", "new", False, True, "previous"),
]


@pytest.mark.parametrize(("source", "boot", "tmp", "selinux", "check"), DEFAULTS)
def test_defaults(source, boot, tmp, selinux, check):
    tree = text(source)
    assert (tree.boot_location, tree.tmp_is_dir, tree.selinux) == (boot, tmp, selinux)
    assert tree.check_passwd.type == tree.check_groups.type == check
    assert tree.preserve_passwd is (check == "previous")


def test_defaults_that_matter_to_a_build():
    tree = text("{}")
    assert (tree.recommends, tree.documentation, tree.machineid_compat) == (True, True, True)
    assert (tree.repos, tree.packages, tree.releasever) == (None, (), None)
    assert (tree.edition, tree.opt_usrlocal, tree.automatic_version_suffix) == ("2014", "var", ".")


def test_substitution_reaches_the_keys_that_allow_it_and_no_other():
    tree = text("""
        ref: debian/${releasever}/${basearch}/${flavour}
        releasever: 13
        variables: {flavour: min, is: true}
        metadata: {a: "${is}", b: ["${is}"]}
        add-commit-metadata: {c: "x${flavour}x", d: 1}
        automatic-version-prefix: "${releasever}.<date:%Y>"
        mutate-os-release: "${flavour}"
        unconfigured-state: "${flavour}"
        """)
    assert tree.ref == "debian/13/amd64/min"
    assert tree.metadata == {"a": "true", "b": ["${is}"]}
    assert tree.add_commit_metadata == {"c": "xminx", "d": 1}
    assert tree.automatic_version_prefix == "13.<date:%Y>"
    assert tree.mutate_os_release == "min"
    assert tree.unconfigured_state == "${flavour}"


@pytest.mark.parametrize(("source", "message"), [
    ("\nref: a/${nope}", "t:2: undefined variable 'nope'"),
    ("ref: a/${releasever}", "t:1: undefined variable 'releasever'"),
    ("ref: a/${", "t:1: missing '}'"),
    ("ref: a b", "t:1: 'a b' is not a branch name"),
    ("ref: /a", "is not a branch name"),
    ("variables: {a: '${a}'}\nref: '${a}'", "t:2: '${a}' still has a '${' after substitution"),
    ("machineid-compat: false\nunits: [a.service]",
     "t:2: 'units' directive is incompatible with machineid-compat = false"),
])  # fmt: skip
def test_what_does_not_fit_together(source, message):
    with pytest.raises(TreefileError) as caught:
        text(source)
    assert message in caught.value.message


def test_every_key_survives_the_way_through_json():
    tree = text("""
        edition: 2024
        ref: a/b
        metadata: {x: 1}
        gpg-key: K
        repos: [a]
        lockfile-repos: [b]
        repovars: {x: y}
        releasever: 24
        basearch: arm64
        architectures: [armhf]
        variables: {a: true, b: 1, c: x}
        packages: ["a b", c=1]
        exclude-packages: [d]
        repo-packages: [{repo: r, packages: [a]}, {repo: s, packages: [a, b]}]
        ostree-layers: [l]
        ostree-override-layers: [m]
        platform-module: p
        recommends: false
        documentation: false
        install-langs: [de]
        debconf: ["tzdata tzdata/Areas select Europe"]
        rpmdb: host
        rpmdb-normalize: true
        selinux: true
        selinux-label-version: 1
        ignore-devices: false
        ima: true
        container: false
        container-cmd: [/bin/sh]
        boot-location: kernel-install
        no-initramfs: true
        initramfs-args: [--x]
        tmp-is-dir: false
        opt-usrlocal: state-overlay
        machineid-compat: true
        cliwrap: true
        cliwrap-binaries: [rpm]
        readonly-executables: true
        units: [a.service]
        default-target: b.target
        automatic-version-prefix: "1"
        automatic-version-suffix: "-"
        mutate-os-release: x
        sysusers: compose-forced
        etc-group-members: [sudo]
        preserve-passwd: false
        check-passwd: {type: data, entries: {root: 0, a: [1, 2], b: [3]}}
        check-groups: {type: file, filename: group}
        ignore-removed-users: [u]
        ignore-removed-groups: ["*"]
        add-files: [[a, /etc/a]]
        remove-files: [etc/x]
        remove-from-packages: [[p, /usr/x.*, y]]
        postprocess-script: s.sh
        postprocess: ["#!/bin/sh"]
        add-commit-metadata: {y: [z]}
        repo-metadata: detached
        advisories-metadata: disabled
        rojig: {name: n}
        base-refspec: r
        container-image-reference: i
        packages-local: {n: s}
        packages-local-fileoverride: {n: s}
        override-remove: [o]
        ex-override-replace: [{from: {repo: r}, packages: [q]}]
        override-replace-local: {n: s}
        initramfs: {regenerate: true, etc: [/etc/a], args: [x]}
        custom: {url: u, description: d}
        override-commit: c
        unconfigured-state: t
        """)
    assert tree.given == frozenset(FIELDS)
    assert tree.check_passwd == AccountCheck(
        "data", entries={"root": (0, 0), "a": (1, 2), "b": (3, 3)}
    )
    assert [(g.repo, g.packages) for g in tree.repo_packages] == [("s", ("a", "b"))]
    printed = json.dumps(tree.as_json(), indent=2)
    again = include.load_text(printed, basearch="amd64")
    assert again == tree
    assert again.as_json() == tree.as_json()


def test_warnings():
    said = text("initramfs-args: [a]\ncliwrap: true\nlockfile-repos: [x]").warnings()
    assert said == (
        'warning: boot-location: "new" is deprecated, use boot-location: modules',
        "warning: initramfs-args is deprecated, use /etc/dracut.conf.d",
        "warning: cliwrap is deprecated and slated for removal",
        "note: cliwrap installs no wrappers: every tree stops apt by itself",
        "NOTICE: treefile key `lockfile-repos` is experimental and subject to change",
    )
    assert text("edition: 2024").warnings() == ()
    said = text("edition: 2024\nselinux: true\nima: true").warnings()
    assert [line.partition(" has")[0] for line in said] == ["warning: selinux", "warning: ima"]


def test_derive_keys_are_refused_in_a_compose():
    restrict.for_compose(text("packages: [a]\nref: x\ncliwrap: false"))
    with pytest.raises(TreefileError) as caught:
        restrict.for_compose(text("packages: [a]\noverride-remove: [b]"))
    assert caught.value.message == "t:2: the following derivation fields are not supported:"
    assert json.loads("\n".join(caught.value.details)) == {"override-remove": ["b"]}


def test_base_keys_are_refused_on_a_client():
    restrict.for_client(
        text("packages: [a]\noverride-remove: [b]\nreleasever: 13\nrepos: [x]\nvariables: {a: 1}")
    )
    with pytest.raises(TreefileError) as caught:
        restrict.for_client(text("packages: [a]\nref: x\nunits: [a.service]"))
    assert caught.value.message == "t:2: the following base fields are not supported:"
    assert json.loads("\n".join(caught.value.details)) == {"ref": "x", "units": ["a.service"]}


TEXTS = st.lists(st.sampled_from(["${a}", "${b}", "$", "{", "}", "a", "${"]), max_size=8).map(
    "".join
)


@given(TEXTS, TEXTS, TEXTS)
def test_substitution_ends_and_its_result_stays(prefix, first, second):
    keys = {"variables": {"a": first, "b": second}, "mutate-os-release": prefix}
    try:
        tree = include.load_text(json.dumps(keys), basearch="amd64")
    except TreefileError as err:
        assert err.where.startswith("-")
    else:
        assert include.load_text(json.dumps(tree.as_json()), basearch="amd64") == tree

"""Status stanzas as dpkg writes them; the machine's own status file is the oracle."""

import random
import re
from pathlib import Path

import pytest
from fixtures.debrepo import make_deb

from apt_ostree.apt.deb import Deb, parse_fields
from apt_ostree.apt.debstanza import stanza_unpacked
from apt_ostree.errors import PackageError
from apt_ostree.model.package import Package

NOT_IN_CONTROL = ("Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited")


def stanza_of(control, name="x.deb"):
    fields = parse_fields(control, name=name)
    package = Package(fields["package"], fields["architecture"], fields["version"])
    return stanza_unpacked(Deb(Path(name), control, fields, package, ()), conffile_md5={})


def test_every_installed_package_comes_out_as_dpkg_wrote_it():
    stanzas = Path("/var/lib/dpkg/status").read_text().strip().split("\n\n")
    checked = 0
    for text in stanzas:
        fields = re.split(r"\n(?! )", text)
        control = [f for f in fields if f.split(":")[0] not in NOT_IN_CONTROL]
        expected = [control[0], *control[1:]]
        known = [f for f in expected if not _is_extra(f)]
        random.Random(text).shuffle(known)  # the order in the control file must not matter ...
        extra = [f for f in expected if _is_extra(f)]  # ... but of fields that dpkg does not know
        ours = stanza_of("\n".join([*known, *extra]) + "\n")
        assert ours.replace("Status: install ok unpacked\n", "") == "\n".join(expected) + "\n"
        checked += 1
    assert checked > 50


def _is_extra(field):
    """Fields after Description are those dpkg has no table entry for."""
    known = ("Package Essential Protected Priority Section Installed-Size Origin Maintainer Bugs "
             "Architecture Multi-Arch Source Version Replaces Provides Depends Pre-Depends "
             "Recommends Suggests Breaks Conflicts Enhances Description")  # fmt: skip
    return field.split(":")[0] not in known.split()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("a(>=1)", "a (>= 1)"),
        ("a ( << 1:2 ) ,b|c", "a (<< 1:2), b | c"),
        ("a (< 1), b (> 2), c (3)", "a (<= 1), b (>= 2), c (= 3)"),
        ("a:any (= 0:1)", "a:any (= 1)"),
        ("a,\n b", "a, b"),
    ],
)
def test_relations_are_tidied(given, written):
    text = stanza_of(f"Package: x\nVersion: 1\nArchitecture: all\nDepends: {given}\n")
    assert f"\nDepends: {written}\n" in text


def test_malformed_relations_name_the_package():
    with pytest.raises(PackageError, match=r"'x\.deb' has a malformed dependency: 'a \(>= 1'"):
        stanza_of("Package: x\nVersion: 1\nArchitecture: all\nDepends: a (>= 1\n")


def test_conffiles_carry_their_digests(tmp_path):
    deb = Deb.open(make_deb(tmp_path, "x", conffiles=["/etc/a", "/etc/b"]))
    text = stanza_unpacked(deb, conffile_md5={"/etc/a": "0" * 32})
    assert f"\nConffiles:\n /etc/a {'0' * 32}\n /etc/b newconffile\nDescription:" in text

"""The typed value of a deployment dictionary."""

import pytest

from apt_ostree.model.deployment import Deployment, package_from_tuple
from apt_ostree.model.package import Package

MINIMAL = {
    "id": "debian-abc.0", "osname": "debian", "serial": 0, "checksum": "abc", "booted": False,
    "staged": False, "pinned": False, "unlocked": "none", "timestamp": 7,
}  # fmt: skip


def test_absent_keys_have_their_meaning():
    value = Deployment.from_dict(MINIMAL)
    assert (value.is_layered, value.is_live, value.meta, value.packages) == (False, False, {}, ())
    assert value.signatures is None


def test_layered_deployment():
    old, new = Package("a", "amd64", "1:1-1"), Package("a", "amd64", "2")
    value = Deployment.from_dict(
        {
            **MINIMAL,
            "base-checksum": "base",
            "layered-commit-meta": {"x": 1},
            "pending-base-checksum": "next",
            "packages": ["htop"],
            "base-removals": [old.as_tuple()],
            "base-local-replacements": [[new.as_tuple(), old.as_tuple()]],
            "base-remote-replacements": {"repo=x": [[new.as_tuple(), old.as_tuple()]]},
            "requested-base-remote-replacements": [["repo=x", ["a"]]],
        }
    )
    assert value.is_layered and value.meta == {"x": 1}
    assert value.base_removals == (old,)
    assert value.local_replacements[0].new == new
    assert value.remote_replacements == (("repo=x", value.local_replacements),)
    assert value.requested_remote_replacements == (("repo=x", ("a",)),)
    assert value.pending.checksum == "next"


@pytest.mark.parametrize("version", ["1", "1-2", "3:1.2-4+b1", "1-2-3", "0.1~rc1"])
def test_package_tuple_round_trip(version):
    package = Package("p", "amd64", version)
    assert package_from_tuple(package.as_tuple()) == package

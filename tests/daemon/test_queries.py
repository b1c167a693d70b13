"""What programs ask the daemon about packages and sources."""

import pytest

from apt_ostree.wire import names
from apt_ostree.wire.glib import GLib

pytestmark = [pytest.mark.root, pytest.mark.network]


def strings(*words):
    return GLib.Variant("(as)", (words,))


def test_packages(service):
    (rows,) = service.os("Search", strings("quick"))
    assert [(r["key"], r["name"], r["reponame"]) for r in rows] == [
        ("match_group_a", "quick", "test")
    ]
    (rows,) = service.os("GetPackages", strings("quick", "absent"))
    assert rows == [
        {"key": "quick", "name": "quick", "epoch": 0, "version": "1.0", "arch": "all",
         "nevra": "quick-1.0.all", "evr": "1.0", "summary": "test package quick",
         "reponame": "test"}
    ]  # fmt: skip
    (rows,) = service.os("WhatProvides", strings("quick"))
    assert [r["nevra"] for r in rows] == ["quick-1.0.all"]
    with pytest.raises(GLib.Error, match="No queries passed"):
        service.os("Search", strings())


def test_sources_are_listed_and_switched(service):
    (rows,) = service.os("ListRepos")
    (row,) = rows
    assert (row["id"], row["is-enabled"], row["is-source"]) == ("test", True, False)
    for settings, message in (
        ({"name": "x"}, "Changing 'name' not allowed in apt source files"),
        ({"enabled": "2"}, "Only '0' and '1' are allowed for the 'enabled' key"),
    ):
        assert message in modify(service, "test", settings)
    assert "apt source 'other' not found" in modify(service, "other", {"enabled": "0"})
    for value in ("0", "1"):
        assert modify(service, "test", {"enabled": value}) == ""
        ((row,),) = service.os("ListRepos")
        assert row["is-enabled"] is (value == "1")


def modify(service, source, settings):
    """The message that the transaction ended with."""
    (address,) = service.os("ModifyYumRepo", GLib.Variant("(sa{ss})", (source, settings)))
    return service.finish(address)[1]


def test_a_cow(service):
    body = GLib.Variant("(b)", (False,))
    (text,) = service.call(names.os_path("debian"), names.EXPERIMENTAL, "Moo", body)
    assert "(oo)" in text

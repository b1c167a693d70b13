"""Who else may update while a program has taken updates over."""

from pathlib import Path

import pytest

from apt_ostree.cli import driver
from apt_ostree.errors import AptOstreeError
from apt_ostree.wire import driver as stored

ZINCATI = stored.UpdateDriver("Zincati", "zincati.service")


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Check for a caller, with a driver whose unit is in `state`."""

    class Args:
        is_bypassing = False

        def flag(self, name):
            return self.is_bypassing

    class Session:
        def sysroot(self, args):
            return Path("/")

    def run(state, *, own="user.slice", documentation="", is_bypassing=False):
        monkeypatch.setattr(driver, "RUNTIME", tmp_path)
        monkeypatch.setattr(driver, "_own_unit", lambda: own)
        monkeypatch.setattr(
            driver, "show", lambda unit: {"ActiveState": state, "Documentation": documentation}
        )
        args = Args()
        args.is_bypassing = is_bypassing
        driver.check(args, Session())

    stored.store(tmp_path, ZINCATI)
    return run


@pytest.mark.parametrize("state", ["active", "activating", "reloading", "failed"])
def test_an_active_driver_keeps_others_away(check, state):
    with pytest.raises(AptOstreeError) as error:
        check(state, documentation="https://a https://b")
    assert (error.value.message, *error.value.details) == (
        "Updates and deployments are driven by Zincati (zincati.service)",
        "See Zincati's documentation at https://a, https://b",
        "Use --bypass-driver to bypass Zincati and perform the operation anyways",
    )
    with pytest.raises(AptOstreeError) as error:
        check(state)
    assert error.value.details[0] == "See Zincati's documentation"


def test_who_is_not_kept_away(check):
    check("inactive")
    check("active", own="zincati.service")
    check("active", is_bypassing=True)


def test_stored_drivers(tmp_path):
    assert stored.load(tmp_path) is None
    stored.store(tmp_path, ZINCATI)
    assert stored.load(tmp_path) == ZINCATI
    for bad in (stored.UpdateDriver("", "a.service"), stored.UpdateDriver("a", "")):
        with pytest.raises(AptOstreeError):
            stored.store(tmp_path, bad)
    (tmp_path / stored.FILE).write_bytes(b"\0garbage")
    with pytest.raises(AptOstreeError, match="could not find update driver name in"):
        stored.load(tmp_path)

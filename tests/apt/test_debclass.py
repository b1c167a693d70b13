"""Which preinst scripts provably do nothing on a first installation."""

import subprocess
from pathlib import Path

import pytest
from fixtures.debrepo import make_deb
from hypothesis import given, settings
from hypothesis import strategies as st

from apt_ostree.apt.deb import Deb
from apt_ostree.apt.debclass import classify, is_inert_on_install

HELPER = 'dpkg-maintscript-helper rm_conffile /etc/old 1.0-1\\~ pkg -- "$@"'
DH_INIT = """\
if [ "$1" = "install" ] && [ -n "$2" ] && [ -e "/etc/init.d/ssh" ] ; then
	chmod +x "/etc/init.d/ssh" >/dev/null || true
fi"""


@pytest.mark.parametrize(
    "body",
    [
        "",
        "set -e\n\n# nothing\nexit 0",
        HELPER,
        f"set -e\n# Automatically added by dh_installdeb/13\n{HELPER}\n{HELPER}\n# End",
        DH_INIT,
        f"{HELPER}\n{DH_INIT}\nexit 0\nrm -rf /anything/after",
        'if [ "$1" = "upgrade" ] && dpkg --compare-versions "$2" lt 3.7-2~\nthen\n  rm /x\nfi',
        'if [ "$1" = upgrade ]; then\n if true; then\n  rm /x\n else\n  rm /y\n fi\nfi',
        'PKG=x\nDOC=/usr/share/doc/$PKG\nif test "$1" = upgrade \\\n  -a -L $DOC\nthen\n  rm $DOC\nfi',
        'if [ -n "$2" ]; then\n  echo "fi" # fi\n  rm /x\nfi',
        'if [ -z "${DPKG_ROOT:-}" ] && [ "$1" = upgrade ] && [ -d /run/systemd/system ] ; then\n'
        "  deb-systemd-invoke stop 'x.service' >/dev/null || true\nfi",
    ],
)
def test_inert(body):
    assert is_inert_on_install(f"#!/bin/sh\n{body}\n")


@pytest.mark.parametrize(
    "body",
    [
        "touch /x",
        "dpkg-divert --rename --add /usr/bin/x",
        'if [ "$1" = install ]; then\n  touch /x\nfi',
        'if [ "$1" = upgrade ] || [ -e /y ]; then\n  touch /x\nfi',
        'if [ "$1" = upgrade -o -e /y ]; then\n  touch /x\nfi',
        'if ! [ "$1" = upgrade ]; then\n  touch /x\nfi',
        'if [ ! "$1" = upgrade ]; then\n  touch /x\nfi',
        'if [ "$1" != upgrade ]; then\n  touch /x\nfi',
        'if [ "$1" = upgrade ]; then\n  :\nelse\n  touch /x\nfi',
        'if [ "$1" = upgrade ]; then\n  :\nelif true; then\n  touch /x\nfi',
        'if [ "$1" = upgrade ]; then\n  :\nfi; touch /x',
        'if [ "$1" = upgrade ]; then :; fi\ntouch /x',
        'if touch /x && [ "$1" = upgrade ]; then\n  :\nfi',
        'if [ "$(touch /x)" = "" ] && [ "$1" = upgrade ]; then\n  :\nfi',
        'if [ "`touch /x`" = "" ] && [ "$1" = upgrade ]; then\n  :\nfi',
        'if [ "$1" = upgrade ]; then\n  echo if\nfi\ntouch /x\nfi',
        "if [ \"$1\" = upgrade ]; then\n  echo '\nif x; then\n'\nfi\ntouch /x",
        'if [ "$1" = upgrade ]; then\n cat <<if\n if\nif\nfi\ntouch /x',
        f"{HELPER}; touch /x",
        HELPER.replace("pkg", "$(touch /x)"),
        HELPER.replace("pkg", "pkg > /x"),
        HELPER + " > /x",
        HELPER.replace("rm_conffile", "unknown"),
        "X=`touch /x`",
        "X=$(touch /x)",
        "X=1 touch /x",
        "exit 0 || touch /x",
        "set -e; touch /x",
        "f() {\n  touch /x\n}\nf",
        'if [ "a" = "b -a "$1" = upgrade ]; then\n touch /x\nfi',
    ],
)
def test_not_provably_inert(body):
    assert not is_inert_on_install(f"#!/bin/sh\n{body}\n")


@pytest.mark.parametrize(
    "head", ["#!/usr/bin/perl", "#!/bin/sh -x -c touch", "", "#!/usr/bin/env sh"]
)
def test_only_shell_scripts(head):
    assert not is_inert_on_install(f"{head}\nexit 0\n")


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_gets_an_answer(text):
    assert is_inert_on_install(f"#!/bin/sh\n{text}") in (True, False)


PIECES = ["if", "fi", "else", "then", "; ", "\n", " && ", " || ", '[ "$1" = upgrade ]', "touch /tmp/hit",
          ":", "exit 0", "{ ", "} ", '"', "'", "#", " ", "( ", ") ", "case x in x) ", "esac", "echo "]  # fmt: skip


@pytest.mark.root
@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_what_is_called_inert_changes_nothing_when_run(body):
    """The shell itself judges generated scripts; most are rejected, so the rest is run cheaply."""
    script = f'#!/bin/sh\nif [ "$1" = upgrade ]; then\n{body}\nfi\n{body}\n'
    if is_inert_on_install(script):
        assert _run_read_only(script) == (0, "")


def _run_read_only(script):
    """Exit status and output of `preinst install` where nothing can be written."""
    done = subprocess.run(
        ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-net", "--unshare-pid",
         "--setenv", "DPKG_MAINTSCRIPT_NAME", "preinst", "--setenv", "DPKG_MAINTSCRIPT_PACKAGE", "x",
         "sh", "-c", script, "preinst", "install"],
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.mark.root
def test_inert_scripts_of_this_machine_really_are():
    scripts = [p.read_text(errors="replace") for p in Path("/var/lib/dpkg/info").glob("*.preinst")]
    inert = [s for s in scripts if is_inert_on_install(s)]
    assert inert
    for script in inert[:40]:
        assert _run_read_only(script) == (0, ""), script


def test_class_of_packages(tmp_path):
    plain = classify(Deb.open(make_deb(tmp_path, "a", scripts={"postinst": "touch /x"})))
    assert plain.is_fast
    assert not plain.reason
    inert = classify(Deb.open(make_deb(tmp_path, "b", scripts={"preinst": HELPER})))
    assert inert.is_fast
    active = classify(Deb.open(make_deb(tmp_path, "c", scripts={"preinst": "touch /x"})))
    assert not active.is_fast
    assert "preinst" in active.reason

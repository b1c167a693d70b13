"""dpkg with real packages in a real tree."""

from __future__ import annotations

import logging
import os
import re
import threading

import pytest
from fixtures.debrepo import File, make_deb

from apt_ostree.errors import CancelledError, PackageError, ScriptError
from apt_ostree.sandbox import knownbad
from apt_ostree.sandbox.bwrap import target_root
from apt_ostree.sandbox.scripts import Dpkg

pytestmark = [pytest.mark.root, pytest.mark.network]


@pytest.fixture
def box(tree, token):
    with target_root(tree.root, env={"T": token}, source_date_epoch=1) as box:
        yield box


@pytest.fixture
def debs(tmp_path):
    def make(name, **options):
        return make_deb(tmp_path / "debs", name, **options)

    return make


def status(tree, package):
    shown = (tree.root / "usr/lib/sysimage/dpkg/status").read_text().split("\n\n")
    stanza = next((s for s in shown if s.startswith(f"Package: {package}\n")), "Status: none")
    return next(line[8:] for line in stanza.splitlines() if line.startswith("Status: "))


def test_install_and_purge(tree, box, debs):
    deb = debs("aaa", scripts={"postinst": 'echo "$@" >/var/lib/aaa; echo p >>/etc/aaa.conf',
                               "postrm": "rm -f /var/lib/aaa"},
               files={"usr/bin/aaa": "x", "etc/aaa.conf": "c\n"}, conffiles=["/etc/aaa.conf"])  # fmt: skip
    steps = []
    dpkg = Dpkg(box, on_step=lambda *step: steps.append(step))
    before = tree.changes()
    dpkg.unpack([deb])
    assert status(tree, "aaa") == "install ok unpacked"
    dpkg.configure(["aaa:all"])
    assert status(tree, "aaa") == "install ok installed"
    assert (tree.root / "usr/etc/aaa.conf").read_text() == "c\np\n"
    assert (tree.root / "var/lib/aaa").read_text() == "configure \n"
    assert dpkg.audit() == ()
    dpkg.purge(["aaa"])
    assert status(tree, "aaa") == "none"
    assert [s for s in steps if s[0] != "trigproc"] == [
        ("install", "aaa"), ("configure", "aaa"), ("remove", "aaa"), ("purge", "aaa")
    ]  # fmt: skip
    left = {c for c in tree.changes() - before if not c.startswith("usr/lib/sysimage/dpkg/")}
    assert left == {"usr/bin/aaa", "usr/etc/aaa.conf"} & left  # no more than whiteouts
    assert not os.path.lexists(tree.root / "etc")
    assert not (tree.root / "var/log/dpkg.log").exists()


def test_configure_everything_that_is_pending(tree, box, debs):
    two = debs("two", depends="one", scripts={"postinst": "test -e /var/one"})
    one = debs("one", scripts={"postinst": "echo >/var/one"})
    dpkg = Dpkg(box)
    dpkg.unpack([two, one])
    assert any("not yet configured" in line or "one" in line for line in dpkg.audit())
    dpkg.configure()
    assert status(tree, "two") == "install ok installed"


SCRIPTS = {
    "postinst": ("configure ''", lambda dpkg, deb: (dpkg.unpack([deb]), dpkg.configure())),
    "preinst": ("install", lambda dpkg, deb: dpkg.unpack([deb])),
    "prerm": ("remove", lambda dpkg, deb: (dpkg.unpack([deb]), dpkg.configure(), dpkg.purge(["bad"]))),
    "postrm": ("remove", lambda dpkg, deb: (dpkg.unpack([deb]), dpkg.configure(), dpkg.purge(["bad"]))),
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_failing_script_is_named(tree, box, debs, script):
    text = "for n in $(seq 30); do echo line $n; done; echo to stderr >&2; exit 3"
    scripts = {script: text}
    if script == "preinst":
        scripts["postrm"] = "echo undo"
    deb = debs("bad", scripts=scripts)
    arguments, act = SCRIPTS[script]
    with pytest.raises(ScriptError) as caught:
        act(Dpkg(box, is_journaled=True), deb)
    error = caught.value
    assert error.message == f"package bad: {script} {arguments} failed with exit status 3"
    assert (error.package, error.script, error.status) == ("bad", script, 3)
    assert error.details[-1] == f"bad.{script}: to stderr"
    assert error.details[0] == f"bad.{script}: line 12"
    assert len(error.details) == 20
    assert error.hint == f"run `journalctl -t 'apt-ostree(bad.{script})'` for more information"


def test_the_failing_one_of_many_is_named(tree, box, debs):
    many = [debs(f"p{n}", scripts={"postinst": f"echo I am p{n}; exit {1 if n == 3 else 0}"})
            for n in range(6)]  # fmt: skip
    dpkg = Dpkg(box)
    dpkg.unpack(many)
    with pytest.raises(ScriptError) as caught:
        dpkg.configure()
    assert caught.value.package == "p3"
    assert caught.value.details == ("p3.postinst: I am p3",)
    assert caught.value.hint is None


def test_a_script_killed_by_a_signal(tree, box, debs):
    deb = debs("bad", scripts={"postinst": "kill -9 $$"})
    dpkg = Dpkg(box)
    dpkg.unpack([deb])
    with pytest.raises(
        ScriptError, match=r"bad: postinst configure '' was killed by signal \(Killed\)"
    ):
        dpkg.configure()


def test_a_script_that_kills_everything(tree, box, debs):
    deb = debs("bad", scripts={"postinst": "kill -9 -1; sleep 10"})
    dpkg = Dpkg(box)
    dpkg.unpack([deb])
    with pytest.raises(ScriptError, match=r"bad: postinst configure .*killed"):
        dpkg.configure()


def test_a_hanging_script_is_named(tree, token, debs):
    from dataclasses import replace

    from apt_ostree.sandbox.policy import MAINTAINER

    deb = debs("slow", scripts={"postinst": "echo waiting; sleep 1000"})
    policy = replace(MAINTAINER, timeout_s=1.0)
    with target_root(tree.root, env={"T": token}, policy=policy) as box:
        dpkg = Dpkg(box)
        dpkg.unpack([deb])
        with pytest.raises(ScriptError) as caught:
            dpkg.configure()
    assert caught.value.package == "slow"
    assert caught.value.message.endswith("did not end within 1 s and was stopped")
    assert caught.value.details == ("slow.postinst: waiting",)


def test_cancel_during_a_script(tree, token, debs):
    cancel = threading.Event()
    deb = debs("slow", scripts={"postinst": "sleep 1000"})
    with target_root(tree.root, env={"T": token}, cancel=cancel) as box:
        dpkg = Dpkg(box, on_step=lambda action, _: action == "configure" and cancel.set())
        dpkg.unpack([deb])
        with pytest.raises(CancelledError):
            dpkg.configure()


def test_a_file_conflict_names_the_archive(tree, box, debs):
    one, two = (debs(name, files={"usr/bin/same": name}) for name in ("one", "two"))
    with pytest.raises(PackageError) as caught:
        Dpkg(box).unpack([one, two])
    assert re.fullmatch(
        r"two_1\.0_all\.deb: trying to overwrite '/usr/bin/same', "
        r"which is also in package one \(?1\.0\)?",
        caught.value.message,
    )
    assert caught.value.hint


def test_a_file_conflict_can_be_forced(tree, box, debs):
    one, two = (debs(name, files={"usr/bin/same": name}) for name in ("one", "two"))
    Dpkg(box).unpack([one, two], force=["overwrite"])
    assert (tree.root / "usr/bin/same").read_text() == "two"


def test_a_missing_dependency(tree, box, debs):
    dpkg = Dpkg(box)
    dpkg.unpack([debs("needy", depends="nowhere")])
    with pytest.raises(PackageError, match="needy: dependency problems") as caught:
        dpkg.configure()
    assert any("nowhere" in line for line in caught.value.details)
    dpkg.configure(["needy"], force=["depends"])
    assert status(tree, "needy") == "install ok installed"


def test_a_broken_archive(tree, box, tmp_path):
    bad = tmp_path / "broken_1_all.deb"
    bad.write_bytes(b"not an archive")
    with pytest.raises(PackageError, match=r"broken_1_all\.deb"):
        Dpkg(box).unpack([bad])


def test_an_unknown_package(tree, box):
    with pytest.raises(PackageError, match="nothing-like-it"):
        Dpkg(box).configure(["nothing-like-it"])


def test_triggers_wait_and_settle(tree, box, debs):
    count = "echo x >>/var/lib/{0}; "
    first = debs("first", triggers="interest-noawait /usr/share/zz",
                 scripts={"postinst": 'if [ "$1" = triggered ]; then ' + count.format("first")
                          + "dpkg-trigger --no-await second-wanted; fi"})  # fmt: skip
    second = debs("second", triggers="interest-noawait second-wanted",
                  scripts={"postinst": 'if [ "$1" = triggered ]; then ' + count.format("second") + "fi"})  # fmt: skip
    dpkg = Dpkg(box)
    dpkg.unpack([first, second])
    dpkg.configure()
    dpkg.unpack([debs("data", files={"usr/share/zz/a": "1"})])
    dpkg.configure()
    assert not (tree.root / "var/lib/first").exists()
    dpkg.triggers()
    assert (tree.root / "var/lib/first").read_text() == "x\n"
    assert (tree.root / "var/lib/second").read_text() == "x\n"
    assert dpkg.audit() == ()


def test_lines_are_logged_under_their_script(tree, box, debs, caplog):
    deb = debs("talker", scripts={"preinst": "echo one", "postinst": "echo two >&2; printf three"})
    with caplog.at_level(logging.INFO, logger="apt_ostree.sandbox.scripts"):
        dpkg = Dpkg(box)
        dpkg.unpack([deb])
        dpkg.configure()
    said = [(r.__dict__["SYSLOG_IDENTIFIER"], r.getMessage()) for r in caplog.records]
    assert ("apt-ostree(talker.preinst)", "talker.preinst: one") in said
    assert ("apt-ostree(talker.postinst)", "talker.postinst: two") in said
    assert ("apt-ostree(talker.postinst)", "talker.postinst: three") in said
    assert not any("D000002" in text for _, text in said)


def test_requests_of_scripts_are_recorded(tree, box, debs):
    tool = File("#!/bin/sh\necho REAL >/var/real\n", mode=0o755)
    dpkg = Dpkg(box)
    dpkg.unpack([debs("tools", files={"usr/sbin/update-initramfs": tool})])
    dpkg.configure()
    dpkg.unpack([debs("wants", scripts={"preinst": "update-initramfs -c",
                                        "postinst": "/usr/sbin/update-initramfs -u",
                                        "prerm": "update-initramfs -d"})])  # fmt: skip
    dpkg.configure()
    dpkg.purge(["wants"])
    assert [r.arguments for r in box.requests] == ["-c", "-u", "-d"]
    assert not (tree.root / "var/real").exists()


def test_an_intercepted_program_can_be_upgraded_and_removed(tree, box, debs):
    dpkg = Dpkg(box)
    for version in ("1", "2"):
        tool = File(f"#!/bin/sh\n# {version}\n", mode=0o755)
        dpkg.unpack([debs("tools", version=version, files={"usr/sbin/update-grub": tool})])
        dpkg.configure()
    assert "# 2" in (tree.root / "usr/sbin/update-grub").read_text()
    dpkg.purge(["tools"])
    assert not (tree.root / "usr/sbin/update-grub").exists()


def test_conffiles_of_kernel_hooks_are_installed(tree, box, debs):
    hook = File("#!/bin/sh\necho ran >/var/ran\n", mode=0o755)
    path = "etc/kernel/postinst.d/zz-hook"
    deb = debs("hooked", files={path: hook}, conffiles=[f"/{path}"],
               scripts={"postinst": "run-parts --arg=6.1 /etc/kernel/postinst.d"})  # fmt: skip
    dpkg = Dpkg(box)
    dpkg.unpack([deb])
    dpkg.configure()
    assert (tree.root / f"usr/{path}").exists()
    assert not (tree.root / "var/ran").exists()
    assert [r.program for r in box.requests] == ["run-parts"]


def test_scripts_cannot_run_dpkg(tree, box, debs):
    dpkg = Dpkg(box)
    dpkg.unpack([debs("nested", scripts={"postinst": "dpkg --configure -a"})])
    with pytest.raises(ScriptError) as caught:
        dpkg.configure()
    assert any("lock" in line for line in caught.value.details)


@pytest.mark.parametrize("action", ["skip", "ignore-exit"])
def test_known_bad_scripts(tree, box, debs, action, monkeypatch):
    rows = knownbad.parse(
        f"[[script]]\npackage = 'ba*'\nscript = 'postinst'\naction = '{action}'\nwhy = 'a test'\n",
        source="t",
    )
    monkeypatch.setattr(knownbad, "table", lambda: rows)
    deb = debs("bad", scripts={"postinst": 'echo "$1" >/var/ran; exit 4'})
    dpkg = Dpkg(box)
    dpkg.unpack([deb])
    dpkg.configure()
    assert status(tree, "bad") == "install ok installed"
    assert (tree.root / "var/ran").exists() == (action == "ignore-exit")
    assert "exit 4" in (tree.root / "usr/lib/sysimage/dpkg/info/bad.postinst").read_text()
    dpkg.purge(["bad"])


def test_many_archives(tree, box, debs):
    many = [debs(f"m{n}", files={f"usr/share/m/{n}": "x"}) for n in range(120)]
    dpkg = Dpkg(box)
    dpkg.unpack(many)
    dpkg.configure()
    assert status(tree, "m119") == "install ok installed"

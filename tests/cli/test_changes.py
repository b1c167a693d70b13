"""What each command that makes a deployment asks for, refuses and says at the end."""

import http.server
import json
import threading
from pathlib import Path

import pytest

from apt_ostree.model.change import Change, KargsEdit, Options, Outcome
from apt_ostree.model.package import Package
from apt_ostree.model.plan import Action, Archive, Inactive, Plan, Reason, ReasonKind, Step
from apt_ostree.model.progress import PlanWatcher

SYSROOT = "--sysroot=/mnt"
QUEUED = 'Changes queued for next boot. Run "systemctl reboot" to start a reboot\n'
REBOOT = 'Run "systemctl reboot" to start a reboot\n'
OVERRIDE = 'Use "apt-ostree override reset" to undo overrides\n' + REBOOT

PLAN = Plan(
    steps=(
        Step(Action.INSTALL, Package("htop", "amd64", "3.2-1"), Reason(ReasonKind.REQUEST, "htop"),
             archive=Archive("0" * 64, 152_000, "debian:trixie", uri="http:a"),
             installed_bytes=400_000),
        Step(Action.INSTALL, Package("libnl", "amd64", "1:3-1"), Reason(ReasonKind.DEPENDS, "htop"),
             archive=Archive("1" * 64, 1_048_000, "debian:trixie", uri="http:b"),
             installed_bytes=900_000),
        Step(Action.UPGRADE, Package("bash", "amd64", "5.3"), Reason(ReasonKind.OVERRIDE, "bash.deb"),
             old_version="5.2", archive=Archive("2" * 64, 5, "@local", path="/b.deb")),
        Step(Action.REMOVE, Package("nano", "amd64", "7"), Reason(ReasonKind.OVERRIDE, "nano"),
             installed_bytes=100_000),
    ),
    inactive=(Inactive("vim", "vim-9-1.amd64"),),
    base="b" * 64,
)  # fmt: skip


@pytest.fixture
def debs(tmp_path):
    for name in ("a.deb", "b.deb"):
        (tmp_path / name).write_bytes(b"!<arch>\n")
    return tmp_path


CASES = [
    ("install htop vim", Change(install=("htop", "vim")), {}, QUEUED),
    ("install D/a.deb htop --uninstall=x -C --idempotent --allow-inactive",
     Change(install=("htop",), install_local=("D/a.deb",), uninstall=("x",)),
     {"cache_only": True, "idempotent": True, "allow_inactive": True}, QUEUED),
    ("pkg-add file://D/a.deb --force-replacefiles",
     Change(install_fileoverride_local=("D/a.deb",)), {}, QUEUED),
    ("uninstall x y", Change(uninstall=("x", "y")), {"cache_only": True}, QUEUED),
    ("remove --all --install=z", Change(no_layering=True, install=("z",)), {}, QUEUED),
    ("upgrade --allow-downgrade --lock-finalization", Change(pull_base=True),
     {"allow_downgrade": True, "lock_finalization": True}, REBOOT),
    ("update --uninstall a --install b", Change(pull_base=True, install=("b",), uninstall=("a",)),
     {}, REBOOT),
    ("deploy version=1.2 --skip-branch-check",
     Change(pull_base=True, revision="version=1.2", skip_branch_check=True),
     {"allow_downgrade": True}, REBOOT),
    ("deploy abc --disallow-downgrade", Change(pull_base=True, revision="abc"), {}, REBOOT),
    ("rebase ostree://o:b rev --skip-purge --custom-origin-url=u --custom-origin-description=d",
     Change(pull_base=True, refspec="o:b", revision="rev", skip_purge=True,
            custom_origin=("u", "d")), {"allow_downgrade": True}, QUEUED),
    ("rebase -m o -b b", Change(pull_base=True, refspec="o:b"), {"allow_downgrade": True}, QUEUED),
    ("rebase -m o", Change(pull_base=True, refspec="o:"), {"allow_downgrade": True}, QUEUED),
    ("rebase -b b --custom-origin-description=x", Change(pull_base=True, refspec="b"),
     {"allow_downgrade": True}, QUEUED),
    ("reset", Change(no_layering=True, no_overrides=True, no_initramfs=True),
     {"cache_only": True}, QUEUED),
    ("reset -l --install=a", Change(no_layering=True, install=("a",)), {}, QUEUED),
    ("reset -oi", Change(no_overrides=True, no_initramfs=True), {"cache_only": True}, QUEUED),
    ("override replace D/a.deb --remove=x --install=y --install=D/b.deb",
     Change(override_replace_local=("D/a.deb",), override_remove=("x",), install=("y",),
            install_local=("D/b.deb",)), {}, OVERRIDE),
    ("override replace --experimental -r repo=x foo D/a.deb",
     Change(override_replace_from=(("repo=x", ("foo",)),), override_replace_local=("D/a.deb",)),
     {}, OVERRIDE),
    ("override remove x y --replace=D/a.deb",
     Change(override_remove=("x", "y"), override_replace_local=("D/a.deb",)), {}, OVERRIDE),
    ("override reset x", Change(override_reset=("x",)), {"cache_only": True}, REBOOT),
    ("override reset -a --install y", Change(no_overrides=True, install=("y",)), {}, REBOOT),
    ("kargs --append=a=1 --append=a=2 --delete=b --append-if-missing=c --delete-if-present=d",
     Change(kargs=KargsEdit(append=("a=1", "a=2"), delete=("b",), append_if_missing=("c",),
                            delete_if_present=("d",))), {"cache_only": True}, QUEUED),
    ("kargs --replace=a=1=2 --deploy-index=1",
     Change(kargs=KargsEdit(replace=("a=1=2",)), kargs_base_index=1), {"cache_only": True}, QUEUED),
    ("initramfs --enable --arg=-I --arg=/etc/x",
     Change(initramfs_regenerate=True, initramfs_args=("-I", "/etc/x")), {"cache_only": True},
     "Initramfs regeneration is now: enabled\n"),
    ("initramfs --disable", Change(initramfs_regenerate=False), {"cache_only": True},
     "Initramfs regeneration is now: disabled\n"
     "Initramfs will be reset to default on next reboot.\n"),
    ("initramfs-etc --track=/etc/a --untrack=/etc/b --force-sync",
     Change(initramfs_etc_track=("/etc/a",), initramfs_etc_untrack=("/etc/b",),
            initramfs_etc_force_sync=True), {"cache_only": True}, REBOOT),
    ("initramfs-etc --untrack-all", Change(initramfs_etc_untrack_all=True), {"cache_only": True},
     REBOOT),
]  # fmt: skip


@pytest.mark.parametrize(("line", "change", "options", "ending"), CASES, ids=[c[0] for c in CASES])
def test_request_and_ending(run, asked, debs, line, change, options, ending):
    def real(paths):
        return tuple(Path(str(p).replace("D/", f"{debs}/")) for p in paths)

    import dataclasses

    change = dataclasses.replace(
        change,
        install_local=real(change.install_local),
        install_fileoverride_local=real(change.install_fileoverride_local),
        override_replace_local=real(change.override_replace_local),
    )
    words = line.replace("D/", f"{debs}/").split()
    code, out, err = run(*words, SYSROOT, "--stateroot=debian")
    assert (code, out, err) == (0, ending, "")
    command_line = " ".join([*words, SYSROOT, "--stateroot=debian"])
    assert asked == [
        (Path("/mnt"), "debian", change, Options(command_line=command_line, **options))
    ]


REFUSED = [
    ("upgrade --reboot --preview", "Cannot specify both --reboot and --preview"),
    ("upgrade --reboot --check", "Cannot specify both --reboot and --check"),
    ("upgrade --check-diff --install=a",
     "Cannot specify both --preview and --install/--uninstall"),
    ("upgrade -C --download-only", "Can't specify cache-only and download-only"),
    ("install a -n --download-only", "Can't specify dry-run and download-only"),
    ("install -A -r a", "Cannot specify `apply-live` and `reboot`"),
    ("install a --force-replacefiles", "Non-local fileoverrides not implemented"),
    ("install nowhere.deb", "'nowhere.deb' is not a file"),
    ("install x_1.dsc", "x_1.dsc appears to be a source package which are not usually intended to "
     "be installed"),
    ("install -r a", "Cannot reboot: '/mnt' is not the running system"),
    ("deploy --ex-cliwrap=maybe", "Expecting --ex-cli-wrap=true/false but found maybe"),
    ("deploy x --preview --install=y", "Cannot specify both --preview and --install/--uninstall"),
    ("rebase /repo", "Missing ':' in LOCALPATH:REF rebase"),
    ("rebase /repo:", "Missing REF in LOCALPATH:REF rebase"),
    ("rebase /repo:x rev", "Revision overrides for transient local rebases not implemented yet"),
    ("rebase ostree://", "Refspec is empty"),
    ("rebase x --custom-origin-url=u",
     "--custom-origin-description must be supplied with --custom-origin-url"),
    ("override replace foo", "Non-local replacement overrides not implemented yet"),
    ("override replace foo --from=repo=x", "Must specify --experimental to use --freeze or --from"),
    ("override replace foo --experimental --from=x",
     "Parsing override source 'x': Not in KIND=NAME format"),
    ("override replace foo --experimental --from=a=x",
     "Parsing override source 'a=x': Invalid kind 'a'"),
    ("override replace foo --experimental --from=repo=",
     "Parsing override source 'repo=': Empty name"),
    ("kargs --delete=a --replace=b", "Cannot specify both --delete and --replace"),
    ("kargs --import-proc-cmdline --deploy-index=0",
     "Cannot specify both --import-from-proc-cmdline and --deploy-index"),
    ("kargs --reboot", "Cannot reboot when kernel arguments not changed"),
    ("kargs --append=a --deploy-index=-1",
     "Invalid deployment index -1, must be a number and >= 0"),
    ("initramfs --reboot", "--reboot must be used with --enable or --disable"),
    ("initramfs --arg=x", "--arg must be used with --enable"),
    ("initramfs --enable --disable", "Cannot simultaenously specify --enable and --disable"),  # codespell:ignore simultaenously
    ("initramfs --disable --arg=x", "Cannot simultaenously specify --disable and --arg"),  # codespell:ignore simultaenously
    ("initramfs-etc -r",
     "Cannot use ---reboot without --track, --untrack, --untrack-all, or --force-sync"),
    ("initramfs-etc --track=/usr/x", "Path outside /etc forbidden: /usr/x"),
    ("cleanup", "cleanup: At least one cleanup option must be specified"),
    ("history -n 0", "Limit must be positive integer"),
    ("list --base --layered", "Cannot specify both --layered and --base"),
    ("status --json -J $", "Cannot specify both --json and --jsonpath"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), REFUSED, ids=[c[0] for c in REFUSED])
def test_refused(run, asked, line, message):
    code, out, err = run(*line.split(), SYSROOT)
    assert (code, out, asked) == (1, "", [])
    assert err.splitlines()[0] == f"error: {message}"


USAGE = [
    ("install", "At least one PACKAGE must be specified"),
    ("uninstall", "At least one PACKAGE must be specified"),
    ("search", "At least one PACKAGE must be specified"),
    ("override remove", "At least one PACKAGE must be specified"),
    ("override replace", "At least one PACKAGE must be specified"),
    ("override reset a --all", "Cannot specify PACKAGEs with --all"),
    ("deploy", "REVISION must be specified"),
    ("rebase", "Must specify refspec, or -b branch or -m remote"),
    ("rebase a b c", "Too many arguments"),
    ("reset x", "Too few or too many arguments"),
    ("cleanup a b", "Too few or too many arguments"),
    ("refresh-md x", "Too few or too many arguments"),
    ("info", "At least one PACKAGE must be specified"),
]


@pytest.mark.parametrize(("line", "message"), USAGE, ids=[c[0] for c in USAGE])
def test_usage(run, asked, line, message):
    code, out, err = run(*line.split(), SYSROOT)
    assert (code, out, asked) == (1, "", [])
    assert err.startswith(f"Usage:\n  apt-ostree {' '.join(line.split()[:1])}")
    assert err.endswith(f"\n\nerror: usage error: {message}\n")


@pytest.mark.parametrize(
    "line",
    ["install a --unchanged-exit-77", "uninstall a --unchanged-exit-77",
     "upgrade --unchanged-exit-77", "update --upgrade-unchanged-exit-77",
     "deploy x --unchanged-exit-77", "kargs --append=a --unchanged-exit-77",
     "initramfs-etc --untrack-all --unchanged-exit-77"],
)  # fmt: skip
def test_unchanged_is_77_when_asked(run, asked, line):
    asked.answer(Outcome(changed=False))
    words = line.split()
    assert run(*words, SYSROOT) == (77, "", "")
    assert run(*(w for w in words if "77" not in w), SYSROOT) == (0, "", "")


def test_a_dry_run_shows_the_plan_with_reasons(run, provide, golden):
    def change(sysroot, stateroot, edit, options, progress):
        assert options.dry_run
        progress.task_begin("Resolving dependencies")
        progress.task_end()
        if isinstance(progress, PlanWatcher):
            progress.plan_ready(PLAN)
        return Outcome(changed=True, plan=PLAN)

    provide("host.change", run=change)
    code, out, err = run("install", "htop", "-n", SYSROOT)
    assert (code, err) == (0, "")
    golden("dry-run", out)
    code, out, _ = run("install", "htop", "-nq", SYSROOT)
    assert (code, out) == (0, "Exiting because of '--dry-run' option\n")


def test_a_dry_run_as_json_is_the_plan(run, provide):
    def change(sysroot, stateroot, edit, options, progress):
        progress.message("talk")
        return Outcome(changed=True, plan=PLAN)

    provide("host.change", run=change)
    code, out, err = run("install", "htop", "--json", "--dry-run", SYSROOT)
    assert (code, err) == (0, "talk\n")
    assert Plan.from_dict(json.loads(out)) == PLAN


def test_json_and_timings_of_a_real_run(run, asked):
    asked.answer(Outcome(True, PLAN, "debian-1.0", timings={"plan": 0.25, "build": 0.75}))
    code, out, err = run("install", "htop", "--json", "--timing", SYSROOT)
    value = json.loads(out)
    assert (code, value["deployment"], value["changed"]) == (0, "debian-1.0", True)
    assert value["plan"]["digest"] == PLAN.digest
    assert err.splitlines() == [
        "plan      0.250 s   25.0%",
        "build     0.750 s   75.0%",
        "total     1.000 s  100.0%",
    ]


def test_download_only(run, asked):
    asked.answer(Outcome(changed=False, notes={"downloaded": True}))
    assert run("upgrade", "--download-only", SYSROOT) == (0, "Update downloaded.\n", "")
    assert asked[0][3].download_only
    again = ("upgrade", "--download-only", "--unchanged-exit-77", SYSROOT)
    assert run(*again)[0] == 0
    asked.answer(Outcome(changed=False))
    assert run(*again) == (77, "", "")


def test_check_without_an_update_is_77(run, asked):
    asked.answer(Outcome(changed=False))
    assert run("upgrade", "--check", SYSROOT) == (77, "No updates available.\n", "")
    assert asked[0][2:] == (
        Change(pull_base=True),
        Options(only_check=True, command_line=f"upgrade --check {SYSROOT}"),
    )


def test_check_shows_the_update(run, asked, golden):
    update = {
        "ref-has-new-commit": True, "checksum": "a" * 64, "version": "13.2", "timestamp": 1767225600,
        "gpg-enabled": True, "signatures": [],
        "rpm-diff": {"upgraded": [[0, "bash", ["5.2", "amd64"], ["5.3", "amd64"]]],
                     "downgraded": [], "removed": [[0, "nano", "7", "amd64"]], "added": []},
        "advisories": [["DSA-1", 1, 3, ["bash-5.3.amd64"],
                        {"cve_references": [["https://x.org/1", "CVE-1 hole"]]}]],
        "manifest-diff": {"total": 3, "total-size": 3_000_000, "n-removed": 1,
                          "removed-size": 1500, "n-added": 1, "added-size": 2000},
    }  # fmt: skip
    asked.answer(Outcome(changed=True, notes={"cached-update": update}))
    code, short, _ = run("upgrade", "--check", SYSROOT)
    _, verbose, _ = run("upgrade", "--preview", SYSROOT)
    assert code == 0
    golden("available-update", short + "\n" + verbose)


def test_kargs_print_and_editor(run, asked, provide, tmp_path, monkeypatch):
    provide("host.kargs", show=lambda sysroot, stateroot, index: "root=x quiet ostree=/o/1")
    assert run("kargs", SYSROOT) == (0, "root=x quiet ostree=/o/1\n", "")
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\ngrep -q "ostree=" "$2" && exit 1\nprintf "$1" >> "$2"\n')
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", f"{script} 'opt=\"a b\" x'")
    assert run("kargs", "--editor", SYSROOT)[:2] == (0, QUEUED)
    assert asked[0][2].kargs.final == ("root=x", "quiet", 'opt="a b"', "x")
    for text, words, expected in [
        ("", [], "error: The kernel arguments remained the same"),
        ("ostree=x", [], "error: You have an 'ostree' argument in your input, that is not going "
         "to be handled"),
    ]:  # fmt: skip
        monkeypatch.setenv("EDITOR", f"{script} '{text}'")
        code, _, err = run("kargs", "--editor", *words, SYSROOT)
        assert (code, err.splitlines()[0]) == (1, expected)
    monkeypatch.setenv("EDITOR", f"{script} ''")
    assert run("kargs", "--editor", "--unchanged-exit-77", SYSROOT) == (77, "No changes.\n", "")
    monkeypatch.setenv("EDITOR", "false")
    assert run("kargs", "--editor", SYSROOT)[0] == 1
    monkeypatch.setenv("OSTREE_EDITOR", "truncate -s 0")
    code, _, err = run("kargs", "--editor", SYSROOT)
    assert err == "error: The kernel arguments can not be empty\n"


def test_kargs_of_the_running_system(run, asked):
    running = Path("/proc/cmdline").read_text().split()
    assert run("kargs", "--import-proc-cmdline", "--append=zz=1", SYSROOT)[0] == 0
    final = asked[0][2].kargs.final
    assert final[-1] == "zz=1"
    assert [w.partition("=")[0] for w in final if w.startswith(("ostree=", "BOOT_IMAGE="))] == []
    assert running[-1] in final or running[-1].startswith(("ostree=", "BOOT_IMAGE=", "initrd="))


@pytest.fixture
def server(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www/hello_1_all.deb").write_bytes(b"a package")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "www")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_downloaded_first(run, provide, server):
    seen = []

    def change(sysroot, stateroot, edit, options, progress):
        seen.extend((path, path.read_bytes()) for path in edit.install_local)
        return Outcome(changed=True)

    provide("host.change", run=change)
    code, out, err = run("install", f"{server}/hello_1_all.deb", SYSROOT)
    assert (code, err) == (0, "")
    assert out == f"Downloading {server}/hello_1_all.deb...done\n{QUEUED}"
    [(path, data)] = seen
    assert (path.name, data) == ("hello_1_all.deb", b"a package")
    assert not path.exists()
    code, out, err = run("install", f"{server}/missing.deb", SYSROOT)
    assert code == 1
    assert err.startswith(f"error: Downloading '{server}/missing.deb': HTTP Error 404")


def test_rollback_and_cleanup(run, provide):
    calls = []
    provide(
        "host.rollback",
        run=lambda *args, dry_run: calls.append((args[:2], dry_run)) or Outcome(changed=True),
    )
    provide(
        "host.cleanup",
        run=lambda sysroot, stateroot, what, progress, dry_run: calls.append((what, dry_run)) or {},
        prune=lambda sysroot, dry_run, progress: {
            "commits": 2, "packages": 1, "downloads": 0, "freed-bytes": 1_234_567,
        },
    )  # fmt: skip
    assert run("rollback", SYSROOT) == (0, QUEUED, "")
    assert run("cleanup", "-bpr", "-m", "--os=debian", SYSROOT)[0] == 0
    assert calls == [
        ((Path("/mnt"), None), False),
        ({"base", "pending-deploy", "rollback-deploy", "repomd"}, False),
    ]
    assert run("prune", SYSROOT)[1] == "Freed: 1.2 MB (commits: 2, packages: 1, downloads: 0)\n"
    assert run("prune", "-n", SYSROOT)[1].startswith("Would free: 1.2 MB")

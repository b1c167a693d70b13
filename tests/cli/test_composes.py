"""The compose commands: requests, refusals, last lines."""

import json
from pathlib import Path

import pytest

from apt_ostree.model.compose import CommitRequest, Composed, ExtensionsRequest, InstallRequest
from apt_ostree.model.plan import Plan


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.yaml").write_text("ref: x\n")
    (tmp_path / "e.yaml").write_text("extensions: {}\n")
    (tmp_path / "lock.json").write_text("{}")
    (tmp_path / "meta.json").write_text('{"a": 1}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "root").mkdir()
    return tmp_path


@pytest.fixture
def composed(provide):
    calls = []
    made = Composed(
        changed=True, ref="debian/x", commit="c" * 64, statistics={"Metadata Total": 3},
        timings={"solve": 1.0},
    )  # fmt: skip

    def record(*args, **kwargs):
        calls.append((*(a for a in args if not hasattr(a, "task_begin")), *kwargs.values()))
        return made

    provide("compose.tree", run=record)
    provide("compose.treefiles", expanded=lambda treefile: {"ref": "x"})
    for name in ("install", "postprocess", "commit", "rootfs", "extensions"):
        provide(f"compose.{name}", run=record)
    return calls


def test_tree(run, files, composed):
    line = (
        "compose tree --unified-core -r repo --cachedir=cache --ex-lockfile=lock.json "
        "--ex-lockfile-strict --proxy=p --force-nocache --touch-if-changed=touch "
        "--add-metadata-string=k=v=w --add-metadata-from-json=meta.json --parent=P t.yaml"
    )
    code, out, err = run(*line.split())
    assert (code, out) == (0, f"Metadata Total: 3\ndebian/x => {'c' * 64}\n")
    assert err.startswith("apt-ostree version: ")
    [(install, commit)] = composed
    assert install == InstallRequest(
        treefile=files / "t.yaml", repo=files / "repo", cachedir=files / "cache", proxy="p",
        force_nocache=True, touch_if_changed=files / "touch", lockfiles=(files / "lock.json",),
        lockfile_strict=True, command_line=line,
    )  # fmt: skip
    assert commit == CommitRequest(
        repo=files / "repo", metadata=(("k", "v=w"),), metadata_files=(files / "meta.json",),
        parent="P",
    )  # fmt: skip


def test_tree_dry_run_json_timing(run, files, composed):
    code, out, _ = run("compose", "tree", "-n", "-rr", "t.yaml", "--touch-if-changed=f")
    assert (code, out) == (0, "--dry-run complete, updating --touch-if-changed=f; exiting\n")
    _, out, err = run("compose", "tree", "-rr", "t.yaml", "--json", "--timing")
    assert json.loads(out)["commit"] == "c" * 64
    assert err.splitlines()[1].split() == ["solve", "1.000", "s", "100.0%"]
    _, out, _ = run("compose", "tree", "-rr", "t.yaml", "--json", "-n")
    assert json.loads(out)["plan"] is None


def test_print_only_needs_no_repo(run, files, composed):
    assert run("compose", "tree", "--print-only", "t.yaml") == (0, '{\n  "ref" : "x"\n}\n', "")


def test_steps_without_a_plan_check_their_arguments(run, files, composed):
    for words in (["commit", "--repo=repo", "t.yaml", "root"], ["postprocess", "root", "t.yaml"]):
        assert run("compose", *words, "-n") == (0, "--dry-run complete; exiting\n", "")
    assert composed == []


def test_other_commands(run, files, composed):
    assert run("compose", "install", "t.yaml", "dest", "--postprocess")[0] == 0
    assert run("compose", "postprocess", "root", "t.yaml")[0] == 0
    assert run("compose", "commit", "--repo=repo", "t.yaml", "root", "--no-parent")[0] == 0
    assert run("compose", "rootfs", "t.yaml", "new", "--source-root=root")[0] == 0
    code = run("compose", "extensions", "--rootfs=root", "--output-dir=o", "t.yaml", "e.yaml")[0]
    assert code == 0
    treefile = files / "t.yaml"
    assert composed == [
        (InstallRequest(treefile, command_line="compose install t.yaml dest --postprocess"),
         files / "dest", True),
        (files / "root", treefile),
        (treefile, files / "root", CommitRequest(files / "repo", no_parent=True)),
        (InstallRequest(treefile, source_root=files / "root",
                        command_line="compose rootfs t.yaml new --source-root=root"),
         files / "new"),
        (ExtensionsRequest(treefile, files / "e.yaml", files / "o", rootfs=files / "root"),),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "last"),
    [
        (Composed(True, commit="c"), "Wrote commit: c"),
        (Composed(True, root=Path("/d/rootfs")), "rootfs: /d/rootfs"),
        (Composed(False, plan=Plan()), ""),
    ],
)
def test_last_line(run, files, provide, made, last):
    provide("compose.tree", run=lambda *_: made)
    out = run("compose", "tree", "-rr", "t.yaml")[1]
    assert out == (f"{last}\n" if last else "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tree", "usage error: TREEFILE must be specified"),
        ("tree t.yaml", "usage error: --repo must be specified"),
        ("install t.yaml", "usage error: TREEFILE and DESTDIR required"),
        ("install t.yaml d --workdir=w", "usage error: --workdir is ignored with install-root"),
        ("postprocess", "usage error: ROOTFS must be specified"),
        ("commit", "usage error: TREEFILE must be specified"),
        ("commit t.yaml -rr", "usage error: ROOTFS must be specified"),
        ("commit t.yaml root", "usage error: --repo must be specified"),
        ("extensions t.yaml", "usage error: TREEFILE and EXTYAML must be specified"),
        ("extensions t.yaml e.yaml", "usage error: --output-dir must be specified"),
        ("extensions t.yaml e.yaml --output-dir=o", "usage error: --repo must be specified"),
        ("extensions t.yaml e.yaml --output-dir=o --rootfs=r --repo=r",
         "usage error: --repo must not be specified with --rootfs"),
        ("tree -rr none.yaml", "'none.yaml' is not a file"),
        ("tree -rr t.yaml --download-only", "--download-only can only be used with --cachedir"),
        ("tree -rr t.yaml --add-metadata-string=x", "Missing '=' in KEY=VALUE metadata 'x'"),
        ("tree -rr t.yaml --add-metadata-from-json=list.json",
         "Parsing list.json: not a JSON object"),
        ("commit -rr t.yaml nodir", "'nodir' is not a directory"),
        ("rootfs t.yaml root", "Refusing to operate on extant target"),
    ],
)  # fmt: skip
def test_refused(run, files, composed, line, message):
    code, _, err = run("compose", *line.split())
    assert (code, composed) == (1, [])
    assert err.splitlines()[-1].startswith(f"error: {message}")


def test_rootfs_is_of_the_clap_family(run, files, composed):
    for words in (["t.yaml"], ["t.yaml", "d", "--source-root=a", "--source-root-rw=b"]):
        code, out, err = run("compose", "rootfs", *words)
        assert (code, out) == (2, "")
        assert err.endswith("For more information, try '--help'.\n")

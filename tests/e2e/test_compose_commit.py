"""The commit: change detection, versions, metadata, statistics, where it is written to."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from fixtures.composes import REF, Composer
from fixtures.debrepo import make_deb, make_key

pytestmark = [pytest.mark.root, pytest.mark.network]

TEXT = """
packages: [app]
documentation: false
automatic-version-prefix: "1"
"""
UNCHANGED = "No apparent changes since previous commit"


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    """A branch with one commit, to which the tests of this file add others."""
    made = Composer(tmp_path_factory.mktemp("commit"), cache="nodoc")
    made.publish(app(made, "1.0"))
    done = made.tree(TEXT, f"--write-composejson-to={made.directory}/first.json")
    (made.directory / "first.out").write_text(done.stdout)
    return made


def app(composer, version, **more):
    return make_deb(
        composer.directory / "debs", "app", version, files={"usr/bin/app": version}, **more
    )


def lines_in_order(text: str, *patterns: str) -> None:
    at = 0
    lines = text.splitlines()
    for pattern in patterns:
        found = next((n for n in range(at, len(lines)) if re.search(pattern, lines[n])), None)
        assert found is not None, f"no line {pattern!r} after line {at} of\n{text}"
        at = found + 1


def test_output_in_order(composer):
    lines_in_order(
        (composer.directory / "first.out").read_text(),
        "^No previous commit for test/small$",
        "^apt source 'essential'; generated: .* packages: [0-9]+$",
        "^Installing [0-9]+ packages:$",
        r"^  app-1.0.all \(test\)$",
        "^Input state hash: [0-9a-f]{128}$",
        "^Metadata Total: [1-9]",
        "^Metadata Written: [1-9]",
        "^Content Total: [1-9]",
        "^Content Written: [0-9]",
        "^Content Cache Hits: [0-9]",
        "^Content Bytes Written: [0-9]",
        "^test/small => [0-9a-f]{64}$",
    )


def test_composejson_of_the_first_commit(composer):
    told = json.loads((composer.directory / "first.json").read_text())
    assert told["ref"] == REF
    assert told["ostree-version"] == "1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["ostree-timestamp"])
    assert told["rpm-ostree-inputhash"] == composer.metadata(
        "aptostree.inputhash", told["ostree-commit"]
    )
    assert told["ostree-content-checksum"] == composer.content(told["ostree-commit"])
    for key in ("metadata-total", "metadata-written", "content-total"):
        assert told[f"ostree-n-{key}"] > 0
    assert {"ostree-n-content-written", "ostree-n-cache-hits"} <= told.keys()
    assert told["ostree-content-bytes-written"] >= 0
    assert "pkgdiff" not in told


def test_nothing_changed(composer):
    before = composer.commit
    mark = composer.directory / "mark"
    done = composer.tree(TEXT, f"--touch-if-changed={mark}")
    assert done.stderr.startswith("apt-ostree version: ")
    lines_in_order(
        done.stdout, f"^Previous commit: {before}$", f"^{UNCHANGED}; use --force-nocache"
    )
    assert composer.commit == before
    assert not mark.exists()
    # the free key `metadata` and comments make no difference
    done = composer.tree(TEXT + "metadata: {build: 5}  # other\n")
    assert UNCHANGED in done.stdout


def test_force_nocache_counts_the_version_up(composer):
    before = composer.commit
    content = composer.content()
    done = composer.tree(TEXT, "--force-nocache")
    after = composer.commit
    assert before != after
    assert f"{REF} => {after}" in done.stdout
    assert composer.metadata("version") == "1.1"
    assert composer.content() == content  # reproducible
    assert composer.ostree("rev-parse", f"{REF}^").strip() == before


def test_dry_run_writes_nothing_but_the_mark(composer):
    mark = composer.directory / "dry-mark"
    before = sorted(p.name for p in composer.repo.rglob("*"))
    files = sorted(p.name for p in composer.directory.iterdir())
    done = composer.tree(TEXT + "remove-files: [usr/games]\n", "--dry-run")
    assert "Installing" in done.stdout
    assert done.stdout.endswith("--dry-run complete; exiting\n")
    done = composer.tree(
        TEXT + "remove-files: [usr/games]\n", "--dry-run", f"--touch-if-changed={mark}"
    )
    assert f"--dry-run complete, updating --touch-if-changed={mark}; exiting" in done.stdout
    assert mark.exists()
    done = composer.tree(TEXT, "--dry-run")
    assert f"{UNCHANGED}." in done.stdout
    assert sorted(p.name for p in composer.repo.rglob("*")) == before
    assert sorted(p.name for p in composer.directory.iterdir()) == sorted([*files, "dry-mark"])


def test_previous_given_by_hand(composer):
    first = json.loads((composer.directory / "first.json").read_text())
    other = TEXT.replace('"1"', '"3"')
    done = composer.tree(
        other, "--dry-run", f"--previous-inputhash={first['rpm-ostree-inputhash']}"
    )
    assert UNCHANGED not in done.stdout
    done = composer.tree(TEXT, "--dry-run", "--previous-inputhash=00")
    assert UNCHANGED not in done.stdout
    done = composer.tree(TEXT, "--dry-run", f"--previous-commit={first['ostree-commit']}")
    assert f"Previous commit: {first['ostree-commit']}" in done.stdout
    assert UNCHANGED in done.stdout
    error = composer.refused(TEXT, "--dry-run", f"--previous-commit={'0' * 64}")
    assert "0000" in error


def test_commit_options(composer):
    """One more commit with every option that says how it is written."""
    composer.publish(app(composer, "2.0"))
    data, told, ident = (composer.directory / n for n in ("more.json", "told.json", "commitid"))
    data.write_text('{"com.example.list": ["a", "b"], "com.example.on": true, "version": "json"}')
    before, first = composer.commit, json.loads((composer.directory / "first.json").read_text())
    done = composer.tree(
        TEXT, "--add-metadata-string=com.example.word=a=b", "--add-metadata-string=version=9.5",
        f"--add-metadata-from-json={data}", f"--write-commitid-to={ident}",
        f"--write-composejson-to={told}", f"--parent={first['ostree-commit']}",
    )  # fmt: skip
    commit = ident.read_text().strip()
    assert done.stdout.endswith(f"Wrote commit: {commit}\n")
    assert composer.commit == before  # the ref did not move
    assert composer.metadata("com.example.word", commit) == "a=b"
    assert composer.metadata("com.example.list", commit) == ["a", "b"]
    assert composer.metadata("com.example.on", commit) is True
    assert composer.metadata("version", commit) == "9.5"
    said = json.loads(told.read_text())
    assert said["pkgdiff"] == [
        ["app", 2, {"PreviousPackage": ["app", "1.0", "all"], "NewPackage": ["app", "2.0", "all"]}]
    ]
    assert composer.ostree("rev-parse", f"{commit}^").strip() == first["ostree-commit"]
    done = composer.tree(TEXT, "--no-parent", "--previous-version=1.7")
    assert composer.metadata("version") == "1.8"
    assert "Parent:" not in composer.ostree("show", REF)


def test_sources_and_packages_are_in_the_metadata(composer):
    names = [row[0] for row in composer.metadata("aptostree.rpmdb.pkglist")]
    assert "app" in names and names == sorted(names)
    sources = composer.metadata("aptostree.rpmmd-repos")
    assert [s["id"] for s in sources] == ["essential", "test"]
    assert all(s["timestamp"] > 1_000_000_000 for s in sources)


def test_an_archive_signed_and_with_detached_metadata(tmp_path, composer):
    key, home = make_key(tmp_path / "gpg"), tmp_path / "home"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--import", str(key.secret)]
    subprocess.run(gpg, check=True)
    target = Composer(
        tmp_path / "archive", cache="nodoc", mode="archive", env={"GNUPGHOME": str(home)}
    )
    target.publish(app(composer, "2.0"))
    text = TEXT + f"gpg-key: {key.fingerprint}\nrepo-metadata: detached\n"
    target.tree(text)
    assert target.metadata("aptostree.rpmmd-repos") is None
    detached = target.ostree("show", REF, "--print-detached-metadata-key=aptostree.rpmmd-repos")
    assert "essential" in detached
    client = tmp_path / "client"
    client.mkdir()
    for argv in (
        ["init", "--mode=archive"],
        ["remote", "add", f"--gpg-import={key.public}", "origin", f"file://{target.repo}"],
        ["pull", "origin", REF],  # verified
    ):
        subprocess.run(["ostree", f"--repo={client}", *argv], check=True, capture_output=True)
    target.tree(text.replace("detached", "disabled"))
    assert target.metadata("aptostree.rpmmd-repos") is None
    target.ostree("fsck")
    error = target.refused(TEXT + "gpg-key: 0123456789ABCDEF0123456789ABCDEF01234567\n")
    assert "0123456789ABCDEF" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--add-metadata-string=novalue"], "Missing '=' in KEY=VALUE metadata 'novalue'"),
        (["--parent=nowhere"], "nowhere"),
        (["--download-only"], None),
        (["--ex-lockfile=/nonexistent"], "/nonexistent"),
        (["--add-metadata-from-json=/dev/null"], "/dev/null"),
    ],
)
def test_wrong_options(composer, options, message):
    if message is None:
        done = composer.compose(
            "tree", f"--repo={composer.repo}", *options, composer.write(TEXT), ok=(1,)
        )
        assert "--download-only can only be used with --cachedir" in done.stderr
        return
    assert message in composer.refused(TEXT, *options)


def test_usage(composer):
    path = composer.write(TEXT)
    for argv, message in (
        (["tree"], "usage error: TREEFILE must be specified"),
        (["tree", path], "usage error: --repo must be specified"),
        (["install", path], "usage error: TREEFILE and DESTDIR required"),
        (["commit", path], "usage error: ROOTFS must be specified"),
        (["postprocess"], "usage error: ROOTFS must be specified"),
        (["extensions", path], "usage error: TREEFILE and EXTYAML must be specified"),
        (["extensions", path, path], "usage error: --output-dir must be specified"),
        (["install", "--workdir=/x", path, "/y"], "usage error: --workdir is ignored"),
        ([], 'No "compose" subcommand specified'),
        (["never"], 'Unknown "compose" subcommand "never"'),
    ):
        done = composer.compose(*argv, ok=(1,)) if argv else composer.compose("--", ok=(1,))
        assert f"error: {message}" in done.stderr, argv
        assert done.stderr.count("Usage:") == 1


def test_print_only(composer):
    (composer.directory / "inc.yaml").write_text("packages: [one]\nvariables: {a: x}\n")
    path = composer.write("include: inc.yaml\npackages: [two]\nadd-commit-metadata: {v: '${a}y'}\n")
    done = composer.compose("tree", "--print-only", path)
    told = json.loads(done.stdout)
    assert sorted(told["packages"]) == ["one", "two"]
    assert told["add-commit-metadata"] == {"v": "xy"}
    assert "include" not in told
    again = composer.directory / "again.json"
    again.write_text(done.stdout)
    assert json.loads(composer.compose("tree", "--print-only", again).stdout) == told


def test_equal_inputs_and_times_make_an_equal_commit(composer):
    composer.env["SOURCE_DATE_EPOCH"] = "1700000000"
    try:
        composer.tree(TEXT, "--force-nocache", "--add-metadata-string=version=x", "--no-parent")
        one = composer.commit
        composer.tree(TEXT, "--force-nocache", "--add-metadata-string=version=x", "--no-parent")
        assert composer.commit == one  # equal to the last bit
    finally:
        del composer.env["SOURCE_DATE_EPOCH"]

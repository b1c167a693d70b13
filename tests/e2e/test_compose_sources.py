"""Where the packages of a tree come from: sources, suites, pins, lockfiles, the cache."""

from __future__ import annotations

import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fixtures.composes import HEAD, REF, Composer, Files, essential_repo
from fixtures.debrepo import make_deb, make_key, make_repo

pytestmark = [pytest.mark.root, pytest.mark.network]
TRIM = "documentation: false\n"


@pytest.fixture
def composer(tmp_path):
    return Composer(tmp_path / "c", cache="nodoc")


def deb(composer, name, version="1.0", *, files=None, **fields):
    where = composer.directory / "debs"
    return make_deb(where, name, version, files=files or {f"usr/share/{name}": version}, **fields)


def planned(composer, text, *options, head=HEAD):
    """NEVRA -> source of what would be installed, without the Essential set."""
    path = composer.write(TRIM + text, head=head)
    done = composer.compose(
        "tree", f"--repo={composer.repo}", f"--cachedir={composer.cachedir}", "--dry-run", *options, path,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    found = {r[0]: r[1].strip("()") for r in rows if len(r) == 2 and r[1].startswith("(")}
    return {name: source for name, source in found.items() if source != "essential"}


def test_forms_of_package_requests(composer):
    composer.publish(
        deb(composer, "multi"), deb(composer, "multi", "2.0"), deb(composer, "lib-a-dev"),
        deb(composer, "lib-b-dev"), deb(composer, "gui", task="desk"), deb(composer, "provider", provides="virtual"),
        deb(composer, "i386-only", arch="i386"), deb(composer, "a-b"), deb(composer, "path", files={"usr/bin/by-path": "x"}),
    )  # fmt: skip
    make_repo(
        composer.directory / "test-repo", sorted((composer.directory / "debs").glob("*.deb")),
        suite="test", arches=("amd64", "i386"), contents=True,
    )  # fmt: skip
    found = planned(
        composer,
        """packages: [multi=1.0, "lib-*-dev a-b", desk^, virtual, "i386-only:i386"]
architectures: [i386]
""",
    )
    assert set(found) == {
        "multi-1.0.all", "lib-a-dev-1.0.all", "lib-b-dev-1.0.all", "a-b-1.0.all", "gui-1.0.all",
        "provider-1.0.all", "i386-only-1.0.i386",
    }  # fmt: skip
    assert set(planned(composer, "packages: [multi/test]\n")) == {"multi-2.0.all"}
    error = composer.refused("packages: [nowhere, multix, multi=9]\n", "--dry-run")
    assert "Packages not found: multi=9, multix, nowhere" in error
    assert f"{composer.directory}/tree.yaml:5" in error
    assert "multi" in error.splitlines()[-1]  # the near miss is the hint


def test_excluded_packages(composer):
    composer.publish(
        deb(composer, "app", depends="one | other", recommends="extra"), deb(composer, "one"),
        deb(composer, "other"), deb(composer, "extra"), deb(composer, "needs", depends="one"),
    )  # fmt: skip
    text = "packages: [app]\nexclude-packages: [one, extra]\n"
    assert set(planned(composer, text)) == {"app-1.0.all", "other-1.0.all"}
    error = composer.refused("packages: [needs]\nexclude-packages: [one]\n", "--dry-run")
    assert "one" in error and "exclude-packages" in error
    error = composer.refused("packages: [one]\nexclude-packages: [one]\n", "--dry-run")
    assert "tree.yaml:6: 'one' is among 'packages' too" in error


def test_repo_packages_choose_the_source(composer):
    composer.publish(deb(composer, "app", "2.0"), deb(composer, "tool", "2.0"))
    composer.publish(deb(composer, "app", "1.0"), name="old")
    text = HEAD.replace("test]", "test, old]")
    assert planned(composer, "packages: [app, tool]\n", head=text) == {
        "app-2.0.all": "test", "tool-2.0.all": "test"
    }  # fmt: skip
    pin = "packages: [app, tool]\nrepo-packages: [{repo: old, packages: [app]}]\n"
    assert planned(composer, pin, head=text) == {"app-1.0.all": "old", "tool-2.0.all": "test"}
    for wrong, message in (
        ("[{repo: never, packages: [app]}]", "Unknown apt source: never"),
        ("[{repo: old, packages: [tool]}]", "Packages not found in 'old': tool"),
    ):
        path = composer.write(f"{TRIM}packages: [app]\nrepo-packages: {wrong}\n", head=text)
        done = composer.compose(
            "tree", f"--repo={composer.repo}", f"--cachedir={composer.cachedir}", "--dry-run", path,
            ok=(1,),
        )  # fmt: skip
        assert message in done.stderr


def test_suites_and_variables_in_source_files(composer):
    where = composer.directory / "suites"
    for suite in ("alpha", "beta"):
        make_repo(where, [deb(composer, f"on-{suite}")], suite=suite)
    lines = "Types: deb\nURIs: $base\nSuites: ${releasever}\nComponents: main\nTrusted: yes\nArchitectures: $arch\n"
    (composer.directory / "var.sources").write_text(lines)
    head = HEAD.replace("test]", "var]") + f"repovars: {{base: 'file:{where}'}}\n"
    assert set(planned(composer, "releasever: beta\npackages: [on-beta]\n", head=head)) == {
        "on-beta-1.0.all"
    }
    (composer.directory / "one.list").write_text(f"deb [trusted=yes] file:{where} alpha main\n")
    head = HEAD.replace("test]", "one]")
    assert set(planned(composer, "packages: [on-alpha]\n", head=head)) == {"on-alpha-1.0.all"}
    error = composer.write("packages: [x]\n", head=HEAD.replace("test]", "lost]"))
    done = composer.compose("tree", f"--repo={composer.repo}", error, ok=(1,))
    assert "tree.yaml:3: no apt source 'lost' beside the treefile" in done.stderr


def test_lockfiles(composer):
    app, old = deb(composer, "app", "1.0", depends="lib"), deb(composer, "lib", "1.0")
    composer.publish(app, old)
    lock = composer.directory / "lock.json"
    composer.tree(TRIM + "packages: [app]\n", "--dry-run", f"--ex-write-lockfile-to={lock}")
    locked = json.loads(lock.read_text())
    assert locked["packages"]["lib"]["evra"] == "1.0.all"
    assert locked["packages"]["lib"]["digest"].startswith("sha256:")
    assert locked["metadata"]["generated"].endswith("Z")
    assert "test" in locked["metadata"]["rpmmd_repos"]

    composer.publish(app, old, deb(composer, "lib", "2.0"), deb(composer, "extra"))
    text = "packages: [app]\n"
    assert "lib-2.0.all" in planned(composer, text)
    assert "lib-1.0.all" in planned(composer, text, f"--ex-lockfile={lock}")
    done = composer.tree(TRIM + text, "--dry-run", f"--ex-lockfile={lock}")
    assert f"Loaded lockfiles:\n  {lock}\n" in done.stdout
    # several lockfiles: the later wins
    later = composer.directory / "later.json"
    later.write_text('{"packages": {"lib": {"evr": "2.0"}}}')
    assert "lib-2.0.all" in planned(
        composer, text, f"--ex-lockfile={lock}", f"--ex-lockfile={later}"
    )
    # strict: nothing but what is locked
    planned(composer, text, f"--ex-lockfile={lock}", "--ex-lockfile-strict")
    more = "packages: [app, extra]\n"
    assert "extra-1.0.all" in planned(composer, more, f"--ex-lockfile={lock}")
    error = composer.refused(
        TRIM + more, "--dry-run", f"--ex-lockfile={lock}", "--ex-lockfile-strict"
    )
    assert "extra" in error


def test_lockfile_mismatch_names_what_there_is(composer):
    composer.publish(deb(composer, "app", "1.0"))
    lock = composer.directory / "lock.json"
    lock.write_text(
        json.dumps(
            {
                "packages": {
                    "app": {"evra": "1.0.all", "digest": f"sha256:{'0' * 64}"},
                    "gone": {"evra": "3.all"},
                }
            }
        )
    )
    options = ("--dry-run", f"--ex-lockfile={lock}")
    done = composer.tree(TRIM + "packages: [app]\n", *options)
    text = done.stdout + done.stderr
    assert f"warning: Couldn't find locked package 'app:all=1.0' with checksum {'0' * 64}" in text
    assert "  Packages matching NEVRA: 1; Mismatched checksums: 1" in text
    assert "  Packages matching name and arch (1):\n    app-1.0.all" in text
    assert "  No packages matched name: gone arch: all" in text
    error = composer.refused(TRIM + "packages: [app]\n", *options, "--ex-lockfile-strict")
    assert "Couldn't find locked package" in error
    lock.write_text('{"packages": {"app": {"evra": "no-arch"}}}')
    assert "package app has malformed evra: no-arch" in composer.refused(
        "packages: [app]\n", *options
    )
    lock.write_text('{"packages": ')
    assert f"{lock}:1" in composer.refused("packages: [app]\n", *options)


def test_sources_for_locked_packages_only(composer):
    composer.publish(deb(composer, "app", "2.0", depends="lib"), deb(composer, "lib", "2.0"))
    composer.publish(
        deb(composer, "app", "1.0", depends="lib"), deb(composer, "only-there"),
        deb(composer, "lib", "9.0"), name="pool",
    )  # fmt: skip
    text = "lockfile-repos: [pool]\npackages: [app]\n"
    assert planned(composer, text) == {"app-2.0.all": "test", "lib-2.0.all": "test"}
    lock = composer.directory / "lock.json"
    lock.write_text('{"packages": {"app": {"evra": "1.0.all"}}}')
    found = planned(composer, text, f"--ex-lockfile={lock}")
    assert found == {"app-1.0.all": "pool", "lib-2.0.all": "test"}
    done = composer.tree(TRIM + text, "--dry-run")
    assert "NOTICE: treefile key `lockfile-repos` is experimental and subject to change" in (
        done.stdout + done.stderr
    )
    error = composer.refused(TRIM + "lockfile-repos: [pool]\npackages: [only-there]\n", "--dry-run")
    assert "only-there" in error


def test_download_then_compose_without_network(composer):
    """Two stages of an air-gapped build, with a cache of its own."""
    composer.cache = "airgap"
    shutil.rmtree(composer.cachedir, ignore_errors=True)
    pool = composer.directory / "test-repo"
    composer.publish(deb(composer, "app"))
    text = TRIM + "packages: [app]\n"
    composer.tree(text, "--download-only-rpms")
    assert len(list((composer.cachedir / "archives").glob("*.deb"))) > 0 or pool.exists()
    assert composer.ostree("refs", f"--repo={composer.cachedir}/repo", "--list") == ""
    composer.tree(text, "--download-only")
    refs = composer.ostree("refs", f"--repo={composer.cachedir}/repo", "--list")
    assert "aptostree/pkg/app/1.0.all" in refs
    assert composer.ostree("refs") == ""
    pool.rename(composer.directory / "moved")
    error = composer.refused(text)
    assert "test" in error  # with the network on, the lost source is an error
    done = composer.tree(text, "--cache-only")
    assert "Updating metadata" not in done.stdout
    assert composer.packages()["app"] == "1.0"
    error = composer.refused(TRIM + "packages: [app, other]\n", "--cache-only")
    assert "other" in error
    shutil.rmtree(composer.cachedir)


def test_signed_sources_a_proxy_and_another_root(composer):
    """A web server with a signed source, reached through the proxy only."""
    key = make_key(composer.directory / "keys")
    site = composer.directory / "site"
    make_repo(
        site,
        [deb(composer, "app", files={"usr/share/app": str(composer.directory)})],
        suite="web",
        sign=key,
    )
    seen = []

    class Proxy(SimpleHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.path = self.path.removeprefix("http://mirror.invalid")
            super().do_GET()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Proxy, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        root = composer.directory / "root"
        (root / "etc/apt/sources.list.d").mkdir(parents=True)
        (root / "etc/os-release").write_text("VERSION_CODENAME=web\n")
        (root / "etc/apt/sources.list.d/essential.sources").write_text(
            f"Types: deb\nURIs: file:{essential_repo()}\nSuites: essential\nComponents: main\nTrusted: yes\n"
        )
        composer.source("web", site, "web", f"Signed-By: {key.public}")
        text = (composer.directory / "web.sources").read_text()
        web = composer.directory / "web.sources"
        web.write_text(text.replace(f"file:{site}", "http://mirror.invalid"))
        head = HEAD.replace("test]", "web]")
        path = composer.write(TRIM + "packages: [app]\n", head=head)
        options = (f"--repo={composer.repo}", f"--cachedir={composer.cachedir}")
        proxy = f"--proxy=http://127.0.0.1:{server.server_port}"
        done = composer.compose("tree", *options, proxy, path)
        assert f"{REF} => " in done.stdout
        assert any("InRelease" in p for p in seen) and any(p.endswith(".deb") for p in seen)
        files = Files.of(composer)
        sources = files.text("/usr/etc/apt/sources.list.d/base.sources")
        assert "http://mirror.invalid" in sources
        # signed by another key
        other = make_key(composer.directory / "keys", "other")
        web.write_text(web.read_text().replace(str(key.public), str(other.public)))
        done = composer.compose("tree", *options, proxy, "--dry-run", path, ok=(1,))
        assert "web" in done.stderr and "Traceback" not in done.stderr
    finally:
        server.shutdown()
        server.server_close()


def test_the_sources_of_another_root_serve_without_repos(composer):
    root = composer.directory / "root"
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/os-release").write_text("VERSION_CODENAME=essential\n")
    (root / "etc/apt/sources.list.d/main.sources").write_text(
        f"Types: deb\nURIs: file:{essential_repo()}\nSuites: essential\nComponents: main\nTrusted: yes\n"
    )
    path = composer.write(
        f"{TRIM}packages: [dpkg]\n", head=HEAD.replace("repos: [essential, test]\n", "")
    )
    done = composer.compose(
        "tree", f"--repo={composer.repo}", f"--cachedir={composer.cachedir}", "--dry-run",
        f"--source-root={root}", path,
    )  # fmt: skip
    assert "Enabled apt sources: main" in done.stdout
    assert "(main)" in done.stdout

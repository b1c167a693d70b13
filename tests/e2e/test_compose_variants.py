"""Trees of other kinds: edition 2014, state overlays, containers, ostree layers; and refusals."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest
from fixtures.composes import HEAD, REF, Composer, Files
from fixtures.debrepo import File, make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]

KERNEL = {"boot/vmlinuz-6.1.0-9-test": "kernel", "lib/modules/6.1.0-9-test/modules.builtin": ""}
# Writes an archive with one file that says how it was called (newc, kernel: buffer-format.rst).
DRACUT = r"""#!/usr/bin/perl
my $out = $ARGV[-1];
sub entry { my ($name, $data, $mode) = @_; my $n = "$name\0";
  my $h = "070701" . join("", map { sprintf "%08X", $_ } 1, $mode, 0, 0, 1, 0, length $data, 0, 0, 0, 0, length $n, 0);
  my $e = $h . $n; $e .= "\0" x (-length($e) % 4); $e .= $data; $e .= "\0" x (-length($e) % 4); $e }
open F, ">", $out or die; print F entry("args", "@ARGV", 0100644), entry("TRAILER!!!", "", 0);
"""
OLD = HEAD.replace("edition: 2024\n", "").replace("recommends: false\n", "")
TEXT_2014 = """
packages: [app, vendor]
exclude-packages: [unwanted]
opt-usrlocal: state-overlay
machineid-compat: false
initramfs-args: [--omit, plymouth]
cliwrap: true
sysusers: compose-forced
rpmdb: host
selinux-label-version: 1
"""


def debs(where):
    return (
        make_deb(where, "app", depends="kernel", recommends="plus, unwanted", files={
            "usr/share/doc/app/README": "read me", "usr/share/locale/fr/LC_MESSAGES/a.mo": "fr"}),
        make_deb(where, "plus", files={"usr/share/plus": "+"}),
        make_deb(where, "unwanted"),
        make_deb(where, "kernel", files={
            **KERNEL, "usr/sbin/depmod": File("#!/bin/sh\n", mode=0o755),
            "usr/bin/dracut": File(DRACUT, mode=0o755)}),
        make_deb(where, "vendor", files={"opt/acme/run": "x"}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A tree by the defaults of edition 2014."""
    composer = Composer(tmp_path_factory.mktemp("old"), cache="stateoverlay")
    composer.publish(*debs(composer.directory / "debs"))
    folder = composer.directory / "finalize.d"
    folder.mkdir()
    (folder / "10-x").write_text("#!/bin/sh\ntouch /usr/share/finalized\n")
    (folder / "10-x").chmod(0o755)
    path = composer.write(TEXT_2014, head=OLD)
    done = composer.compose(
        "tree", f"--repo={composer.repo}", f"--cachedir={composer.cachedir}", path
    )
    return composer, Files.of(composer), done


def test_recommended_packages_come_unless_excluded(old):
    names = old[0].packages()
    assert "plus" in names
    assert "unwanted" not in names


def test_documentation_and_languages_stay(old):
    _, files, _ = old
    assert "/usr/share/doc/app/README" in files
    assert "/usr/share/locale/fr/LC_MESSAGES/a.mo" in files
    assert len([p for p in files.below("/usr/share/man") if files.mode(p)[0] == "-"]) > 10


def test_the_initramfs_is_made_with_the_arguments(old):
    composer, files, done = old
    image = files.text("/usr/lib/modules/6.1.0-9-test/initramfs.img")
    assert "--omit plymouth" in image and "--no-hostonly" in image and "6.1.0-9-test" in image
    assert files.mode("/usr/lib/modules/6.1.0-9-test/initramfs.img") == "-00644"
    assert "warning: initramfs-args is deprecated, use /etc/dracut.conf.d" in done.stdout
    assert composer.metadata("aptostree.initramfs-args") == ["--omit", "plymouth"]


def test_boot_location_new_puts_a_copy_where_libostree_looked_first(old):
    _, files, done = old
    names = sorted(p.rpartition("/")[2] for p in files.below("/usr/lib/ostree-boot"))
    assert len(names) == 2
    assert names[0].startswith("initramfs-6.1.0-9-test.img-")
    assert names[1].startswith("vmlinuz-6.1.0-9-test-")
    assert len({n.rpartition("-")[2] for n in names}) == 1
    assert files.text(f"/usr/lib/ostree-boot/{names[1]}") == "kernel"
    assert 'warning: boot-location: "new" is deprecated, use boot-location: modules' in done.stdout


def test_layout_of_edition_2014(old):
    _, files, _ = old
    assert files.link("/tmp") == "sysroot/tmp"
    assert files.link("/opt") == "usr/lib/opt"
    assert "/usr/lib/opt/acme/run" in files
    assert files.mode("/usr/local").startswith("d")
    assert "/usr/etc/machine-id" not in files
    assert "/usr/share/finalized" not in files  # finalize.d is of edition 2024


def test_old_keys_say_what_they_do(old):
    done = old[2]
    assert "warning: cliwrap is deprecated and slated for removal" in done.stdout


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    """For trees of the Essential set and a little more."""
    made = Composer(tmp_path_factory.mktemp("variants"), cache="nodoc")
    made.publish(
        *debs(made.directory / "debs"),
        make_deb(made.directory / "debs", "kernel-two", files={"boot/vmlinuz-7.0": "other"}),
        make_deb(made.directory / "debs", "small", files={"usr/share/small": "s"}),
    )
    return made


def test_a_container_has_no_boot_metadata(composer):
    composer.tree(
        "packages: [app, small]\ndocumentation: false\ncontainer: true\nexclude-packages: [unwanted]\n"
        "boot-location: new\n"
    )
    files = Files.of(composer)
    assert composer.metadata("ostree.bootable") is None
    assert "/usr/lib/modules/6.1.0-9-test/initramfs.img" not in files
    assert files.below("/usr/lib/ostree-boot") == []
    assert files.mode("/tmp") == "d01777"


def test_ostree_layers(composer, tmp_path):
    for name, content in (("one", {"usr/share/layer": "1", "usr/share/deep/a": "a"}),
                          ("over", {"usr/share/small": "replaced", "etc/from-layer": "x"})):  # fmt: skip
        root = tmp_path / name
        for path, text in content.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        composer.ostree("commit", f"--branch=layer/{name}", "--owner-uid=0", "--owner-gid=0", root)
    head = "packages: [small]\ndocumentation: false\n"
    done = composer.tree(
        f"{head}ostree-layers: [layer/one]\nostree-override-layers: [layer/over]\n",
        f"--layer-repo={composer.repo}",
    )
    files = Files.of(composer)
    assert files.text("/usr/share/layer") == "1"
    assert files.text("/usr/share/small") == "replaced"
    assert files.text("/usr/etc/from-layer") == "x"
    assert "/etc" not in files
    assert "Checking out ostree layers...done" in done.stdout
    error = composer.refused(f"{head}ostree-layers: [layer/over]\n")
    assert "ostree layer 'layer/over' has /usr/share/small" in error
    assert "ostree-override-layers" in error
    error = composer.refused(f"{head}ostree-layers: [layer/never]\n")
    assert "layer/never" in error and "tree.yaml:7" in error
    # another commit of a layer is a change
    text = f"{head}ostree-layers: [layer/one]\n"
    composer.tree(text)
    assert "No apparent changes" in composer.tree(text).stdout
    (tmp_path / "one/usr/share/layer").write_text("2")
    composer.ostree(
        "commit", "--branch=layer/one", "--owner-uid=0", "--owner-gid=0", tmp_path / "one"
    )
    assert "No apparent changes" not in composer.tree(text, "--dry-run").stdout


SMALL = "packages: [small]\ndocumentation: false\n"
LATE = [  # found when the packages are there
    ("units: [lost.service]", "tree.yaml:7: unit 'lost.service' is not in the tree"),
    ("default-target: lost.target", "tree.yaml:7: default-target 'lost.target' is not in the tree"),
    ("remove-from-packages: [[lost, x]]", "tree.yaml:7: package 'lost' of remove-from-packages"),
    ("remove-from-packages: [[small, '(']]", "tree.yaml:7: "),
    ('postprocess: ["#!/bin/sh\\necho why; exit 3"]',
     "tree.yaml:7: postprocess inline script '0' failed with status 3"),
    ('postprocess: ["#!/usr/bin/python9\\n"]', "'/usr/bin/python9' is not in the tree"),
    ("postprocess-script: fail.sh", "postprocess-script fail.sh failed with status 4"),
]  # fmt: skip
EARLY = [  # found before anything is fetched
    ("add-files: [[nowhere, usr/x]]", "tree.yaml:7: "),
    ("add-files: [[fail.sh, usr/local/x]]", "Invalid add-files destination: usr/local/x"),
    ("add-files: [[fail.sh, var/x]]", "Invalid add-files destination: var/x"),
    ("postprocess-script: plain", "postprocess-script must be executable"),
    ("postprocess: [echo]", "tree.yaml:7: "),
    ("units: [a.service]\nmachineid-compat: false", "'units' directive is incompatible with machineid"),
    ("base-refspec: x", "the following derivation fields are not supported:"),
    ("pakages: [x]", "tree.yaml:7: "),
    ("include: nowhere.yaml", "tree.yaml:7: "),
    ("ref2: x", "tree.yaml:7: "),
    ("debconf: [one]", "tree.yaml:7: "),
    ("opt-usrlocal: elsewhere", "tree.yaml:7: "),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), EARLY, ids=[e[0][:25] for e in EARLY])
def test_refused_before_the_work(composer, line, message):
    fail, plain = composer.directory / "fail.sh", composer.directory / "plain"
    fail.write_text("#!/bin/sh\nexit 4\n")
    fail.chmod(0o755)
    plain.write_text("#!/bin/sh\n")
    error = composer.refused(f"{SMALL}{line}\n")
    assert message in error
    assert "Updating metadata" not in error


@pytest.mark.parametrize(("line", "message"), LATE, ids=[e[0][:25] for e in LATE])
def test_refused_in_the_tree(composer, root, line, message):
    """With a plain root, which takes a second instead of five."""
    fail = composer.directory / "fail.sh"
    fail.write_text("#!/bin/sh\nexit 4\n")
    fail.chmod(0o755)
    done = composer.compose("postprocess", root, composer.write(f"{SMALL}{line}\n"), ok=(1,))
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if "echo why" in line:
        assert "why" in done.stderr


@pytest.fixture(scope="module")
def root(composer):
    """An unfinished root: what fails in it can be tried again."""
    composer.compose(
        "install", f"--cachedir={composer.cachedir}", composer.write(SMALL), composer.directory
    )
    return composer.directory / "rootfs"


@contextmanager
def kernels(root, *versions):
    """Made-up kernels in a root."""
    folders = [root / "usr/lib/modules" / version for version in versions]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "vmlinuz").write_text("k")
    yield
    for folder in folders:
        shutil.rmtree(folder)


def test_two_kernels_are_refused_with_their_names(composer, root):
    with kernels(root, "6.1.0-9-test", "7.0"):
        done = composer.compose("postprocess", root, composer.write(SMALL), ok=(1,))
    assert "Multiple kernels: 6.1.0-9-test, 7.0" in done.stderr
    assert "exclude-packages" in done.stderr


def test_tools_that_the_tree_lacks_are_named(composer, root):
    with kernels(root, "7.0"):
        done = composer.compose("postprocess", root, composer.write(SMALL), ok=(1,))
    assert "the tree has no program 'depmod'" in done.stderr
    assert "add 'kmod' to the packages" in done.stderr
    done = composer.compose("postprocess", root, composer.write(SMALL), ok=(1,))
    assert "failed half way" in done.stderr  # /var has been moved already


def test_no_packages_and_no_ref(composer):
    assert "No packages in transaction" in composer.refused("documentation: false\n")
    path = composer.write(SMALL, head=HEAD.replace("ref: test/small\n", ""))
    done = composer.compose("tree", f"--repo={composer.repo}", path, ok=(1,))
    assert "the treefile has no 'ref'" in done.stderr
    assert REF in composer.ostree("refs") or composer.ostree("refs") == ""


def test_a_link_for_tmp_and_versions_of_ones_own(composer):
    text = (
        f"{SMALL}tmp-is-dir: false\nautomatic-version-prefix: v7\nautomatic-version-suffix: '-'\n"
    )
    composer.tree(text, "--no-parent", "--force-nocache")
    assert Files.of(composer).link("/tmp") == "sysroot/tmp"
    first = composer.metadata("version")
    composer.tree(text, "--force-nocache")
    assert first == "v7"
    assert composer.metadata("version") == "v7-1"

"""When an image may be used again.  dracut itself runs in tests/e2e."""

import subprocess
from pathlib import Path

import pytest

from apt_ostree.assemble import cpio, initramfs
from apt_ostree.ostree.repo import Repo
from apt_ostree.sandbox.bwrap import target_root
from apt_ostree.sandbox.policy import DRACUT

pytestmark = pytest.mark.root
KERNEL = "6.1"
IMAGE = f"usr/lib/modules/{KERNEL}/initramfs.img"
# Copies one program of a package and one file of nobody, as dracut would.
PROGRAM = """\
#!/bin/sh
for image; do :; done
cp /usr/share/members.cpio "$image"
"""


@pytest.fixture
def root(tmp_path) -> Path:
    """A tree with a dracut of its own, and the host's programs to run it."""
    root = tmp_path / "tree"
    for name in ("usr/bin", "usr/sbin", "usr/lib/dracut/modules.d/50net", "usr/etc/udev", "etc",
                 f"usr/lib/modules/{KERNEL}", "usr/lib/udev/rules.d", "usr/share", "var", "run",
                 "usr/lib/sysimage/dpkg/info", "proc", "dev", "tmp", "sys"):  # fmt: skip
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for program in ("sh", "cp"):
        copy_program(Path("/bin", program), root)
    dracut = root / "usr/bin/dracut"
    dracut.write_text(PROGRAM)
    dracut.chmod(0o755)
    module = root / "usr/lib/dracut/modules.d/50net/module-setup.sh"
    module.write_text(
        '# walk the tree\ncheck() { require_binaries curl; }\ninst_multiple -o "fsck.$type"\n'
    )
    (root / "usr/lib/udev/rules.d/60.rules").write_text('RUN+="blkhelper --x"\n')
    (root / "usr/bin/ip").write_text("program of a package")
    (root / "usr/etc/cache").write_text("made by a script")
    (root / "usr/lib/sysimage/dpkg/info/iproute2.list").write_text("/.\n/usr/bin/ip\n")
    members = [cpio.Member(n, 0o100644) for n in ("usr/bin/ip", "etc/cache")]
    (root / "usr/share/members.cpio").write_bytes(cpio.archive(members))
    return root


def copy_program(program: Path, root: Path) -> None:
    """A program of the host with its libraries."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [w for line in listed.splitlines() for w in line.split() if w.startswith("/")]
    for path in (str(program), *libraries):
        target = root / "usr" / path.lstrip("/").removeprefix("usr/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
        target.chmod(0o755)


@pytest.fixture
def repo(tmp_path) -> Repo:
    path = tmp_path / "repo"
    subprocess.run(["ostree", "init", f"--repo={path}", "--mode=bare"], check=True)
    return Repo.open(path)


def request(version: str = "1", *args: str) -> initramfs.Request:
    return initramfs.Request(KERNEL, {"iproute2": version, "other": "1"}, args)


@pytest.fixture
def made(root, repo) -> bytes:
    """An image that is in the cache."""
    assert not initramfs.reuse(root, request(), repo=repo)
    with target_root(root, policy=DRACUT) as box, repo.transaction():
        initramfs.generate(root, request(), box=box, repo=repo)
    content = (root / IMAGE).read_bytes()
    (root / IMAGE).unlink()
    return content


def test_an_image_is_used_again(root, repo, made):
    assert initramfs.reuse(root, request(), repo=repo)
    assert (root / IMAGE).read_bytes() == made
    assert (root / IMAGE).stat().st_mode & 0o777 == 0o644
    assert {"usr/bin/ip", "etc/cache", "dev/console"} <= set(cpio.names(made))
    assert not initramfs.reuse(root, request(), repo=None)


@pytest.mark.parametrize(
    "path",
    ["usr/bin/htop", "usr/bin/tree", "usr/share/anything", "usr/lib/libx.so.1", "usr/etc/other"],
)
def test_what_dracut_does_not_know_of_is_no_reason(root, repo, made, path):
    (root / path).write_text("new")
    assert initramfs.reuse(root, request(), repo=repo)


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/curl",  # a dracut module wants it
        "usr/sbin/fsck.ext4",  # named with a variable
        "usr/bin/blkhelper",  # a udev rule runs it
        "usr/lib/udev/rules.d/70.rules",
        "usr/lib/dracut/modules.d/60new",
        "usr/etc/udev/udev.conf",
        "usr/etc/cache",  # copied, and no package's
    ],
)
def test_what_dracut_would_copy_is_a_reason(root, repo, made, path):
    (root / path).write_text("new")
    assert not initramfs.reuse(root, request(), repo=repo)


def test_packages_and_arguments_are_reasons(root, repo, made):
    assert not initramfs.reuse(root, request("2"), repo=repo)
    assert not initramfs.reuse(root, request("1", "--add", "net"), repo=repo)
    other = initramfs.Request(KERNEL, {"iproute2": "1", "other": "2"})
    assert initramfs.reuse(root, other, repo=repo)

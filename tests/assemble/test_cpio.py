import gzip
import subprocess

import pytest

from apt_ostree.assemble import cpio
from apt_ostree.errors import AptOstreeError


def archive(tmp_path, *names: str) -> bytes:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    listing = "".join(f"{n}\n" for n in names).encode()
    return subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input=listing, cwd=tmp_path, check=True, capture_output=True,
    ).stdout  # fmt: skip


@pytest.fixture(autouse=True)
def _cpio():
    if subprocess.run(["which", "cpio"], capture_output=True, check=False).returncode:
        pytest.skip("cpio is not installed")


def test_names_of_plain_compressed_and_joined_archives(tmp_path):
    one, two = archive(tmp_path, "a/b", "c"), archive(tmp_path, "d")
    assert cpio.names(one) == ("a/b", "c")
    assert cpio.names(gzip.compress(one)) == ("a/b", "c")
    assert cpio.names(two + gzip.compress(one)) == ("d", "a/b", "c")


def test_the_device_archive_is_what_cpio_reads(tmp_path):
    listed = subprocess.run(
        ["cpio", "-tv", "--quiet"], input=cpio.device_archive().lstrip(b"\0"),
        check=True, capture_output=True, text=False,
    ).stdout.decode()  # fmt: skip
    assert "crw-rw-rw-" in listed
    assert "dev/urandom" in listed
    assert cpio.names(cpio.device_archive())[-1] == "dev/urandom"


@pytest.mark.parametrize("data", [b"garbage", b"\x1f\x8bno", b"070701" + b"z" * 200])
def test_garbage_is_refused(data):
    with pytest.raises(AptOstreeError):
        cpio.names(data)

"""What every key of a treefile does to the tree: two trees, and what differs."""

from __future__ import annotations

import pytest
from fixtures.composes import Composer, Files
from fixtures.debrepo import File, make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]

TEMPLATE = "Template: app/answer\nType: string\nDefault: none\nDescription: an answer\n"
POSTINST = """\
#!/bin/sh
set -e
. /usr/share/debconf/confmodule
db_get app/answer
echo "$RET" >/etc/app.answer
"""
KERNEL = {
    "boot/vmlinuz-6.1.0-9-test": "kernel",
    "boot/config-6.1.0-9-test": "CONFIG_X=y\n",
    "boot/System.map-6.1.0-9-test": "0 start\n",
    "lib/modules/6.1.0-9-test/modules.builtin": "",
}


def packages(tmp):
    service = "[Service]\nExecStart=/usr/bin/app\n[Install]\nWantedBy=multi-user.target\n"
    return (
        make_deb(
            tmp,
            "app",
            depends="debconf, kmod, linux-image-6.1.0-9-test",
            recommends="plus",
            conffiles=["/etc/app.conf"],
            members={"templates": TEMPLATE},
            scripts={"postinst": POSTINST},
            files={
                "usr/bin/app": File("#!/bin/sh\n", mode=0o755),
                "etc/app.conf": "x=1\n",
                "usr/share/doc/app/copyright": "free",
                "usr/share/doc/app/README": "read me",
                "usr/share/man/man1/app.1.gz": "man",
                "usr/share/locale/de/LC_MESSAGES/app.mo": "de",
                "usr/share/locale/fr/LC_MESSAGES/app.mo": "fr",
                "usr/lib/systemd/system/app.service": service,
                "usr/lib/systemd/system/app@.service": service,
                "usr/lib/systemd/system/app.target": "[Unit]\nDescription=x\n",
                "usr/share/app/a.txt": "a",
                "usr/share/app/b.txt": "b",
                "usr/share/app/keep": "k",
                "usr/share/both/shared.txt": "s",
                "usr/share/app/locked": File("0", mode=0o644),
            },
        ),
        make_deb(tmp, "plus", files={"usr/share/plus": "+", "usr/share/both/shared.txt": "s"}),
        make_deb(
            tmp,
            "kmod",
            files={
                "usr/sbin/depmod": File(
                    '#!/bin/sh\necho "$@" >/lib/modules/$2/modules.dep\n', mode=0o755
                )
            },
        ),
        make_deb(tmp, "vendor", files={"opt/acme/run": File("#!/bin/sh\n", mode=0o755)}),
        make_deb(tmp, "linux-image-6.1.0-9-test", arch="amd64", files=KERNEL),
    )


TEXT = """
include: common.yaml
variables: {flavour: server, pro: true}
conditional-include:
  - {if: "flavour == server", include: server.yaml}
  - {if: "flavour == desktop", include: nowhere.yaml}
  - {if: [pro, 'flavour != "desktop"'], include: {packages: [vendor]}}
packages-amd64: ["app"]
packages-arm64: [never-there]
arch-include: {amd64: amd64.yaml, arm64: arm.yaml}
documentation: false
install-langs: [de_DE.UTF-8]
debconf: ["app app/answer string forty-two"]
units: [app.service, "app@one.service"]
default-target: app.target
no-initramfs: true
automatic-version-prefix: "7-${flavour}"
mutate-os-release: "12"
readonly-executables: true
add-files:
  - [motd, etc/motd.d/hello]
  - [tool, usr/bin/tool]
remove-files: [usr/share/app/keep, etc/issue.net]
remove-from-packages:
  - [app, '/usr/share/app/.*\\.txt', '/usr/share/both/.*']
postprocess:
  - |
    #!/bin/sh
    echo first >>/usr/share/order
  - |
    #!/usr/bin/perl
    open F, ">>/usr/share/order"; print F "second\\n";
    print "perl speaks\\n";
postprocess-script: last.sh
metadata: {build: 17}
add-commit-metadata: {com.example.flavour: "${flavour}-edition", com.example.n: 5}
container-cmd: [/bin/bash, -l]
"""


def beside(composer: Composer) -> None:
    """The files that the treefile names."""
    write = composer.directory.joinpath
    write("common.yaml").write_text("variables: {flavour: desktop}\nremove-files: [usr/games]\n")
    write("server.yaml").write_text("add-files: [[motd, usr/share/server]]\n")
    write("amd64.yaml").write_text("add-files: [[motd, usr/share/on-amd64]]\n")
    write("motd").write_text("welcome\n")
    write("tool").write_text("#!/bin/sh\n")
    write("tool").chmod(0o755)
    write("last.sh").write_text(
        "#!/bin/sh\necho third >>/usr/share/order\nls /usr/etc/passwd || :\n"
    )
    write("last.sh").chmod(0o755)
    folder = write("finalize.d")
    folder.mkdir()
    for name, mode in (("20-b", 0o755), ("10-a", 0o755), ("30-off", 0o644)):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >>/usr/share/order\n")
        (folder / name).chmod(mode)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    composer = Composer(tmp_path_factory.mktemp("keys"), cache="trimmed")
    composer.publish(*packages(composer.directory / "debs"))
    beside(composer)
    done = composer.tree(TEXT)
    return composer, Files.of(composer), done


def test_includes_conditions_and_architectures_choose_what_is_in(made):
    composer, files, _ = made
    assert {"app", "vendor"} <= composer.packages().keys()
    assert files.text("/usr/share/server") == "welcome\n"
    assert "/usr/share/on-amd64" in files
    assert "/usr/games" not in files


def test_recommended_packages_stay_out(made):
    assert "plus" not in made[0].packages()


def test_documentation_and_languages_are_trimmed(made):
    _, files, _ = made
    assert "/usr/share/doc/app/copyright" in files
    assert "/usr/share/doc/app/README" not in files
    pages = [p for p in files.below("/usr/share/man") if files.mode(p).startswith("-")]
    assert pages == []
    assert "/usr/share/locale/de/LC_MESSAGES/app.mo" in files
    assert "/usr/share/locale/fr/LC_MESSAGES/app.mo" not in files
    # dpkg keeps directories and links, since a pattern may include what they lead to
    doc = {p.rpartition("/")[2] for p in files.below("/usr/share/doc") if files.mode(p)[0] == "-"}
    assert doc == {"copyright"}
    listed = files.text("/usr/lib/sysimage/dpkg/info/app.list").splitlines()
    assert "/usr/share/doc/app/README" in listed  # as dpkg does with path-exclude


def test_debconf_answers_reach_the_script(made):
    assert made[1].text("/usr/etc/app.answer") == "forty-two\n"


def test_units_and_default_target(made):
    _, files, done = made
    wants = "/usr/etc/systemd/system/multi-user.target.wants"
    assert files.link(f"{wants}/app.service").endswith("/usr/lib/systemd/system/app.service")
    assert files.link(f"{wants}/app@one.service").endswith("/usr/lib/systemd/system/app@.service")
    assert files.link("/usr/etc/systemd/system/default.target").endswith("/app.target")
    assert "Adding app.service to multi-user.target.wants" in done.stdout


def test_the_kernel_is_where_libostree_looks(made):
    composer, files, _ = made
    modules = "/usr/lib/modules/6.1.0-9-test"
    assert files.text(f"{modules}/vmlinuz") == "kernel"
    assert f"{modules}/config" in files
    assert files.text(f"{modules}/modules.dep") == "-a 6.1.0-9-test\n"
    assert f"{modules}/initramfs.img" not in files  # no-initramfs
    assert files.below("/boot") == []
    assert composer.metadata("ostree.bootable") is True
    assert composer.metadata("ostree.linux") == "6.1.0-9-test"


def test_version_and_os_release(made):
    composer, files, _ = made
    assert composer.metadata("version") == "7-server"
    release = dict(line.split("=", 1) for line in files.text("/usr/lib/os-release").splitlines())
    assert release["OSTREE_VERSION"].strip("'\"") == "7-server"
    assert "7-server" in release["PRETTY_NAME"]
    assert "7-server" in release["VERSION"]
    assert release["VERSION_ID"] == '"12"'
    assert files.link("/usr/etc/os-release") == "../usr/lib/os-release"


def test_programs_lose_their_write_bits(made):
    _, files, _ = made
    assert files.mode("/usr/bin/app") == "-00555"
    assert files.mode("/usr/bin/bash") == "-00555"
    assert files.mode("/usr/bin/su") == "-04555"
    assert files.mode("/usr/share/app/locked") == "-00644"


def test_added_and_removed_files(made):
    _, files, done = made
    assert files.text("/usr/etc/motd.d/hello") == "welcome\n"
    assert files.mode("/usr/bin/tool").endswith("0755")
    for path in ("/usr/share/app/keep", "/usr/etc/issue.net"):
        assert path not in files
    assert "Deleting: usr/share/app/keep" in done.stdout
    assert "Adding file etc/motd.d/hello" in done.stdout


def test_files_removed_from_packages(made):
    _, files, _ = made
    assert [p for p in files.below("/usr/share/app") if p.endswith(".txt")] == []
    assert "/usr/share/both/shared.txt" not in files


def test_scripts_run_in_order_and_are_heard(made):
    _, files, done = made
    assert files.text("/usr/share/order").split() == ["first", "second", "third", "10-a", "20-b"]
    assert ">>>> Executing `postprocess` inline script '0' <<<<" in done.stdout
    assert "perl speaks" in done.stdout
    assert "Completed running `postprocess` inline scripts" in done.stdout
    assert "/usr/etc/passwd" in done.stdout


def test_metadata_of_the_commit(made):
    composer, _, _ = made
    assert composer.metadata("com.example.flavour") == "server-edition"
    assert composer.metadata("com.example.n") == 5
    assert composer.metadata("ostree.container-cmd") == ["/bin/bash", "-l"]
    assert composer.metadata("build") is None


def test_layout_of_edition_2024(made):
    _, files, _ = made
    links = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "home": "var/home",
             "root": "var/roothome", "srv": "var/srv", "mnt": "var/mnt", "opt": "var/opt",
             "media": "run/media", "ostree": "sysroot/ostree", "usr/local": "../var/usrlocal"}  # fmt: skip
    assert {path: files.link(f"/{path}") for path in links} == links
    assert files.mode("/tmp") == "d01777"
    assert "/etc" not in files
    for folder in ("/var", "/run", "/boot", "/dev", "/proc", "/sys", "/sysroot", "/tmp"):
        assert files.below(folder) == [], folder
    assert files.mode("/usr/etc/machine-id") == "-00444"
    assert files.text("/usr/etc/machine-id") == ""


def test_opt_is_reached_through_var(made):
    _, files, _ = made
    assert "/usr/lib/opt/acme/run" in files
    conf = "".join(files.text(p) for p in files.below("/usr/lib/tmpfiles.d"))
    assert "/var/opt/acme" in conf


def test_the_treefile_is_in_the_tree_without_its_includes(made):
    _, files, _ = made
    copy = files.json("/usr/share/apt-ostree/treefile.json")
    assert copy["ref"] == "test/small"
    assert "include" not in copy
    assert sorted(copy["packages"]) == ["app", "vendor"]


def test_the_database_is_in_order(made):
    _, files, _ = made
    base = "/usr/lib/sysimage/apt-ostree-base-db/status"
    assert files.text(base) == files.text("/usr/lib/sysimage/dpkg/status")
    names = {
        p.removeprefix("/usr/lib/sysimage/dpkg/") for p in files.below("/usr/lib/sysimage/dpkg")
    }
    assert not names & {"lock", "lock-frontend", "status-old", "available", "triggers/Lock"}

"""The files that stand around the daemon: interfaces, polkit actions, units."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import gi
import pytest

gi.require_version("Gio", "2.0")

from gi.repository import Gio  # noqa: E402

from apt_ostree.cli import registry  # noqa: E402
from apt_ostree.wire import decode, keys  # noqa: E402

TOP = Path(__file__).parents[2]
DATA = TOP / "data"
INTERFACES = DATA / "dbus-1/interfaces/org.aptostree.dev.xml"
ACTIONS = DATA / "polkit-1/actions/org.aptostree.dev.policy"
UNITS = sorted((DATA / "systemd").iterdir())
TABLE = tomllib.loads((Path(__file__).parent / "members.toml").read_text())
PREFIX = "org.aptostree.dev1"


def needs(tool, package):
    return pytest.mark.skipif(
        shutil.which(tool) is None, reason=f"needs {tool} of the package {package}"
    )


# -- interfaces


def signature(arguments):
    return "".join(a.signature for a in arguments)


def exported():
    for interface in Gio.DBusNodeInfo.new_for_xml(INTERFACES.read_text()).interfaces:
        name = interface.name.removeprefix(f"{PREFIX}.")
        for item in interface.methods:
            yield name, "method", item.name, signature(item.in_args), signature(item.out_args)
        for item in interface.signals:
            yield name, "signal", item.name, "", signature(item.args)
        for item in interface.properties:
            assert item.flags == Gio.DBusPropertyInfoFlags.READABLE
            yield name, "property", item.name, "", item.signature


def test_the_interfaces_have_these_members_and_no_others():
    wanted = [
        (m["interface"], m["kind"], m["name"], m.get("in", ""), m["out"]) for m in TABLE["members"]
    ]
    assert sorted(exported()) == sorted(wanted)


def documented():
    """(interface, the members between one comment and the next, that comment)."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    for interface in ET.parse(INTERFACES, parser).getroot().findall("interface"):
        text, members = "", []
        for child in [*interface, None]:
            if child is None or child.tag is ET.Comment:
                yield interface.get("name"), members, text
                text, members = "" if child is None else child.text, []
            else:
                members.append(child)


def test_every_member_has_a_comment_and_every_argument_a_name():
    for interface, members, text in documented():
        for member in members:
            assert text.strip(), f"{interface}.{member.get('name')}"
            if member.tag != "property" and len(members) > 1:
                assert member.get("name") in text
            for argument in member.findall("arg"):
                assert re.fullmatch(r"[a-z][a-z_0-9]*", argument.get("name"))


def test_additions_are_marked():
    marked = {m.get("name") for _, members, text in documented() for m in members
              if re.search(r"\(Addition\)|^ Addition:", text)}  # fmt: skip
    assert marked == {m["name"] for m in TABLE["members"] if m.get("ours")}


READERS = ("flag", "text", "strings", "typed", "_handles", "_handle")


def test_every_key_that_is_understood_is_documented():
    read = set()
    files = [Path(decode.__file__), *(TOP / "src/apt_ostree/daemon").glob("*.py")]
    nodes = [n for file in files for n in ast.walk(ast.parse(file.read_text()))]
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in READERS:
            read |= {a.value for a in node.args[1:2] if isinstance(a, ast.Constant)}
    assert {"reboot", "set-refspec", "treefile"} <= read
    read |= {key for key, _ in (*keys.OPTION_FLAGS, *keys.OPTION_LISTS)}
    read |= {keys.INITIATOR, *keys.MODIFIER_LISTS, *keys.MODIFIER_FILES}
    text = " ".join(text for _, _, text in documented()) + interface_comments()
    assert {key for key in read if not re.search(rf"(?<![\w-]){key}(?![\w-])", text)} == set()


def interface_comments():
    """What stands above the interfaces, about all their methods."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.parse(INTERFACES, parser).getroot()
    return " ".join(child.text for child in root if child.tag is ET.Comment)


def test_what_answers_with_a_transaction_names_the_argument_alike():
    for interface in Gio.DBusNodeInfo.new_for_xml(INTERFACES.read_text()).interfaces:
        for method in interface.methods:
            for argument in method.out_args:
                if argument.signature == "s" and method.name != "Moo":
                    assert argument.name == "transaction_address", method.name


# -- polkit


def test_polkit_actions_and_their_defaults():
    found = {}
    for action in ET.parse(ACTIONS).getroot().findall("action"):
        defaults = action.find("defaults")
        kinds = ("allow_any", "allow_inactive", "allow_active")
        assert [d.tag for d in defaults] == list(kinds)
        name = action.get("id").removeprefix(f"{PREFIX}.")
        found[name] = [defaults.findtext(kind) for kind in kinds]
        for text in (action.findtext("description"), action.findtext("message")):
            assert text and text == text.strip() and not text.endswith(".")
    assert found == TABLE["actions"]


# -- units


def settings(unit):
    """The lines of a unit as (key, value), comments left out."""
    lines = unit.read_text().split("\n")
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and line[0] not in "#;"]


@needs("systemd-analyze", "systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_systemd_takes_the_units(unit):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.split("\n") if line and "apt-ostree" in line]
    # the one thing that a checkout lacks
    missing = "Command /usr/bin/apt-ostree is not executable: No such file or directory"
    assert [c for c in complaints if not c.endswith(missing)] == []


def test_units_run_commands_that_exist():
    seen = set()
    for unit in UNITS:
        for key, value in settings(unit):
            if key.startswith("Exec"):
                program, name, *options = value.split()
                assert program == "/usr/bin/apt-ostree"
                seen.add(name)
                if name not in registry.ENTRIES:
                    assert name in registry.UNAVAILABLE
                    continue
                declared = registry.ENTRIES[name].load().all_options
                known = {f"--{o.long}" for o in declared} | {f"-{o.short}" for o in declared}
                assert set(options) <= known
    assert seen == {"start-daemon", "reload", "status", "upgrade"}


def test_each_restriction_of_the_daemon_says_why():
    """A line of the service without a comment above is one that nobody dares to change."""
    text = next(u for u in UNITS if u.name == "apt-ostreed.service").read_text()
    before = ""
    plain = {"Type", "BusName", "ExecStart", "ExecReload"}
    for line in text.partition("[Service]\n")[2].split("\n"):
        key = line.partition("=")[0]
        if line and not line.startswith("#") and key not in plain:
            assert before.startswith("#") or before.startswith(f"{key}="), line
        before = line


@pytest.mark.root
@needs("bwrap", "bubblewrap")
@needs("setpriv", "util-linux")
def test_the_restrictions_leave_what_a_sandbox_needs(tmp_path):
    """Package code runs, with an owner for its files, where the service has no more rights."""
    unit = settings(next(u for u in UNITS if u.name == "apt-ostreed.service"))
    dropped = [c for key, value in unit if key == "CapabilityBoundingSet"
               for c in value.removeprefix("~").split()]  # fmt: skip
    assert "CAP_SYS_MODULE" in dropped
    assert ("NoNewPrivileges", "yes") in unit
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from apt_ostree.sandbox.bwrap import Bind, target_root\n"
        "from apt_ostree.system.mount import enter_private_namespace\n"
        "enter_private_namespace()\n"
        "root = Path(sys.argv[1])\n"
        "binds = [Bind(Path('/usr'), '/usr', read_only=True)]\n"
        "with target_root(root, var_binds=binds) as box:\n"
        "    print(box.run(['sh', '-c', sys.argv[2]]).output, end='')\n"
    )
    for name in ("usr", "srv"):
        (tmp_path / name).mkdir()
    for name in ("bin", "lib", "lib64", "sbin"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    work = "touch /srv/f && chown 123:456 /srv/f && chmod 4755 /srv/f && hostname"
    bounding = ",".join("-" + c.removeprefix("CAP_").lower() for c in dropped)
    done = subprocess.run(
        ["setpriv", f"--bounding-set={bounding}", "--no-new-privs", sys.executable, "-c", script,
         tmp_path, work],
        env={**os.environ, "PYTHONPATH": str(TOP / "src")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "localhost\n"), done.stderr
    made = (tmp_path / "srv/f").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7777) == (123, 456, 0o4755)

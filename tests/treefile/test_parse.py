"""One file: what is accepted, and how each mistake is reported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apt_ostree.errors import TreefileError
from apt_ostree.treefile import include
from apt_ostree.treefile.parse import Format, parse
from apt_ostree.treefile.schema import FIELDS, TABLE


def read(text: str, form: Format = Format.YAML) -> dict:
    return dict(parse(text, source="t", directory=Path("/d"), form=form).values)


def test_no_import_of_yaml_before_a_yaml_file_is_read():
    code = "import sys, apt_ostree.treefile.include; print('yaml' in sys.modules)"
    path = str(Path(include.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": path})  # fmt: skip
    assert done.stdout == "False\n"


GOOD = [
    ("edition: 2024", "edition", "2024"),
    ('edition: "2014"', "edition", "2014"),
    ("packages: [b, a, b]", "packages", ("a", "b")),
    ("packages: ['c d', \"e 'f'\"]", "packages", ("c", "d", "e", "f")),
    ("packages:\n - tasksel^\n - 'lib[!a]?*:i386'\n - a=1:2.0~rc1-1\n - b/trixie-backports",
     "packages", ("a=1:2.0~rc1-1", "b/trixie-backports", "lib[!a]?*:i386", "tasksel^")),
    ("bootstrap_packages: [a]\npackages: [b]", "packages", ("a", "b")),
    ("bootstrap-packages: [a]", "packages", ("a",)),
    ("gpg_key: ABC", "gpg-key", "ABC"),
    ("boot_location: modules", "boot-location", "modules"),
    ("opt-usrlocal: stateoverlay", "opt-usrlocal", "state-overlay"),
    ("releasever: 13", "releasever", 13),
    ("releasever: trixie", "releasever", "trixie"),
    ("basearch: x86_64", "basearch", "amd64"),
    ("architectures: [i386, x86_64]", "architectures", ("amd64", "i386")),
    ("variables: {a: true, b: 3, c: no}", "variables", {"a": True, "b": 3, "c": "no"}),
    ("metadata: {a: {b: [1, 2.5, ~]}}", "metadata", {"a": {"b": [1, 2.5, None]}}),
    ("remove-files: [usr/share/doc/, ./etc/x]", "remove-files", ("usr/share/doc", "./etc/x")),
    ("rpmdb: b-d-b", "rpmdb", "bdb"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "value"), GOOD)
def test_good_values(text, name, value):
    assert read(text)[name] == value


BAD = [
    ("packagesz: [a]", "t:1: Unknown fields: packagesz", "did you mean 'packages'?"),
    ("\npackages-amd46: [a]", "t:2: Unknown fields: packages-amd46", "'packages-amd64'"),
    ("zzzz: 1", "t:1: Unknown fields: zzzz", "apt-ostree-treefile(5)"),
    ("<<: {a: 1}", "t:1: Unknown fields: <<", ""),
    ("gpg-key: a\ngpg_key: b", "t:2: Cannot use new and legacy forms of gpg-key", "keep"),
    ("variables:\n  basearch: x", "t:2: cannot define reserved variable 'basearch'", "key"),
    ("variables: {releasever: 1}", "t:1: cannot define reserved variable 'releasever'", "key"),
    ("repovars: {releasever: x}", 'Treefile repo var "releasever" invalid; use', None),
    ("repovars: {basearch: x}", 'Treefile repo var "basearch" invalid; it is', None),
    ("selinux-label-version: 2", "Invalid selinux-label-version: 2", None),
    ("automatic-version-suffix: ab", "must be exactly one ASCII character: ab", None),
    ("automatic-version-prefix: 13", "expected a string, not a number", "put it in quotes"),
    ("add-files: [[a, opt/x]]", "Invalid add-files destination: opt/x", "usr"),
    ("add-files: [[a, /usr/local/x]]", "Invalid add-files destination: /usr/local/x", "usr"),
    ("add-files: [[a, usr/../opt/x]]", "Invalid add-files destination", "usr"),
    ("add-files: [a]", "expected a list, not a string", None),
    ("add-files: [[a]]", "expected a pair", None),
    ("packages: [\"'a\"]", "Missing terminating quote: 'a", None),
    ("packages: [\"'foo > 1.0'\"]", "'foo > 1.0' is not a package request", "NAME=VERSION"),
    ("packages: a", "t:1: expected a list, not a string", None),
    ("recommends: yes", "t:1: expected a boolean, not a string", "true or false"),
    ("recommends: 1", "expected a boolean, not a number", None),
    ("boot-location: boot", "'boot' is not one of new, modules, kernel-install", None),
    ("edition: 2025", "'2025' is not one of 2014, 2024", None),
    ("basearch: vax", "unknown architecture 'vax'", "amd64"),
    ("releasever: 3.10", "expected a string or a whole number", "quotes"),
    ("\narch-include:\n  amd46: x", "t:3: unknown architecture 'amd46'", "amd64"),
    ("units: [ssh]", "'ssh' is not a unit name", "ssh.service"),
    ("remove-files: [/etc/x]", "must be relative", "write 'etc/x'"),
    ("remove-files: ['../x']", "is not a path below the tree", None),
    ("postprocess: ['echo hi']", "must start with '#!'", "#!/bin/sh"),
    ("remove-from-packages: [[a, '[']]", "is not a regular expression", None),
    ("remove-from-packages: [[a]]", "expected [PACKAGE, REGEX", None),
    ("debconf: [a b c]", "is not a debconf selection", "QUESTION"),
    ("check-passwd: {type: file}", "missing key 'filename'", None),
    ("check-passwd: {type: data, entries: {a: [1, 2, 3]}}", "expected an id or [UID, GID]", None),
    ("check-groups: {type: data, entries: {a: [1]}}", "expected a number from 0 up", None),
    ("check-groups: {entries: {}}", "missing key 'type'", "previous"),
    ("initramfs: {args: []}", "missing key 'regenerate'", None),
    ("repo-packages: [{repo: a}]", "missing key 'packages'", None),
    ("conditional-include: [{if: a, incl: b}]", "unknown key 'incl'", "include"),
    ("conditional-include: [{if: 'a = 1', include: b}]",
     "expected one of ==, !=, >, >=, <, <= but got =", None),
    ("conditional-include: [{if: 'a == ', include: b}]", "invalid condition: a == ", "string"),
    ("conditional-include: [{if: '', include: b}]", "invalid condition", None),
    ("conditional-include:\n- if: a\n  include:\n    nope: 1", "t:4: Unknown fields: nope", None),
    ("a: 1\na: 2", "t:2: key 'a' is there twice", None),
    ("- a", "t:1: Treefile root is not an object", "key: value"),
    ("", "t:1: Treefile root is not an object", None),
    ("ref: [", "not valid YAML", None),
    ("ref: &a [*a]", "t:1: nested too deeply", None),
    ("ref: !!python/object:os.system x", "t:1: unknown tag", None),
    ("ref: a\n---\nref: b", "t:2: not valid YAML", None),
    ("? [a]\n: b", "t:1: a key must be a plain word", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), BAD)
def test_bad_values(text, message, hint):
    with pytest.raises(TreefileError) as caught:
        read(text)
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_all_mistakes_of_a_file_are_reported_in_the_order_of_their_lines():
    with pytest.raises(TreefileError) as caught:
        read("units: [a]\npackages: ['B b', 'c!', d_]\nrecommends: 1\nxx: 1\n")
    lines = [caught.value.message, *caught.value.details]
    assert [line.split(": ")[0] for line in lines] == ["t:1", "t:2", "t:3", "t:4"]


def test_aliases_cannot_grow_without_bound():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(TreefileError, match="too many values"):
        read("\n".join(rows))


@pytest.mark.parametrize("form", [Format.YAML, Format.JSON])
def test_deep_nesting_is_an_error_not_a_crash(form):
    with pytest.raises(TreefileError, match="nested too deeply"):
        read("[" * 100_000, form)


# --- JSON ---


def test_json_ignores_unknown_keys_and_knows_lines():
    assert read('{\t"nope": 1,\n"packages": ["a\\u0062"]}', Format.JSON) == {"packages": ("ab",)}
    with pytest.raises(TreefileError, match=r"^t:3: expected a list"):
        read('{"ref": "a",\n\n"packages": {}}', Format.JSON)


@pytest.mark.parametrize("text", [
    "", "{", '{"a" 1}', '{"a": 1,}', "[1,]", '{"a": 01}', '{"a": "\\ud800"}', '{"a": "\n"}',
    '{"a": 1} x', '{"a": 1, "a": 2}', '{"a": 1e999}', '{"a": NaN}', '{"a": nul}',
])  # fmt: skip
def test_malformed_json_names_the_line(text):
    with pytest.raises(TreefileError, match=r"^t:[0-9]+: not valid JSON: "):
        read(text, Format.JSON)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(
        st.characters(exclude_categories=("Cs",)), max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON_VALUES, st.sampled_from([None, 1, "\t"]))
def test_json_reads_what_json_writes(value, indent):
    text = json.dumps({"metadata": {"x": value}}, indent=indent)
    assert read(text, Format.JSON)["metadata"] == {"x": value}


# --- Kickstart ---


def test_kickstart_packages():
    text = "# c\n%packages --exclude-weakdeps\nvim\n-nano\n  curl wget\n%end\n%include 'x y.ks'\n"
    fragment = parse(text, source="k.ks", directory=Path("/d"), form=Format.KICKSTART)
    assert fragment.values == {
        "packages": ("curl", "vim", "wget"),
        "exclude-packages": ("nano",),
        "recommends": False,
    }
    assert [ref.name for ref in fragment.include] == ["x y.ks"]
    assert fragment.include[0].where == "k.ks:7"


@pytest.mark.parametrize(("text", "message"), [
    ("%include 'a", "t:1: Invalid syntax: %include 'a"),
    ("\n%include", "t:2: Missing path for %include"),
    ("%include a b", "Too many arguments"),
    ("lang de_DE", "Unhandled verb: lang"),
    ("%packages\na\n", "Missing %end"),
    ("%packages --x\n%end", "unknown option '--x'"),
    ("%packages\n\na b!\n%end", "t:3: 'b!' is not a package request"),
])  # fmt: skip
def test_kickstart_mistakes(text, message):
    with pytest.raises(TreefileError) as caught:
        read(text, Format.KICKSTART)
    assert message in caught.value.message


# --- nothing but TreefileError ---

KEYS = [*FIELDS, "include", "arch-include", "conditional-include", "packages-amd64", "gpg_key"]
SNIPPETS = st.sampled_from([
    *KEYS, ":", " ", "\n", "- ", "[", "]", "{", "}", ",", "'", '"', "&a", "*a", "!!x ", "|\n", "#",
    "true", "2024", "1.5", "~", "a", "usr/bin", "%packages\n", "%end", "%YAML 9.9\n", "---", "\t",
    "if", "type", "data", "entries", "\x00", "\u2028", "😀", "9" * 5000, "0x" + "f" * 20,
])  # fmt: skip


@given(st.lists(SNIPPETS, max_size=25).map("".join), st.sampled_from(Format))
def test_any_text_gives_a_fragment_or_a_treefile_error(text, form):
    try:
        fragment = parse(text, source="t", directory=Path("/d"), form=form)
    except TreefileError as err:
        assert err.message.startswith("t:")
    else:
        assert fragment.values.keys() <= TABLE.keys()


@given(st.dictionaries(st.sampled_from(KEYS), JSON_VALUES, max_size=4))
def test_any_json_value_under_any_key(keys):
    try:
        parse(json.dumps(keys), source="t", directory=Path("/d"), form=Format.JSON)
    except TreefileError as err:
        assert err.where.startswith("t")


@given(data=st.binary(max_size=60), name=st.sampled_from(["t.yaml", "t.json", "t.ks"]))
def test_any_bytes_in_a_file(tmp_path_factory, data, name):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(data)
    try:
        include.load(path, basearch="amd64")
    except TreefileError as err:
        assert str(path) in str(err)

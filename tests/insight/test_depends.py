from pathlib import Path

import pytest
from fixtures.rootfs import essential_root
from fixtures.sysroots import Installed, pkg

from apt_ostree.apt import dpkgdb
from apt_ostree.insight.depends import Graph, alternatives


def graph(tmp_path: Path, *rows: tuple[str, dict[str, str]]) -> Graph:
    items = [Installed(pkg(name), fields=fields) for name, fields in rows]
    (tmp_path / "status").write_text("\n".join(i.stanza for i in items))
    return Graph(dpkgdb.load(tmp_path))


def path(found):
    return None if found is None else [link.needed.partition(":")[0] for link in found]


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("libc6 (>= 2.36)", (("libc6", None),)),
        ("python3:any (<< 4) | python:native", (("python3", "any"), ("python", "native"))),
        (" a [amd64] <!nocheck>", (("a", None),)),
        ("", ()),
        ("libstdc++6", (("libstdc++6", None),)),
    ],
)
def test_alternatives(relation, expected):
    assert alternatives(relation) == expected


def test_the_shortest_strong_chain_wins_over_a_recommendation(tmp_path):
    g = graph(
        tmp_path,
        ("app=1", {"Depends": "mid (>= 0), other", "Recommends": "lib"}),
        ("mid=1", {"Pre-Depends": "lib (>= 1) | none"}),
        ("other=1", {}),
        ("lib=1", {}),
    )
    chain = g.chain(["app:amd64"], "lib:amd64")
    assert path(chain) == ["mid", "lib"]
    assert [(link.field, link.text) for link in chain] == [
        ("Depends", "mid (>= 0)"),
        ("Pre-Depends", "lib (>= 1) | none"),
    ]


def test_recommendations_provides_and_dead_ends(tmp_path):
    g = graph(
        tmp_path,
        ("app=1", {"Depends": "mail-transport-agent", "Recommends": "doc"}),
        ("exim4=1", {"Provides": "mail-transport-agent (= 1), mta"}),
        ("doc=1/all", {}),
        ("lonely=1", {"Depends": "app"}),
    )
    assert path(g.chain(["app:amd64"], "exim4:amd64")) == ["exim4"]
    assert path(g.chain(["app:amd64"], "doc:all")) == ["doc"]
    assert g.chain(["app:amd64"], "lonely:amd64") is None
    assert g.chain(["app:amd64"], "app:amd64") == ()


def test_a_foreign_package_needs_its_own_architecture(tmp_path):
    same = {"Multi-Arch": "same"}
    g = graph(
        tmp_path,
        ("wine=1/i386", {"Depends": "libc6"}),
        ("libc6=1/i386", same),
        ("libc6=1/amd64", same),
    )
    assert g.chain(["wine:i386"], "libc6:amd64") is None
    assert path(g.chain(["wine:i386"], "libc6:i386")) == ["libc6"]


def test_circles_end(tmp_path):
    g = graph(tmp_path, ("a=1", {"Depends": "b"}), ("b=1", {"Depends": "a"}), ("c=1", {}))
    assert g.chain(["a:amd64"], "c:amd64") is None


@pytest.mark.root
@pytest.mark.network
def test_every_package_of_a_real_essential_system_is_needed_by_an_essential_one():
    database = dpkgdb.load(essential_root() / "usr/lib/sysimage/dpkg")
    essential = [k for k, s in database.installed.items() if s.get("Essential") == "yes"]
    real = Graph(database)
    assert len(database.installed) > len(essential) > 10
    assert [k for k in database.installed if real.chain(essential, k) is None] == []

from apt_ostree.assemble.strata import Graph, Needs, names, rounds


def graph(**packages: tuple[str, str, str]) -> Graph:
    return Graph(Needs(f"{n}:amd64", n, *fields) for n, fields in packages.items())


def keys(*found: str) -> tuple[str, ...]:
    return tuple(f"{n}:amd64" for n in found)


def test_relations_are_read_by_name():
    assert names("a (>= 1.0), b:any | c [amd64] , d") == (("a",), ("b", "c"), ("d",))
    assert names("") == ()


def test_without_pre_depends_everything_is_one_round():
    assert rounds(keys("b", "a"), graph(a=("", "b", ""), b=("", "a", ""))) == [((), keys("b", "a"))]


def test_pre_depends_are_configured_with_what_they_need():
    plan = graph(app=("helper", "", ""), helper=("", "lib", ""), lib=("", "", ""))
    assert rounds(keys("lib", "helper", "app"), plan) == [
        ((), keys("lib", "helper")),
        (keys("helper", "lib"), keys("app")),
    ]


def test_pre_depends_on_already_laid_or_configured_packages():
    plan = graph(app=("helper", "", ""), helper=("", "", ""))
    assert rounds(keys("app"), plan) == [(keys("helper"), keys("app"))]
    assert rounds(keys("app"), plan, configured=keys("helper")) == [((), keys("app"))]


def test_pre_depends_may_be_provided():
    plan = graph(app=("virtual", "", ""), real=("", "", "virtual (= 1)"))
    assert rounds(keys("real", "app"), plan) == [((), keys("real")), (keys("real"), keys("app"))]


def test_a_cycle_ends():
    plan = graph(a=("b", "", ""), b=("a", "", ""))
    assert rounds(keys("a", "b"), plan) == [((), keys("a", "b"))]


def test_chains_of_pre_depends():
    plan = graph(a=("", "", ""), b=("a", "", ""), c=("b", "", ""))
    assert rounds(keys("a", "b", "c"), plan) == [
        ((), keys("a")),
        (keys("a"), keys("b")),
        (keys("b"), keys("c")),
    ]

from dataclasses import replace

from apt_ostree.model.package import Package
from apt_ostree.model.plan import (
    Action,
    Archive,
    Inactive,
    Op,
    Plan,
    Reason,
    ReasonKind,
    SourceInfo,
    Step,
    Verb,
    summary,
)

HTOP = Step(
    Action.INSTALL,
    Package("htop", "amd64", "3.2.2-2"),
    Reason(ReasonKind.REQUEST, "htop"),
    archive=Archive("b" * 64, 152_000, "debian:bookworm", uri="http://x/htop.deb"),
    installed_bytes=387_000,
    source="htop",
)
GONE = Step(
    Action.REMOVE,
    Package("nano", "amd64", "7.2-1"),
    Reason(ReasonKind.OVERRIDE, "nano"),
    old_version="7.2-1",
    installed_bytes=1000,
)
PLAN = Plan(
    steps=(HTOP, GONE),
    order=(Op(Verb.REMOVE, "nano:amd64"), Op(Verb.UNPACK, "htop:amd64")),
    inactive=(Inactive("bash", "bash-5.2-1.amd64"),),
    sources=(SourceInfo("debian:bookworm", 1_700_000_000, 60_000),),
    base="c" * 64,
    inputs=(("ids", "1"),),
)


def test_a_plan_survives_json():
    assert Plan.from_dict(PLAN.as_dict()) == PLAN


def test_sums():
    assert PLAN.download_bytes == 152_000
    assert PLAN.installed_bytes == 386_000
    assert summary(PLAN.steps) == "1 install, 1 remove"


def test_the_digest_follows_content_not_reasons_or_mirrors():
    assert HTOP.archive is not None
    elsewhere = replace(HTOP, archive=replace(HTOP.archive, uri="http://y/"), reason=Reason(
        ReasonKind.DEPENDS, "x"))  # fmt: skip
    assert replace(PLAN, steps=(GONE, elsewhere)).digest == PLAN.digest
    rebuilt = replace(HTOP, archive=replace(HTOP.archive, sha256="d" * 64))
    assert replace(PLAN, steps=(rebuilt, GONE)).digest != PLAN.digest
    assert replace(PLAN, base="d" * 64).digest != PLAN.digest
    assert replace(PLAN, inputs=()).digest != PLAN.digest


def test_versions_are_split_as_the_contract_says():
    table = {
        "1:2.3-4+b1": ("1", "2.3", "4+b1"),
        "2.3": ("0", "2.3", ""),
        "2.3-1-4": ("0", "2.3-1", "4"),
        "0:1-1": ("0", "1", "1"),
    }
    for version, fields in table.items():
        package = Package("x", "amd64", version)
        assert (package.epoch, package.upstream, package.release) == fields
    assert Package("x", "amd64", "0:1-1").nevra == "x-1-1.amd64"
    assert Package("x", "amd64", "1:2-1").nevra == "x-1:2-1.amd64"

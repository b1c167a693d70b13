"""Account numbers: kept from commit to commit, checked, and given to machines by sysusers.d."""

from __future__ import annotations

import pytest
from fixtures.composes import REF, Composer, Files
from fixtures.debrepo import make_deb

pytestmark = [pytest.mark.root, pytest.mark.network]
TEXT = "documentation: false\n"


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    """A branch whose first commit has the accounts alpha and beta, made in that order."""
    made = Composer(tmp_path_factory.mktemp("accounts"), cache="nodoc")
    made.publish(*(user(made, name) for name in ("alpha", "beta", "aardvark")))
    made.tree(TEXT + "packages: [user-alpha, user-beta]\n")
    return made


def user(composer, name):
    script = (
        f"groupadd -r {name}; useradd -r -g {name} {name}; install -d -o {name} /usr/lib/{name}"
    )
    return make_deb(
        composer.directory / "debs", f"user-{name}", depends="passwd", scripts={"postinst": script}
    )


def numbers(composer, file="passwd"):
    lines = Files.of(composer).text(f"/usr/etc/{file}").splitlines()
    return {line.split(":")[0]: int(line.split(":")[2]) for line in lines}


def test_numbers_stay_although_the_order_changed(composer):
    before = numbers(composer)
    composer.tree(TEXT + "packages: [user-alpha, user-beta, user-aardvark]\n")
    after = numbers(composer)
    assert {n: after[n] for n in before} == before
    assert after["aardvark"] not in before.values()
    files = Files.of(composer)
    assert files.owner("/usr/lib/beta")[0] == before["beta"]  # files follow
    users = files.text("/usr/lib/sysusers.d/00-apt-ostree.conf").splitlines()
    assert any(line.startswith(f"u beta {before['beta']}") for line in users)
    shadow = {
        line.split(":")[0]: line.split(":") for line in files.text("/usr/etc/shadow").splitlines()
    }
    assert shadow["beta"][1] in ("!", "!*", "*", "!!")
    assert files.mode("/usr/etc/shadow") == "-00640"
    assert files.mode("/usr/etc/passwd") == "-00644"


def test_a_lost_account_stops_the_compose_and_says_who(composer):
    before = composer.commit
    text = "packages: [user-alpha]\n"
    error = composer.refused(TEXT + text)
    assert "User missing from new passwd file: " in error
    assert "ignore-removed-users" in error
    assert composer.commit == before
    done = composer.tree(
        TEXT + text + "ignore-removed-users: [beta, aardvark]\nignore-removed-groups: ['*']\n"
    )
    assert "Ignored user missing from new passwd file: beta" in done.stdout
    assert "beta" not in numbers(composer)


CHECKS = [
    ("check-passwd: {type: data, entries: {alpha: 7}}", "passwd UID changed: alpha (7 to "),
    ("check-passwd: {type: file, filename: known}", "passwd UID changed: alpha (42 to "),
    ("check-groups: {type: data, entries: {alpha: 7}}", "group GID changed: alpha (7 to "),
    ("check-groups: {type: data, entries: {lost: 7}}", "Group missing from new group file: lost"),
]


@pytest.mark.parametrize(("rule", "message"), CHECKS, ids=[c[0][:30] for c in CHECKS])
def test_checks_against_lists(composer, tmp_path, rule, message):
    """By `compose commit`, which makes the same checks without making the tree first."""
    (composer.directory / "known").write_text("alpha:x:42:42::/:/bin/false\n")
    composer.ostree("checkout", REF, tmp_path / "root")
    path = composer.write(f"ignore-removed-users: ['*']\n{rule}\n")
    done = composer.compose("commit", f"--repo={composer.repo}", path, tmp_path / "root", ok=(1,))
    assert message in done.stderr
    assert "tree.yaml:6: " in done.stderr
    assert "Traceback" not in done.stderr


def test_numbers_are_not_kept_nor_checked_on_request(composer):
    composer.tree(
        TEXT + "packages: [user-aardvark, user-beta]\npreserve-passwd: false\n"
        "check-passwd: {type: none}\ncheck-groups: {type: none}\netc-group-members: [beta]\n"
    )
    after = numbers(composer)
    assert "alpha" not in after
    assert "beta" in numbers(composer, "group")


def test_previous_is_checked_when_the_numbers_are_not_kept(composer):
    composer.publish(
        *(user(composer, name) for name in ("beta", "aardvark")),
        make_deb(composer.directory / "debs", "user-fixed", depends="passwd", scripts={
            "postinst": "groupadd -r -g 777 aardvark || groupmod -g 777 aardvark"}),
    )  # fmt: skip
    text = TEXT + "packages: [user-aardvark, user-beta, user-fixed]\npreserve-passwd: false\n"
    error = composer.refused(text)
    assert "GID changed: aardvark (" in error and "to 777)" in error


def test_missing_files_of_checks_are_found_before_the_work(composer):
    error = composer.refused(
        TEXT + "packages: [x]\ncheck-passwd: {type: file, filename: nowhere}\n"
    )
    assert "tree.yaml:7" in error and "nowhere" in error
    assert "Enabled apt sources" not in error

import pytest

from apt_ostree.deploy.kargs import current, edited
from apt_ostree.model.change import KargsEdit
from apt_ostree.model.kargs import KargsError

LINE = 'root=LABEL=x rw quiet opt="a b" ostree=/ostree/boot.1/debian/aa/0'


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (KargsEdit(), ("root=LABEL=x", "rw", "quiet", 'opt="a b"')),
        (KargsEdit(delete=("quiet",)), ("root=LABEL=x", "rw", 'opt="a b"')),
        (KargsEdit(append=("ostree=/mine",)), ("root=LABEL=x", "rw", "quiet", 'opt="a b"')),
        (KargsEdit(final=("a", "b=c")), ("a", "b=c")),
        (KargsEdit(append_if_missing=("rw",)), ("root=LABEL=x", "rw", "quiet", 'opt="a b"')),
    ],
)
def test_edits_leave_libostree_s_own_argument_out(edit, words):
    assert edited(LINE, edit) == words


def test_the_own_argument_cannot_be_edited():
    with pytest.raises(KargsError, match="No key 'ostree' found"):
        edited(LINE, KargsEdit(delete=("ostree",)))


def test_current_is_what_an_empty_edit_gives():
    assert current(LINE) == edited(LINE, KargsEdit())

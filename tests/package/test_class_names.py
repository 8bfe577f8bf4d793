from __future__ import annotations

import pytest

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.class_names import coco_class_names, parse_class_names


def test_names_are_stripped_and_blank_lines_dropped():
    assert parse_class_names(" cat \r\n\n  dog\nété \n") == ("cat", "dog", "été")


def test_only_line_feeds_separate_names():
    assert parse_class_names("a\x0bb".replace("\x0b", "\u3000") + "\nc") == ("a\u3000b", "c")


def test_no_name_is_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_class_names(" \n\n")
    assert str(caught.value) == ("class_names.txt lists no class.\nneeds one name per line; found: only blank lines")


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\u202eb", "a\u2028b", "a\0b"])
def test_characters_that_change_how_a_line_is_shown_are_refused(name):
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_class_names(f"ok\n{name}\n", where="labels.txt")
    assert str(caught.value) == (
        f"labels.txt: the name of class 1 cannot be shown.\nneeds no control characters; found: {name!a}"
    )


def test_coco_has_its_80_names_in_order(shared_data):
    names = coco_class_names()
    assert names == tuple((shared_data / "coco.names").read_text("utf-8").split("\n")[:80])
    assert (names[0], names[79]) == ("person", "toothbrush")

from __future__ import annotations

import pytest

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.class_names import format_class_names, parse_class_names, read_labels


def test_names_are_stripped_and_keep_the_index_of_their_line():
    assert parse_class_names(" cat \r\n\n  dog\nété \n \n\n") == ("cat", "", "dog", "été")
    assert parse_class_names("\ncat\ncat\n") == ("", "cat", "cat")


@pytest.mark.parametrize(
    "names", [["a", "b"], ["", "a"], ["a", ""], ["a\nb", "c"], [" a", "a"], ['["a"]'], ["[", "\u3000x"]]
)
def test_what_is_written_is_read_again(names):
    assert parse_class_names(format_class_names(names)) == tuple(names)


def test_labels_keep_their_index():
    assert read_labels(["", " cat ", "cat", " "]) == ("", "cat", "cat", "")


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


@pytest.mark.parametrize(
    ("data_set", "count", "some"),
    [
        (
            "coco",
            80,
            {
                0: "person",
                3: "motorcycle",
                4: "airplane",
                57: "couch",
                58: "potted plant",
                60: "dining table",
                62: "tv",
                78: "hair drier",
            },
        ),
        ("imagenet", 1000, {0: "tench", 285: "Egyptian cat", 967: "espresso", 999: "toilet tissue"}),
        ("voc", 20, {0: "aeroplane", 14: "person", 19: "tvmonitor"}),
    ],
)
def test_a_known_data_set_has_its_own_names_in_order(data_set, count, some):
    names = read_labels(data_set)
    assert len(set(names)) == len(names) == count
    assert {index: names[index] for index in some} == some


def test_a_data_set_whose_names_are_not_here_is_refused_with_what_works() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read_labels("openimages")
    assert caught.value.fix == "write the 601 names of Open Images, one per line, into a text file, and pass its path"

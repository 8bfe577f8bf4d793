from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference_models.cli.inputs import find_images, save_targets
from inference_models.errors import ModelInputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_gives_its_images_sorted(photos: Path) -> None:
    assert names(find_images([str(photos)]), photos) == ["a.PNG", "b.jpg"]


def test_a_named_file_is_taken_whatever_its_suffix(photos: Path) -> None:
    assert names(find_images([str(photos / "notes.txt")]), photos) == ["notes.txt"]


def test_a_pattern_gives_its_matches_also_below(photos: Path) -> None:
    assert names(find_images([str(photos / "**" / "*.webp")]), photos) == ["sub/c.webp"]


def test_the_same_file_is_taken_once(photos: Path) -> None:
    assert names(find_images([str(photos / "b.jpg"), str(photos)]), photos) == ["b.jpg", "a.PNG"]


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ModelInputError) as caught:
        find_images(["nowhere.jpg"])
    assert str(caught.value) == (
        "no images at 'nowhere.jpg'.\nneeds an image file, a folder with images or a pattern; found: nothing there"
    )


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInputError) as caught:
        find_images([str(tmp_path)])
    assert str(caught.value) == (
        f"no images at {str(tmp_path)!r}.\n"
        "needs an image file, a folder with images or a pattern; "
        "found: a folder without .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp files"
    )


def test_pictures_keep_the_names_of_their_images(tmp_path: Path) -> None:
    image = tmp_path / "in" / "a.jpg"
    assert save_targets(tmp_path / "out", [image]) == {image: tmp_path / "out" / "a.jpg"}


def test_two_images_of_one_name_get_two_pictures(tmp_path: Path) -> None:
    first, second = tmp_path / "x" / "a.jpg", tmp_path / "y" / "A.jpg"
    targets = save_targets(tmp_path / "out", [first, second])
    assert [path.name for path in targets.values()] == ["a.jpg", "A-2.jpg"]


def test_a_picture_never_takes_the_place_of_an_input(tmp_path: Path) -> None:
    image, twin = tmp_path / "a.jpg", tmp_path / "a-2.jpg"
    targets = save_targets(tmp_path, [image, twin])
    assert targets == {image: tmp_path / "a-3.jpg", twin: tmp_path / "a-2-2.jpg"}


def test_a_format_that_cannot_be_written_becomes_png(tmp_path: Path) -> None:
    image = tmp_path / "a.tif"
    assert save_targets(tmp_path, [image])[image].name == "a.png"

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from inference_models.cli import inputs
from inference_models.cli.inputs import find_images, save_targets
from inference_models.errors import ModelInputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([""], ["a.PNG", "b.jpg"]),
        (["notes.txt"], ["notes.txt"]),
        (["**/*.webp"], ["sub/c.webp"]),
        (["b.jpg", ""], ["b.jpg", "a.PNG"]),
    ],
    ids=["a folder", "a file whatever its suffix", "a pattern", "the same file once"],
)
def test_images_are_found(photos: Path, given: list[str], found: list[str]) -> None:
    assert names(find_images([str(photos / name) for name in given]), photos) == found


def test_a_pattern_below_a_folder_with_brackets_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "[examples]" / "set[1]*"
    folder.mkdir(parents=True)
    for name in ("a.png", "b[1].png"):
        (folder / name).touch()
    monkeypatch.chdir(tmp_path)
    for start in (tmp_path, Path()):
        assert len(find_images([str(start / "[examples]" / "set[1]*" / "*.png")])) == 2
        assert len(find_images([str(start / "[examples]" / "**" / "*.png")])) == 2


FRAMES = "mkdir -p frames; ffmpeg -i rtsp://camera/1 -r 5 frames/%05d.jpg, then pass the folder frames"


def test_where_there_are_no_images_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "street.jpg.part").touch()
    named = "a file that is named is read whatever its suffix: "
    for place, found, fix in (
        ("no-such-picture", "nothing there", f"check the path; it was looked up in {Path.cwd()}"),
        (str(tmp_path / "streat.jpg"), "nothing there", f"is it {tmp_path / 'street.jpg.part'}?"),
        (
            str(tmp_path),
            "a folder without .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp files",
            f"{named}{shlex.quote(str(tmp_path / '*'))}",
        ),
        ("rtsp://camera/1", "a video", f"take pictures from it: {FRAMES}"),
        ("0", "a camera", "take one picture in Python: frame = cv2.VideoCapture(0).read()[1]"),
        ("a b.zip", "an archive", "unpack it: unzip -d 'a b' 'a b.zip', then pass the folder a b"),
    ):  # fmt: skip
        with pytest.raises(ModelInputError) as caught:
            find_images([place])
        assert str(caught.value) == (
            f"no images at {place!r}.\nneeds an image file, a folder with images or a pattern; found: {found}\n{fix}"
        )


@pytest.mark.parametrize(
    ("folder", "images", "pictures"),
    [
        ("out", ["in/a.jpg"], ["a.jpg"]),
        ("out", ["x/a.jpg", "y/A.jpg"], ["a.jpg", "A-2.jpg"]),
        ("", ["a.jpg", "a-2.jpg"], ["a-3.jpg", "a-2-2.jpg"]),
        ("out", ["a.tif"], ["a.png"]),
    ],
    ids=["names are kept", "two of one name", "an input is never replaced", "a format that cannot be written"],
)
def test_pictures_are_named_after_their_images(
    tmp_path: Path, folder: str, images: list[str], pictures: list[str]
) -> None:
    targets = save_targets(tmp_path / folder, [tmp_path / name for name in images])
    assert targets == {tmp_path / name: tmp_path / folder / made for name, made in zip(images, pictures, strict=True)}


def test_many_pictures_of_one_name_take_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []
    monkeypatch.setattr(inputs, "_identity", lambda path: looked_up.append(path) or str(path).casefold())
    paths = [tmp_path / f"{number}" / "rgb.png" for number in range(300)]
    targets = save_targets(tmp_path, paths)
    assert [path.name for path in targets.values()] == ["rgb.png", *(f"rgb-{number}.png" for number in range(2, 301))]
    assert len(looked_up) <= 4 * len(paths)

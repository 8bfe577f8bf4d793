from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_models.errors import InvalidParameterError, ModelInputError
from inference_models.parity.images import file_set, probe_images, probe_set


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return probe_images()


def test_every_picture_is_what_a_model_takes(images: list[np.ndarray]) -> None:
    assert len(images) == 16
    for image in images:
        assert (image.dtype, image.ndim, image.shape[2]) == (np.uint8, 3, 3)
        assert image.flags.c_contiguous


def test_the_kinds_of_image_that_break_models_are_there(images: list[np.ndarray]) -> None:
    shapes = [image.shape[:2] for image in images]
    assert any(width >= 8 * height for height, width in shapes)
    assert any(height >= 8 * width for height, width in shapes)
    assert any(max(shape) <= 32 for shape in shapes)
    assert any((image[..., 0] == image[..., 1]).all() and image.std() > 10 for image in images)  # grey
    assert any(image.std() == 0 for image in images)
    assert any(height > width for height, width in shapes)


def test_no_two_pictures_are_alike(images: list[np.ndarray]) -> None:
    assert len({image.tobytes() for image in images}) == len(images)


def test_the_pixels_are_those_that_certificates_name() -> None:
    assert probe_set().digest.startswith("a938ffe50082")


def test_a_detector_a_layout_model_and_a_classifier_of_the_catalogue_see_something(
    images: list[np.ndarray], centerface_onnx: Path, picodet_onnx: Path, pplcnet_onnx: Path, catalogue_home: Path
) -> None:
    from inference_models import AutoModel

    with AutoModel.from_pretrained("centerface") as faces:
        found = [len(faces(image, confidence=0.3)[0]) for image in images]
    assert found[1:3] == [1, 3]  # as many faces as were drawn
    with AutoModel.from_pretrained("picodet-layout-cdla") as layout:
        assert len(layout(images[4], confidence=0.3)[0]) >= 4  # the page
    with AutoModel.from_pretrained("pplcnet-page-orientation") as upright:
        names = [upright.class_names[int(upright(images[number]).class_id[0])] for number in (4, 5)]
    assert names == ["0", "270"]  # the page, and the page turned


def test_a_set_is_told_from_others_by_its_digest() -> None:
    everything, some = probe_set(), probe_set(3)
    assert (everything.kind, len(everything.images), len(some.images)) == ("probe", 16, 3)
    assert everything.digest == probe_set().digest != some.digest


def test_files_are_told_apart_by_content_and_not_by_name(tmp_path: Path) -> None:
    for name, content in (("a.jpg", b"one"), ("b.jpg", b"two"), ("c.jpg", b"one")):
        (tmp_path / name).write_bytes(content)
    first, second, third = (tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg"))
    assert file_set([first, second]).digest == file_set([third, second]).digest != file_set([second, first]).digest
    assert file_set([first, second], 1).images == (first,)


def test_at_most_200_files_are_taken_unless_more_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    assert len(file_set([path] * 300).images) == 200
    assert len(file_set([path] * 300, 250).images) == 250


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelInputError) as caught:
        file_set([tmp_path / "gone.jpg"])
    assert str(caught.value) == (
        f"'{tmp_path / 'gone.jpg'}' cannot be read.\nneeds an image file; found: No such file or directory"
    )


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        file_set([])
    assert str(caught.value) == "there is no image to compare answers on.\nneeds at least one; found: none"

"""What the models of the catalogue answer, each loaded with one line: what a person sees on the picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from drawn_people import FINGERS, JOINTS, draw_hand, draw_person
from inference_models import AutoModel

data = pytest.importorskip("skimage.data", reason="the photographs are those of scikit-image")
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("catalogue_home")]
LINES = ["A box full of pears", "Seven grey elephants", "Rain before Thursday"]


@pytest.fixture
def load(catalogue_files, request):
    def loaded(model_id, library=None):
        if library is not None:
            pytest.importorskip(library)
        catalogue_files(model_id)
        model = AutoModel.from_pretrained(model_id)
        request.addfinalizer(model.close)
        return model

    return loaded


def blue_first(picture):
    return np.ascontiguousarray(picture[..., ::-1])


def test_the_joints_of_a_drawn_person_are_where_they_were_drawn(load):
    model = load("blazepose-full", "ai_edge_litert")
    (person,), _ = model(draw_person())
    at = dict(zip(model.key_points_classes[0], person.xy[0], strict=True))
    assert person.detection_confidence[0] > 0.9
    for joint, place in JOINTS.items():
        assert np.hypot(*(at[joint] - place)) < 25, joint


def test_the_tips_of_a_drawn_hand_are_where_they_were_drawn(load):
    model = load("mediapipe-hand-full", "ai_edge_litert")
    (hand,), _ = model(draw_hand())
    at = dict(zip(model.key_points_classes[0], hand.xy[0], strict=True))
    assert hand.detection_confidence[0] > 0.7
    for finger, limb in FINGERS.items():
        x, y, thickness = limb[-1]
        assert np.hypot(*(at[f"{finger}_tip"] - (x, y))) < thickness / 2, finger


def test_an_astronaut_has_a_face_with_five_points(load):
    (points,), (faces,) = load("centerface-landmarks")(blue_first(data.astronaut()))
    x1, y1, x2, y2 = faces.xyxy[0]
    assert (len(faces), len(points)) == (1, 1)
    right_eye, left_eye, nose, right_mouth, left_mouth = points.xy[0]
    assert x1 < right_eye[0] < nose[0] < left_eye[0] < x2
    assert y1 < right_eye[1] < nose[1] < right_mouth[1] < y2
    assert right_mouth[0] < left_mouth[0]


@pytest.mark.parametrize(
    ("model_id", "cat"), [("efficientnet-lite0-imagenet", "tiger cat"), ("mobilenet-v2-imagenet", "Egyptian cat")]
)
def test_a_cat_is_a_cat_and_coffee_is_coffee(load, model_id, cat):
    found = load(model_id, "torch")([blue_first(data.chelsea()), blue_first(data.coffee())])
    assert [found.class_names[int(place)] for place in found.class_id] == [cat, "espresso"]


def test_lines_of_a_page_are_found_and_read_word_for_word(load):
    page = Image.new("RGB", (640, 300), "white")
    for place, line in enumerate(LINES):
        ImageDraw.Draw(page).text((40, 40 + 80 * place), line, "black", ImageFont.load_default(36))
    pixels = blue_first(np.asarray(page))
    (lines,) = load("pp-ocrv6-det-tiny")(pixels)
    boxes = lines.xyxy[np.argsort(lines.xyxy[:, 1])].round().astype(int)
    assert len(boxes) == len(LINES)
    assert load("pp-ocrv6-rec-small")([pixels[y1:y2, x1:x2].copy() for x1, y1, x2, y2 in boxes]) == LINES

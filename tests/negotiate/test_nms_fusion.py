from __future__ import annotations

import pytest

from inference_models import AutoModel
from inference_models.errors import InvalidParameterError
from inference_models.negotiate.nms_fusion import (
    USUAL,
    NmsPreferences,
    exact_preferences,
    parse_nms_fusion,
    read_settings,
)
from negotiate.packages import FUSED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (False, False),
        ({}, NmsPreferences()),
        ({"iou_threshold": 0.5}, NmsPreferences(iou_threshold=(0.5, 0.5))),
        ({"iou_threshold": (0.7, 0.5), "class_agnostic": None}, NmsPreferences(iou_threshold=(0.5, 0.7))),
        ({"max_detections": [100, 300], "class_agnostic": True}, NmsPreferences((100, 300), class_agnostic=True)),
    ],
)
def test_a_preference_is_a_switch_or_settings(value: object, expected: object) -> None:
    assert parse_nms_fusion(value) == expected


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("yes", "'yes'"),
        ({"iou": 0.5}, "'iou'; known: 'class_agnostic', 'confidence_threshold', 'iou_threshold', 'max_detections'"),
        ({"iou_treshold": 0.5}, "'iou_treshold'; nearest: 'iou_threshold'"),
        ({"class_agnostic": 1}, "class_agnostic=1"),
        ({"iou_threshold": "0.5"}, "iou_threshold='0.5'"),
        ({"iou_threshold": float("nan")}, "iou_threshold=nan"),
        ({"max_detections": True}, "max_detections=True"),
        ({"max_detections": (1, 2, 3)}, "max_detections=(1, 2, 3)"),
        ({"max_detections": 10**400}, f"max_detections={10**400}"),
    ],
)
def test_other_preferences_are_refused(value: object, found: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        AutoModel.from_pretrained("./nothing.onnx", nms_fusion_preferences=value)
    assert str(caught.value) == (
        f"nms_fusion_preferences={value!r} makes no sense.\n"
        "needs True, False, or any of max_detections, confidence_threshold, iou_threshold, class_agnostic "
        f"with a number or (smallest, largest); found: {found}\n"
        'nms_fusion_preferences={"iou_threshold": (0.5, 0.7)}'
    )


@pytest.mark.parametrize("name", list(FUSED))
def test_settings_must_be_complete_and_of_the_right_kind(name: str) -> None:
    assert read_settings(FUSED) == FUSED
    assert read_settings({key: value for key, value in FUSED.items() if key != name}) is None
    assert read_settings({**FUSED, name: "text"}) is None
    assert read_settings({**FUSED, name: None}) is None


@pytest.mark.parametrize("feature", [True, None, {}, [], "nms"])
def test_other_features_state_no_settings(feature: object) -> None:
    assert read_settings(feature) is None


def test_the_usual_settings_are_met_exactly() -> None:
    assert USUAL.misses(FUSED) == []
    assert exact_preferences(FUSED) == USUAL
    assert USUAL.misses({**FUSED, "iou_threshold": 0.7001, "class_agnostic": True}) == [
        "iou_threshold",
        "class_agnostic",
    ]
    assert NmsPreferences((100, 300)).misses(FUSED) == []
    assert NmsPreferences((100, 299)).misses(FUSED) == ["max_detections"]


@pytest.mark.parametrize(
    ("wish", "score"),
    [
        (NmsPreferences(), 0),
        (NmsPreferences(class_agnostic=False), 1),
        (NmsPreferences(class_agnostic=True), 0),
        (NmsPreferences(iou_threshold=(0.7, 0.7)), 1),
        (NmsPreferences(iou_threshold=(0.6, 0.8)), 1),
        (NmsPreferences(iou_threshold=(0.7, 0.9)), 0.5),
        (NmsPreferences(iou_threshold=(0.5, 0.6)), 0),
        (USUAL, 4),
    ],
)
def test_the_middle_of_a_range_scores_best(wish: NmsPreferences, score: float) -> None:
    assert wish.score(FUSED) == pytest.approx(score)

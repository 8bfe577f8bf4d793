from __future__ import annotations

import pytest

from inference_models.errors import InvalidParameterError
from inference_models.predictions.action_recognition import ActionRecognitionPrediction


def test_the_dictionary_brings_the_prediction_back() -> None:
    prediction = ActionRecognitionPrediction(3, 9, "jump", confidence=0.75, end_exclusive=True)
    assert prediction.to_dict() == {
        "start_frame_idx": 3,
        "end_frame_idx": 9,
        "class_name": "jump",
        "confidence": 0.75,
        "end_exclusive": True,
    }
    assert ActionRecognitionPrediction.from_dict({**prediction.to_dict(), "later": 1}) == prediction


def test_repr_says_whether_the_last_frame_belongs() -> None:
    assert repr(ActionRecognitionPrediction(3, 9, "jump")) == "ActionRecognitionPrediction(jump frames [3, 9])"
    prediction = ActionRecognitionPrediction(3, 9, "jump", 0.756, end_exclusive=True)
    assert repr(prediction) == "ActionRecognitionPrediction(jump 0.76 frames [3, 9))"


def test_a_dictionary_without_the_frames_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        ActionRecognitionPrediction.from_dict({"class_name": "jump"})
    assert str(caught.value) == (
        "ActionRecognitionPrediction cannot be read from this dictionary.\n"
        "needs start_frame_idx, end_frame_idx and class_name; found: no start_frame_idx, end_frame_idx"
    )

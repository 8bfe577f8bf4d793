from __future__ import annotations

import numpy as np
import pytest

from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.tasks.classification import ClassificationModel
from inference_models.tasks.multi_label_classification import MultiLabelClassificationModel
from optional import torch


class Colour(ClassificationModel[torch.Tensor, torch.Tensor]):
    """The colour channel that is strongest on average."""

    @classmethod
    def from_pretrained(cls, model_name_or_path: str, **kwargs) -> Colour:
        return cls()

    @property
    def class_names(self) -> list[str]:
        return ["red", "green", "blue"]

    def pre_process(self, images, **kwargs) -> torch.Tensor:
        return torch.stack(list(images)).float() / 255

    def forward(self, pre_processed_images: torch.Tensor, **kwargs) -> torch.Tensor:
        return pre_processed_images.mean(dim=(2, 3))

    def post_process(self, model_results: torch.Tensor, **kwargs) -> ClassificationPrediction:
        scores = (model_results * kwargs.get("sharpness", 1)).softmax(-1)
        return ClassificationPrediction(scores.argmax(-1), scores)


class Colours(Colour, MultiLabelClassificationModel[torch.Tensor, torch.Tensor]):
    def post_process(self, model_results, confidence=0.4, **kwargs) -> list[MultiLabelClassificationPrediction]:
        return [
            MultiLabelClassificationPrediction(torch.nonzero(scores >= confidence)[:, 0], scores)
            for scores in model_results
        ]


def images() -> list[torch.Tensor]:
    batch = torch.zeros((2, 3, 4, 5), dtype=torch.uint8)
    batch[0, 1] = 255
    batch[1, 2] = 255
    batch[1, 0] = 128
    return list(batch)


def test_a_batch_gives_one_prediction() -> None:
    prediction = Colour.from_pretrained("folder")(images())
    assert prediction.class_id.tolist() == [1, 2]
    assert prediction.confidence.shape == (2, 3)
    assert prediction == Colour().infer(images())


def test_options_reach_post_processing() -> None:
    assert float(Colour()(images(), sharpness=20).confidence.max()) > 0.99


def test_several_labels_give_one_prediction_per_image() -> None:
    predictions = Colours()(images())
    assert [prediction.class_ids.tolist() for prediction in predictions] == [[1], [0, 2]]
    assert [prediction.class_ids.tolist() for prediction in Colours()(images(), confidence=0.9)] == [[1], [2]]


def test_annotate_writes_the_classes_in_the_corner() -> None:
    grey = np.full((150, 200, 3), 200, np.uint8)
    drawn = Colour().annotate(grey, Colour()(images()[:1]))
    assert (drawn[:40, :40] != grey[:40, :40]).any()
    assert np.array_equal(drawn[-30:, -30:], grey[-30:, -30:])


@pytest.mark.parametrize("base", [ClassificationModel, MultiLabelClassificationModel])
@pytest.mark.parametrize("missing", ["class_names", "pre_process", "forward", "post_process"])
def test_a_model_without_one_of_its_members_cannot_be_made(base: type, missing: str) -> None:
    members = {name: member for name, member in vars(Colour).items() if name not in (missing, "__dict__")}
    with pytest.raises(TypeError, match=missing):
        type("Incomplete", (base,), members)()
    members[missing] = vars(Colour)[missing]
    type("Complete", (base,), members)()

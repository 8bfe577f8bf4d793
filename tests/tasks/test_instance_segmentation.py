from __future__ import annotations

import numpy as np
import pytest

from inference_models.predictions.instances import InstanceDetections
from inference_models.tasks.instance_segmentation import InstanceSegmentationModel
from optional import torch


class Threshold(InstanceSegmentationModel[torch.Tensor, list, torch.Tensor]):
    """One instance per image: the pixels above a threshold."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    @classmethod
    def from_pretrained(cls, model_name_or_path: str, **kwargs) -> Threshold:
        return cls()

    @property
    def class_names(self) -> list[str]:
        return ["bright"]

    @property
    def supported_mask_formats(self) -> set[str]:
        return {"dense"}

    def pre_process(self, images, **kwargs) -> tuple[torch.Tensor, list]:
        self.stages.append("pre")
        return torch.from_numpy(images)[None].float().mean(-1), [images.shape[:2]]

    def forward(self, pre_processed_images: torch.Tensor, **kwargs) -> torch.Tensor:
        self.stages.append("forward")
        return pre_processed_images

    def post_process(self, model_results, pre_processing_meta, level=128, **kwargs) -> list[InstanceDetections]:
        self.stages.append("post")
        if level < 0:
            raise ValueError("level")
        masks = model_results > level
        height, width = pre_processing_meta[0]
        box = torch.tensor([[0.0, 0, width, height]])
        return [InstanceDetections(box, torch.zeros(1, dtype=torch.int32), torch.ones(1), masks)]


def image() -> np.ndarray:
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[10:20, 5:25] = 200
    return pixels


def test_infer_answers_with_masks() -> None:
    (answer,) = Threshold()(image())
    assert answer.mask.shape == (1, 30, 40)
    assert int(answer.mask.sum()) == 200
    assert not Threshold()(image(), level=250)[0].mask.any()


def test_a_promise_runs_post_processing_when_it_is_asked_and_once_only() -> None:
    model = Threshold()
    promise = model.infer_async(image(), level=100)
    assert model.stages == ["pre", "forward"]
    promise.submit_gpu_work()
    assert promise.done()
    assert promise.result() == model.infer(image(), level=100)
    assert promise.result() is promise.result()
    assert model.stages == ["pre", "forward", "post", "pre", "forward", "post"]


def test_an_error_of_post_processing_is_raised_by_every_result() -> None:
    promise = Threshold().infer_async(image(), level=-1)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^level$"):
            promise.result()


def test_what_a_model_supports_is_said_by_the_base() -> None:
    assert Threshold().supports_stream_pipeline is False
    assert Threshold().max_batch_size is None


def test_annotate_draws_masks() -> None:
    model = Threshold()
    drawn = model.annotate(image(), model(image()))
    assert (drawn[12:18, 8:20] != image()[12:18, 8:20]).any(axis=-1).all()


@pytest.mark.parametrize("missing", ["supported_mask_formats", "class_names", "post_process"])
def test_a_model_without_one_of_its_members_cannot_be_made(missing: str) -> None:
    members = {name: member for name, member in vars(Threshold).items() if name not in (missing, "__dict__")}
    with pytest.raises(TypeError, match=missing):
        type("Incomplete", (InstanceSegmentationModel,), members)()

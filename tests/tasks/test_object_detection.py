"""Models written exactly as for the public library: torch in, torch out, options as keywords."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from inference_models.entities import ResolvedModelMetadata
from inference_models.predictions.detections import Detections
from inference_models.tasks.object_detection import ObjectDetectionModel
from optional import torch


class BrightestPixel(ObjectDetectionModel[torch.Tensor, list, torch.Tensor]):
    """Finds the brightest pixel of each image; scores are brightness."""

    def __init__(self, class_names: list[str]) -> None:
        self._class_names = class_names
        self.seen: list[tuple[str, dict]] = []
        self.closed = 0

    @classmethod
    def from_pretrained(cls, model_name_or_path: str, **kwargs) -> BrightestPixel:
        return cls(json.loads((Path(model_name_or_path) / "names.json").read_text()))

    @property
    def class_names(self) -> list[str]:
        return self._class_names

    def pre_process(self, images, **kwargs) -> tuple[torch.Tensor, list]:
        self.seen.append(("pre_process", kwargs))
        if isinstance(images, np.ndarray):
            images = torch.from_numpy(images[..., ::-1].copy()).permute(2, 0, 1)
        batch = images[None] if images.ndim == 3 else images
        return batch.float() / 255, [tuple(image.shape[-2:]) for image in batch]

    def forward(self, pre_processed_images: torch.Tensor, **kwargs) -> torch.Tensor:
        self.seen.append(("forward", kwargs))
        return pre_processed_images.mean(dim=1)

    def post_process(self, model_results, pre_processing_meta, confidence: float = 0.4, **kwargs) -> list[Detections]:
        self.seen.append(("post_process", {"confidence": confidence, **kwargs}))
        return [
            self._detect(scores, size, confidence)
            for scores, size in zip(model_results, pre_processing_meta, strict=True)
        ]

    def close(self) -> None:
        self.closed += 1

    def _detect(self, scores: torch.Tensor, size: tuple[int, int], confidence: float) -> Detections:
        y, x = divmod(int(scores.argmax()), size[1])
        keep = scores.max()[None] > confidence
        box = torch.tensor([[x, y, x + 1, y + 1]], dtype=torch.float32)[keep]
        return Detections(box, torch.zeros(1, dtype=torch.int32)[keep], scores.max()[None][keep])


@pytest.fixture
def model(tmp_path: Path) -> BrightestPixel:
    (tmp_path / "names.json").write_text('["pixel"]')
    return BrightestPixel.from_pretrained(str(tmp_path), device="cpu")


def image() -> np.ndarray:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[7, 30] = 255
    return pixels


def test_infer_chains_the_three_stages(model: BrightestPixel) -> None:
    answers = model.infer(image())
    assert answers == [Detections(torch.tensor([[30.0, 7, 31, 8]]), torch.zeros(1, dtype=torch.int32), torch.ones(1))]
    assert isinstance(answers[0].xyxy, torch.Tensor)


def test_every_stage_gets_the_same_options(model: BrightestPixel) -> None:
    model(image(), confidence=0.5, input_color_format="rgb")
    options = {"confidence": 0.5, "input_color_format": "rgb"}
    assert model.seen == [("pre_process", options), ("forward", options), ("post_process", options)]


def test_a_call_is_infer(model: BrightestPixel) -> None:
    assert model(image()) == model.infer(image())
    assert model(image(), confidence=1.0) == [model(image())[0][[]]]


def test_a_batch_gives_one_answer_per_image(model: BrightestPixel) -> None:
    batch = torch.zeros((3, 3, 4, 5), dtype=torch.uint8)
    batch[1, :, 2, 3] = 255
    assert [len(answer) for answer in model(batch)] == [0, 1, 0]


def test_with_closes_the_model_even_after_an_error(model: BrightestPixel) -> None:
    with model as same:
        assert same is model
    with pytest.raises(KeyError), model:
        raise KeyError("x")
    assert model.closed == 2


def test_a_model_does_not_know_its_package_until_it_is_told(model: BrightestPixel) -> None:
    assert model.resolved_model is None
    model.resolved_model = ResolvedModelMetadata("a/1", "p", "onnx", "fp32")
    assert BrightestPixel.resolved_model is None


def test_annotate_draws_the_whole_answer_to_one_image(model: BrightestPixel) -> None:
    answers = model(image())
    drawn = model.annotate(image(), answers)
    assert drawn.shape == image().shape
    assert np.array_equal(drawn, model.annotate(image(), answers[0]))
    assert (drawn != image()).any()


@pytest.mark.parametrize("missing", ["class_names", "pre_process", "forward", "post_process"])
def test_a_model_without_one_of_its_methods_cannot_be_made(missing: str) -> None:
    members = {name: member for name, member in vars(BrightestPixel).items() if name != missing}
    members.pop("__dict__", None)
    incomplete = type("Incomplete", (ObjectDetectionModel,), members)
    with pytest.raises(TypeError, match=rf"abstract method '?{missing}"):
        incomplete(["pixel"])


@pytest.mark.parametrize("arguments", [int, (int, list), (int, list, str)], ids=str)
def test_the_bases_take_up_to_three_types(arguments: object) -> None:
    assert ObjectDetectionModel[arguments].__origin__ is ObjectDetectionModel

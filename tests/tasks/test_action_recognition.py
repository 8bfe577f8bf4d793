"""The action in a clip, against `VJEPA2ForVideoClassification` of transformers 5.24 with torch 2.13.

Its processor needs torchvision, so frames are prepared as it says, by Pillow: the shorter side to 256 / 224 of the
network, and the middle of that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Transformers runs in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")

import torch
import transformers
from PIL import Image

from inference_models import ActionRecognitionModel, AutoModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError, ModelInputError
from test_transformers_folders import photograph

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.arrays import NumpyArray

ACTIONS = {0: "open", 1: "close", 2: "throw"}
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
SMALL = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1, "num_pooler_layers": 1, "mlp_ratio": 2}
FRAMES = 4


def clip(count: int) -> NumpyArray:
    """RGB frames in which something moves."""
    return np.stack([np.roll(photograph(), 9 * number, axis=1) for number in range(count)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vjepa2")
    torch.manual_seed(0)
    config = transformers.VJEPA2Config(**SMALL, crop_size=32, frames_per_clip=FRAMES, id2label=ACTIONS)
    network = transformers.VJEPA2ForVideoClassification(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    network.save_pretrained(path)
    stated = {"video_processor_type": "VJEPA2VideoProcessor", "crop_size": {"height": 32, "width": 32}, "resample": 2}
    stated |= {"size": {"shortest_edge": 292}, "image_mean": MEAN.tolist(), "image_std": STD.tolist()}
    (path / "video_preprocessor_config.json").write_text(json.dumps({**stated, "do_normalize": True}))
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    with AutoModel.from_pretrained(str(folder)) as loaded:
        yield loaded


def expected(folder: Path, frames: NumpyArray) -> NumpyArray:
    pictures = [np.asarray(Image.fromarray(frame).resize((48, 36), Image.Resampling.BILINEAR)) for frame in frames]
    pixels = (np.stack(pictures)[:, 2:34, 8:40] / np.float32(255) - MEAN) / STD
    network = transformers.VJEPA2ForVideoClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = network(torch.from_numpy(pixels).permute(0, 3, 1, 2)[None]).logits
    return logits.softmax(-1)[0].numpy()


@pytest.mark.parametrize("count", [1, FRAMES, 9])
def test_actions_are_those_of_transformers_for_frames_chosen_evenly(folder: Path, model: Any, count: int) -> None:
    frames = clip(count)
    scores = expected(folder, frames[np.linspace(0, count - 1, FRAMES).round().astype(int)])
    assert isinstance(model, ActionRecognitionModel)
    found = model(frames, confidence=0.0)
    assert [action.class_name for action in found] == [ACTIONS[number] for number in np.argsort(-scores)]
    np.testing.assert_allclose([action.confidence for action in found], -np.sort(-scores), rtol=0, atol=1e-4)
    assert {(action.start_frame_idx, action.end_frame_idx) for action in found} == {(0, count - 1)}
    assert model(list(frames)) == found[:1]


def test_the_order_of_colours_and_of_time_makes_a_difference(model: Any) -> None:
    frames = clip(FRAMES)
    usual, turned, late = (model(clips, confidence=0.0) for clips in (frames, frames[..., ::-1], frames[::-1]))
    for other in (turned, late):
        pairs = zip(sorted(usual, key=str), sorted(other, key=str), strict=True)
        assert max(abs(one.confidence - two.confidence) for one, two in pairs) > 1e-4


def test_what_may_be_the_answer_can_be_named(model: Any) -> None:
    every = model(clip(FRAMES), confidence=0.0)
    last = every[-1].class_name
    assert model(clip(FRAMES), class_names=[last]) == every[-1:]
    with pytest.raises(InvalidParameterError, match="knows no action 'opens'; nearest: 'open'"):
        model(clip(FRAMES), class_names=["opens"])
    assert model.video_sampling.max_frames == FRAMES


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ("clip.mp4", "a video is taken as its frames, not as a file"),
        ([], "there is no frame"),
        (photograph(), "image 1 of"),
        ([photograph(), "x.jpg"], "image"),
    ],
)
def test_what_is_no_clip_is_refused_and_the_next_call_works(model: Any, frames: Any, said: str) -> None:
    with pytest.raises(ModelInputError, match=said):
        model(frames)
    assert len(model(clip(2))) == 1


def test_a_folder_with_names_of_other_actions_than_its_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "id2label": {"0": "open"}, "label2id": {"open": 0}}))
    with pytest.raises(CorruptedModelPackageError, match="the weights are not those of the architecture"):
        AutoModel.from_pretrained(str(tmp_path))

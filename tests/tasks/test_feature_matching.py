"""The same places in two pictures, against `LightGlueForKeypointMatching` and `SuperGlueForKeypointMatching` of
transformers 5.24 with torch 2.13: processor, network and `post_process_keypoint_matching`, which cuts off fractions.
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

from inference_models import AutoModel, FeatureMatches, FeatureMatchingModel
from inference_models.errors import InvalidParameterError, ModelImplementationNotFoundError, ModelInputError
from inference_models.parity.answers import ask_reference
from inference_models.predictions.comparison import Comparison
from test_transformers_folders import photograph

if TYPE_CHECKING:
    from pathlib import Path

POINTS = {"encoder_hidden_sizes": [8, 8, 8, 8], "decoder_hidden_size": 8, "descriptor_decoder_dim": 8}
SIZE = {"height": 64, "width": 80}
GREY = np.repeat(photograph()[..., :1], 3, axis=-1)


def saved(folder: Path, name: str) -> tuple[Any, Any]:
    t = transformers
    points = t.SuperPointConfig(**POINTS, keypoint_threshold=0.0, max_keypoints=60)
    if name == "lightglue":
        config = t.LightGlueConfig(
            keypoint_detector_config=points,
            descriptor_dim=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            filter_threshold=0.0,
        )
        network, processor = t.LightGlueForKeypointMatching(config), t.LightGlueImageProcessorPil(size=SIZE)
    else:
        config = t.SuperGlueConfig(
            keypoint_detector_config=points,
            hidden_size=8,
            keypoint_encoder_sizes=[8, 8],
            gnn_layers_types=["self", "cross"],
            num_attention_heads=2,
            sinkhorn_iterations=10,
            matching_threshold=0.0,
        )
        network, processor = t.SuperGlueForKeypointMatching(config), t.SuperGlueImageProcessorPil(size=SIZE)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, processor


@pytest.fixture(scope="module", params=["lightglue", "superglue"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    network, processor = saved(folder, request.param)
    with AutoModel.from_pretrained(str(folder), arrays="numpy") as model:
        yield model, network, processor


@pytest.mark.parametrize("other", [photograph(70, 100)[:, ::-1], GREY], ids=["of another size", "grey"])
def test_pairs_are_those_of_transformers(loaded: Any, other: Any) -> None:
    model, network, processor = loaded
    images = [Image.fromarray(photograph()), Image.fromarray(np.ascontiguousarray(other))]
    with torch.no_grad():
        outputs = network(**processor(images, return_tensors="pt"))
    sizes = [[(image.height, image.width) for image in images]]
    (expected,) = processor.post_process_keypoint_matching(outputs, sizes)
    assert isinstance(model, FeatureMatchingModel)
    found = model(*images)
    assert len(found) == len(expected["matching_scores"]) > 1
    np.testing.assert_array_equal(np.trunc(found.points), expected["keypoints0"])
    np.testing.assert_array_equal(np.trunc(found.other_points), expected["keypoints1"])
    np.testing.assert_allclose(found.confidence, expected["matching_scores"], rtol=0, atol=1e-4)
    least = float(np.median(found.confidence))
    assert model.match(*images, confidence=least) == found.above(least)


def test_matches_are_written_and_read_compared_and_drawn(loaded: Any) -> None:
    model, _, _ = loaded
    image, other = photograph(), photograph(70, 100)
    found = model.match(image, other)
    assert FeatureMatches.from_json(found.to_json()) == found
    assert FeatureMatches.from_dict(found.to_line()) == found
    assert FeatureMatches.from_json(found.above(1.0).to_json()) == found.above(1.0)
    tally = Comparison(least_score=0.0, box_px=1.0)
    found.compare(found.above(float(np.sort(found.confidence)[0])), tally)
    assert (tally.numbers["objects"], tally.numbers["matched"] + len(tally.unmatched)) == (len(found), len(found))
    assert model.annotate_pair(image, other, found).shape == (90, 220, 3)
    assert (model.annotate(image, found) != image).any()
    assert repr(found) == f"FeatureMatches({len(found)})"
    assert len(ask_reference(model, [image]).predictions) == 1


@pytest.mark.parametrize(
    ("pair", "options", "error", "said"),
    [
        ((photograph(), "x"), {}, ModelInputError, "image 2 of 2"),
        ((photograph(), None), {}, ModelInputError, "image 2 of 2"),
        ((photograph(), photograph()), {"confidence": 2}, InvalidParameterError, "from 0 to 1"),
        ((photograph(), photograph()), {"iou": 0.5}, InvalidParameterError, "iou"),
    ],
)
def test_what_is_no_pair_is_refused_and_the_next_call_works(
    loaded: Any, pair: Any, options: Any, error: type[Exception], said: str
) -> None:
    model, _, _ = loaded
    with pytest.raises(error, match=said):
        model.match(*pair, **options)
    assert isinstance(model.match(np.zeros((20, 30, 3), np.uint8), photograph()), FeatureMatches)


def test_a_processor_that_leaves_colours_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "lightglue")
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_grayscale": False}))
    with pytest.raises(ModelImplementationNotFoundError, match="needs do_grayscale true; found: do_grayscale false"):
        AutoModel.from_pretrained(str(tmp_path))

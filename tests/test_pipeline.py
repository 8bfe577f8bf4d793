"""Pipelines by name: from the parameters of their models to answers in pixels of the page."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphs
from inference_models import pipeline as pipeline_module
from inference_models.errors import (
    DependencyModelParametersValidationError,
    ModelNotFoundError,
    ModelPipelineInitializationError,
    ModelPipelineNotFound,
)
from inference_models.loading.dependencies import DependencyModelParameters
from inference_models.pipeline import AutoModelPipeline, Pipeline, known_pipelines
from inference_models.pipelines.upright_page_layout import turn_boxes_back

NAMES = ["cat", "dog"]


class Pair:
    def __init__(self, models: list[Any], name: str) -> None:
        self.models, self.name = models, name

    @classmethod
    def with_models(cls, models: list[Any], name: str = "unnamed") -> Pair:
        return cls(models, name)


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    rows = np.zeros((1, 6, 9), np.float32)
    rows[0, :, 0] = [32, 32, 16, 8, 0.9, 0.1]
    return graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": rows})


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, detector: Path) -> None:
    """An installed plug-in with two models, of which the first has a default."""
    default = DependencyModelParameters(model_id_or_path=str(detector), labels=NAMES, model_type="yolov8")
    made = Pipeline(build=Pair.with_models, models=(default, None))
    monkeypatch.setattr("test_pipeline_plug.PIPELINE", made, raising=False)
    entry = EntryPoint("pair", "test_pipeline_plug:PIPELINE", pipeline_module.ENTRY_POINT_GROUP)
    monkeypatch.setattr(pipeline_module, "entry_points", lambda group: [entry])


@pytest.fixture(autouse=True)
def _module_of_the_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    monkeypatch.setitem(sys.modules, "test_pipeline_plug", ModuleType("test_pipeline_plug"))


@pytest.mark.usefixtures("plugged")
class TestParameters:
    def test_defaults_ids_and_mappings_stand_for_models_and_other_options_go_to_the_pipeline(
        self, detector: Path
    ) -> None:
        second = {"model_id_or_path": str(detector), "labels": ["a", "b"], "model_type": "yolov8"}
        pair = AutoModelPipeline.from_pretrained("pair", [None, second], name="mine", threads=1)
        assert [list(model.class_names) for model in pair.models] == [NAMES, ["a", "b"]]
        assert pair.name == "mine"

    def test_an_id_alone_is_enough(self, detector: Path) -> None:
        pair = AutoModelPipeline.from_pretrained("pair", [None, str(detector)], labels=["x", "y"], model_type="yolov8")
        assert len(pair.models) == 2

    @pytest.mark.parametrize(
        ("parameters", "error", "text"),
        [
            (
                None,
                ModelPipelineInitializationError,
                "pipeline 'pair' has no default for its model 1.\nneeds models_parameters[1]; found: None",
            ),
            (
                ["a"],
                ModelPipelineInitializationError,
                (
                    "pipeline 'pair' cannot be built.\nneeds models_parameters with 2 entries; found: 1 entries\n"
                    "None in a place stands for the model the pipeline uses by default"
                ),
            ),
            (
                [None, {"device": "cpu"}],
                DependencyModelParametersValidationError,
                "models_parameters[1] does not say which model.\nneeds model_id_or_path; found: device",
            ),
            (
                [None, {"model_id_or_path": 3}],
                DependencyModelParametersValidationError,
                ("models_parameters[1]: model_id_or_path cannot be used.\nneeds str; found: 3"),
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, parameters: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error) as caught:
            AutoModelPipeline.from_pretrained("pair", parameters)
        assert str(caught.value) == text

    def test_when_the_second_model_fails_the_first_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[object] = []
        monkeypatch.setattr(
            "inference_models.tasks.graph_runner.OneGraph.close", lambda self: closed.append(type(self).__name__)
        )
        with pytest.raises(ModelNotFoundError):
            AutoModelPipeline.from_pretrained("pair", [None, "no-such-model"])
        assert closed == ["GraphDetector"]

    def test_the_list_shows_pipelines_and_their_models(
        self, capsys: pytest.CaptureFixture[str], detector: Path
    ) -> None:
        AutoModelPipeline.list_available_pipelines()
        shown = capsys.readouterr().out.replace("\n", "")
        assert "pair" in shown
        assert "a model you name" in shown
        assert "picodet-layout-cdla" in shown


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelPipelineNotFound) as caught:
        AutoModelPipeline.from_pretrained("upright-page-layuot")
    assert str(caught.value) == "there is no pipeline 'upright-page-layuot'; nearest: 'upright-page-layout'."
    assert known_pipelines() == ["upright-page-layout"]


@pytest.mark.parametrize("turns", range(4))
def test_boxes_turn_back_to_where_the_pixels_were(turns: int) -> None:
    page = np.zeros((7, 11), np.uint8)
    page[2:5, 3:9] = 1
    turned = np.rot90(page, turns)
    rows, columns = np.nonzero(turned)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    np.testing.assert_array_equal(turn_boxes_back(box, turns, turned.shape), [[3, 2, 9, 5]])


def text_page() -> np.ndarray:
    """A page of made-up text under a title, in the font that Pillow brings."""
    image = pytest.importorskip("PIL.Image").new("RGB", (800, 1100), "white")
    from PIL import ImageDraw, ImageFont

    pen = ImageDraw.Draw(image)
    pen.text((200, 50), "A large title", "black", ImageFont.load_default(56))
    words = ["The", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away", "."]
    generator = np.random.default_rng(0)
    for line in range(26):
        pen.text((70, 170 + line * 32), " ".join(generator.choice(words, 10)), "black", ImageFont.load_default(22))
    return np.asarray(image)[..., ::-1].copy()


@pytest.mark.network
@pytest.mark.usefixtures("catalogue_home", "picodet_onnx", "pplcnet_onnx")
def test_a_page_has_the_same_blocks_whichever_way_it_lies() -> None:
    page = text_page()
    with_all = AutoModelPipeline.from_pretrained("upright-page-layout")
    upright = with_all(page)[0]
    assert upright.image_metadata == {"page_orientation": 0}
    assert [with_all.class_names[index] for index in upright.class_id] == ["text", "title"]
    # The orientation classifier calls a page turned with the clock by 90 degrees "90".
    for turns, degrees in ((1, 270), (2, 180), (3, 90)):
        lying = np.ascontiguousarray(np.rot90(page, turns))
        (found,) = with_all.infer([lying])
        assert found.image_metadata == {"page_orientation": degrees}
        np.testing.assert_array_equal(found.class_id, upright.class_id)
        # The detector saw the very same pixels, so that the boxes differ by rounding only.
        rows = [marked(lying.shape[:2], box) for box in found.xyxy]
        wanted = [np.rot90(marked(page.shape[:2], box), turns) for box in upright.xyxy]
        for one, other in zip(rows, wanted, strict=True):
            assert (one != other).mean() < 1e-3
    with_all.close()


def marked(size: tuple[int, int], box: np.ndarray) -> np.ndarray:
    picture = np.zeros(size, bool)
    x1, y1, x2, y2 = np.rint(box).astype(int)
    picture[y1:y2, x1:x2] = True
    return picture


@pytest.mark.usefixtures("plugged")
def test_the_pipeline_for_pages_refuses_a_classifier_of_something_else(detector: Path) -> None:
    wrong = {"model_id_or_path": str(detector), "labels": NAMES, "model_type": "yolov8", "weights_provider": "local"}
    with pytest.raises(ModelPipelineInitializationError) as caught:
        AutoModelPipeline.from_pretrained("upright-page-layout", [wrong, wrong])
    assert str(caught.value) == (
        "the first model of 'upright-page-layout' cannot be used.\n"
        "needs a classifier of 0, 90, 180, 270 degrees; found: classes cat, dog"
    )

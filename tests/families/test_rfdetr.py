from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, MissingModelInitParameterError
from inference_models.families import canonical_name
from optional import torch
from torch_graphs import network_input

RECORDED = Path(__file__).parent.parent / "decoders" / "recorded" / "rfdetr.npz"
FRAME, IMAGE = (96, 128), (125, 200)
NAMES = ["person", "dog", "ball"]
PICTURE = np.random.default_rng(0).integers(0, 255, (*IMAGE, 3), np.uint8)
PLACES = ("dets", "labels", "masks")


@pytest.fixture(scope="module")
def recorded():
    data = np.load(RECORDED)
    outputs = {name: data[f"output{place}"].astype(np.float32) for place, name in enumerate(PLACES)}
    count = int(np.prod(data["shape"]))
    return outputs, data["found"], np.unpackbits(data["bits"], count=count).reshape(data["shape"]).astype(bool)


def package(folder: Path, outputs, *, task="object-detection", names=NAMES, size=FRAME, graph=FRAME, **more) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    graphs.constant_outputs(folder / "weights.onnx", size=graph, outputs=outputs)
    operations = more.pop("class_names_operations", None)
    config = {"network_input": network_input(size, **more), "class_names_operations": operations}
    (folder / "inference_config.json").write_text(json.dumps(config))
    (folder / "class_names.txt").write_text("\n".join(names))
    stated = {"model_architecture": "rfdetr", "task_type": task, "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    return f"local:{folder}"


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["as exported", "another order"])
def test_a_bare_file_gives_what_rfdetr_makes_of_its_outputs(tmp_path, recorded, backend, order):
    outputs, found, masks = recorded
    outputs = {PLACES[place]: outputs[PLACES[place]] for place in order}
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=FRAME, outputs=outputs)
    (ours,) = AutoModel.from_pretrained(path, labels=[*NAMES, "cup"], backend=backend)(
        PICTURE, confidence=0.3, masks="dense"
    )
    kept = found[:, 4] > 0.3
    assert kept.sum() > 5
    np.testing.assert_allclose(ours.xyxy, found[kept, :4], atol=1e-3)
    np.testing.assert_allclose(ours.confidence, found[kept, 4], atol=1e-6)
    np.testing.assert_array_equal(ours.class_id, found[kept, 5])
    # Of 25000 pixels those are other ones that are within the last digits of float32 of the threshold.
    assert (ours.mask != masks[kept]).sum((1, 2)).max() <= 2


def test_a_bare_detector_is_known_by_its_outputs_and_asks_for_names(tmp_path, recorded):
    outputs = {name: recorded[0][name] for name in ("dets", "labels")}
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=FRAME, outputs=outputs)
    with pytest.raises(MissingModelInitParameterError, match="labels"):
        AutoModel.from_pretrained(path)
    (ours,) = AutoModel.from_pretrained(path, labels=[*NAMES, "cup"])(PICTURE, confidence=0.3)
    np.testing.assert_allclose(ours.confidence, recorded[1][recorded[1][:, 4] > 0.3, 4], atol=1e-6)


def test_a_column_behind_the_classes_is_none(tmp_path, recorded):
    outputs, found, _ = recorded
    model = AutoModel.from_pretrained(package(tmp_path / "m", outputs, task="instance-segmentation"))
    (ours,) = model(PICTURE, confidence=0.3)
    assert model.class_names == NAMES
    kept = found[(found[:, 4] > 0.3) & (found[:, 5] < 3)]
    np.testing.assert_allclose(ours.confidence, kept[:, 4], atol=1e-6)
    np.testing.assert_array_equal(ours.class_id, kept[:, 5])


def test_removed_names_leave_their_columns_and_the_others_move_up(tmp_path, recorded):
    outputs, found, _ = recorded
    removal = [{"type": "class_name_removal", "class_name": "dog"}]
    model = AutoModel.from_pretrained(package(tmp_path / "m", outputs, class_names_operations=removal))
    (ours,) = model(PICTURE, confidence=0.3)
    assert model.class_names == ["person", "ball"]
    kept = found[(found[:, 4] > 0.3) & np.isin(found[:, 5], [0, 2])]
    np.testing.assert_array_equal(ours.class_id, kept[:, 5] // 2)
    (balls,) = model(PICTURE, confidence=0.3, class_filter=["ball"])
    np.testing.assert_allclose(balls.confidence, kept[kept[:, 5] == 2, 4], atol=1e-6)


def test_the_columns_of_coco_are_its_category_numbers(tmp_path):
    logits = np.full((1, 4, 91), -9, np.float32)
    logits[0, [0, 1, 2, 3], [1, 18, 90, 12]] = [3, 2, 1, 4]
    boxes = np.full((1, 4, 4), 0.5, np.float32)
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=FRAME, outputs={"dets": boxes, "labels": logits})
    (found,) = AutoModel.from_pretrained(path, labels="coco")(PICTURE)
    assert found.labels() == ["person", "dog", "toothbrush"]


@pytest.mark.parametrize(
    ("changes", "names", "words"),
    [
        ({}, ["a", "b"], ["2 class names", "4 columns"]),
        ({}, [*NAMES, "d", "e"], ["5 class names", "4 columns"]),
        ({"masks": None}, NAMES, ["(B, Q, h, w)", "found: (1, 20, 4), (1, 20, 4)"]),
        ({"masks": np.zeros((1, 20, 24, 24), np.float32)}, NAMES, ["96x128", "24x24"]),
    ],
    ids=["few names", "many names", "no masks", "size of masks"],
)
def test_a_package_that_contradicts_its_graph_is_refused_when_it_is_loaded(tmp_path, recorded, changes, names, words):
    outputs = {name: output for name, output in {**recorded[0], **changes}.items() if output is not None}
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(package(tmp_path / "m", outputs, task="instance-segmentation", names=names))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_network_is_fed_the_data_set_size_stretched_to_its_own(tmp_path, recorded):
    """Letterbox without smoothing to 80x160, then Pillow's bilinear resize, as the platform trains."""
    two_steps = {"resize_mode": "letterbox", "padding_value": 127}
    dims = {"dataset_version_resize_dimensions": {"height": 80, "width": 160}}
    model = AutoModel.from_pretrained(package(tmp_path / "m", recorded[0], **two_steps, **dims))
    inputs, (way,) = model.pre_process(PICTURE)
    frame = np.full((80, 160, 3), 127, np.uint8)
    frame[:, 16:144] = cv2.resize(PICTURE, (128, 80))
    expected = np.asarray(Image.fromarray(frame).resize((128, 96), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(inputs[0].transpose(1, 2, 0)[..., ::-1] * 255, expected, atol=1e-4)
    corners = way.points_to_network(np.array([[0, 0], [200, 125]]))
    np.testing.assert_allclose(corners, [[16 * 0.8, 0], [144 * 0.8, 96]])
    np.testing.assert_allclose(way.points_to_image(corners), [[0, 0], [200, 125]])


def test_a_map_of_two_steps_lies_on_its_picture_to_the_pixel(tmp_path):
    """Padding ends inside a cell, and inside a pixel of the network: 16 of 160 columns are 3.2 of 32 cells."""
    coarse = np.random.default_rng(3).normal(0, 2, (8, 10, 3)).astype(np.float32)
    logits = cv2.resize(coarse, (32, 24), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
    two_steps = {"resize_mode": "letterbox", "dataset_version_resize_dimensions": {"height": 80, "width": 160}}
    task = {"task": "semantic-segmentation", "names": ["background", *NAMES[:2]]}
    model = AutoModel.from_pretrained(package(tmp_path / "m", {"out": logits[None]}, **two_steps, **task))
    (found,) = model(PICTURE, confidence=0.0)
    height, width = IMAGE
    # Of the centre of every pixel, first its place in the frame, then its cell.
    x = ((np.arange(width) + 0.5) * 128 / width + 16) * 32 / 160 - 0.5
    y = (np.arange(height) + 0.5) * 24 / height - 0.5
    places = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    exact = np.stack([cv2.remap(plane, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in logits])
    cropped = np.stack([cv2.resize(plane[:, 3:29], (width, height)) for plane in logits])
    wrong, of_whole_cells = ((ids != exact.argmax(0)).mean() for ids in (found.segmentation_map, cropped.argmax(0)))
    assert wrong < 0.01 < of_whole_cells


@pytest.mark.parametrize("mode", ["stretch", "letterbox", "center-crop", "fit-longer-edge"])
def test_without_a_data_set_size_every_picture_is_stretched(tmp_path, recorded, mode):
    model = AutoModel.from_pretrained(package(tmp_path / "m", recorded[0], resize_mode=mode))
    inputs, _ = model.pre_process(PICTURE)
    expected = np.asarray(Image.fromarray(PICTURE[..., ::-1]).resize((128, 96), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(inputs[0].transpose(1, 2, 0) * 255, expected, atol=1e-4)


def test_the_size_of_the_graph_wins_over_that_of_the_package(tmp_path, recorded, caplog):
    caplog.set_level(logging.WARNING, "inference-models")
    model = AutoModel.from_pretrained(package(tmp_path / "m", recorded[0], size=(64, 64)))
    assert model.pre_process(PICTURE)[0].shape == (1, 3, *FRAME)
    assert "96x128" in caplog.text


@pytest.mark.parametrize("name", ["rfdetr-nano", "RFDETR-seg-preview", "rfdetr-2xlarge", "rfdetr-seg-xxlarge"])
def test_every_size_is_one_architecture(name):
    assert canonical_name(name) == "rfdetr"


def test_a_bare_file_is_fed_tensors_that_were_resized_without_rounding(tmp_path, recorded):
    """As `predict` of rfdetr 1.11.2 does it: torchvision's bilinear resize of values in 0..1, `antialias=False`."""
    torch = pytest.importorskip("torch")
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=FRAME, outputs=recorded[0])
    inputs, _ = AutoModel.from_pretrained(path, labels=[*NAMES, "cup"]).pre_process(PICTURE)
    pixels = torch.from_numpy(PICTURE[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    resized = torch.nn.functional.interpolate(pixels, FRAME, mode="bilinear")[0].numpy()
    expected = (resized - np.reshape([0.485, 0.456, 0.406], (3, 1, 1))) / np.reshape([0.229, 0.224, 0.225], (3, 1, 1))
    np.testing.assert_allclose(inputs[0], expected, atol=1e-4)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("names", [["background", *NAMES], [*NAMES, "background"]], ids=["first", "last"])
def test_every_class_of_a_pixel_has_a_sigmoid_of_its_own(tmp_path, backend, names):
    logits = np.random.default_rng(3).normal(0, 1, (1, 3, 24, 32)).astype(np.float32)
    task = {"task": "semantic-segmentation", "names": names}
    model = AutoModel.from_pretrained(package(tmp_path / "m", {"out": logits}, **task), backend=backend)
    (found,) = model(PICTURE)
    stack = torch.nn.functional.interpolate(torch.from_numpy(logits), IMAGE, mode="bilinear", align_corners=False)
    best, channel = stack[0].max(0)
    sure = torch.sigmoid(best) >= 0.4
    wanted = torch.where(sure, channel + names.index("person"), names.index("background"))
    assert (found.segmentation_map == wanted.numpy()).mean() > 0.9995
    np.testing.assert_allclose(found.confidence, torch.where(sure, torch.sigmoid(best), 0), atol=1e-4)


def test_a_semantic_package_may_say_sigmoid_and_nothing_else(tmp_path):
    logits = np.zeros((1, 4, 24, 32), np.float32)
    folder = package(tmp_path / "m", {"out": logits}, task="semantic-segmentation", names=["background", *NAMES])
    path = Path(folder.removeprefix("local:"), "inference_config.json")
    stated = json.loads(path.read_text())
    for kind in ("sigmoid", "softmax"):
        path.write_text(json.dumps({**stated, "post_processing": {"type": kind, "fused": False}}))
        if kind == "softmax":
            with pytest.raises(CorruptedModelPackageError, match="needs 'sigmoid'; found: 'softmax'"):
                AutoModel.from_pretrained(folder)
        else:
            AutoModel.from_pretrained(folder)

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.masks import InstancesRLEMasks
from optional import supervision
from torch_graphs import network_input

RECORDED = Path(__file__).parent.parent / "decoders" / "recorded"
FRAME, IMAGE = (96, 128), (125, 200)
NAMES = ["person", "dog", "ball"]
PICTURE = np.full((*IMAGE, 3), 90, np.uint8)


class Recorded:
    """Outputs of a graph, and what the original project makes of them; see tools/record_instances.py."""

    def __init__(self, name: str) -> None:
        data = np.load(RECORDED / f"{name}.npz")
        places = sorted(key for key in data.files if key.startswith("output"))
        self.outputs = [data[place].astype(np.float32) for place in places]
        self.xyxy, self.score, self.class_id = np.split(data["found"], [4, 5], axis=1)
        count = int(np.prod(data["shape"]))
        self.masks = np.unpackbits(data["bits"], count=count).reshape(data["shape"]).astype(bool)


def package(folder: Path, outputs, *, architecture="yolov8", names=NAMES, batch="batch", **network) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"output{place}": output for place, output in enumerate(outputs)}
    graphs.constant_outputs(folder / "weights.onnx", size=FRAME, outputs=named, batch=batch)
    config = {"network_input": network_input(FRAME, **{"resize_mode": "letterbox", **network})}
    (folder / "inference_config.json").write_text(json.dumps(config))
    (folder / "class_names.txt").write_text("\n".join(names))
    stated = {"model_architecture": architecture, "task_type": "instance-segmentation", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    return f"local:{folder}"


@pytest.fixture
def raw(tmp_path):
    return package(tmp_path / "raw", Recorded("ultralytics_raw").outputs)


def iou(first, second):
    return (first & second).sum((1, 2)) / np.maximum(1, (first | second).sum((1, 2)))


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("name", "architecture"),
    [("ultralytics_raw", "yolov8"), ("ultralytics_final", "yolov8"), ("ultralytics_raw", "yolo26"),
     ("ultralytics_final", "yolo26"), ("ultralytics_raw", "yolov9"), ("ultralytics_raw", "yolov12")],
)  # fmt: skip
def test_outputs_of_a_graph_are_what_ultralytics_makes_of_them(tmp_path, name, architecture, backend):
    recorded = Recorded(name)
    where = package(tmp_path / "m", recorded.outputs, architecture=architecture)
    with AutoModel.from_pretrained(where, backend=backend) as model:
        (found,) = model(PICTURE, confidence=0.25, iou_threshold=0.7, masks="dense")
    np.testing.assert_allclose(found.xyxy, recorded.xyxy, atol=1e-3)
    np.testing.assert_allclose(found.confidence[:, None], recorded.score, atol=1e-5)
    np.testing.assert_array_equal(found.class_id[:, None], recorded.class_id)
    # Of 25000 pixels those are other ones that are within the last digits of float32 of the threshold.
    assert (found.mask != recorded.masks).sum((1, 2)).max() <= 2


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_rows_with_objectness_are_scored_with_it_and_class_ids_start_behind_it(tmp_path, backend):
    recorded = Recorded("ultralytics_raw")
    rows, prototypes = recorded.outputs[0].transpose(0, 2, 1), recorded.outputs[1]
    objectness = np.linspace(0.9, 1, rows.shape[1], dtype=np.float32)[None, :, None]
    rows = np.concatenate([rows[..., :4], objectness, rows[..., 4:]], axis=2)
    heads = [np.zeros((1, 3, *side, 16), np.float32) for side in ((12, 16), (6, 8), (3, 4))]
    for architecture, outputs in (("yolov5", [rows, prototypes]), ("yolov7", [rows, *heads, prototypes])):
        where = package(tmp_path / architecture, outputs, architecture=architecture)
        found = AutoModel.from_pretrained(where, backend=backend)(PICTURE, confidence=0.2, iou_threshold=1.0)[0]
        scores = (rows[0, :, 4:5] * rows[0, :, 5:8]).max(1)
        best = np.argsort(-scores)[: len(found)]
        np.testing.assert_allclose(found.confidence, scores[best], rtol=1e-6)
        np.testing.assert_array_equal(found.class_id, rows[0, best, 5:8].argmax(1))
        assert found.confidence.min() > 0.2 >= np.sort(scores)[-len(found) - 1]
        assert found.mask.to_dense().any((1, 2)).mean() > 0.9


def test_masks_are_run_lengths_unless_pixels_are_asked_for(raw):
    model = AutoModel.from_pretrained(raw)
    (plain,), (dense,) = model(PICTURE), model(PICTURE, mask_format="dense")
    assert isinstance(plain.mask, InstancesRLEMasks)
    assert dense.mask.dtype == np.bool_
    assert dense.mask.shape == (len(dense), *IMAGE)
    np.testing.assert_array_equal(plain.mask, dense.mask)
    assert plain.mask == InstancesRLEMasks.from_dense(dense.mask)
    assert model.supported_mask_formats == {"dense", "polygons", "rle"}


def test_polygons_cover_what_the_masks_cover(raw):
    import cv2

    (found,) = AutoModel.from_pretrained(raw)(PICTURE, masks="polygons")
    for facts, mask in zip(found.bboxes_metadata, found.mask.to_dense(), strict=True):
        painted = cv2.drawContours(np.zeros(IMAGE, np.uint8), facts["polygons"], -1, 1, cv2.FILLED) > 0
        assert not (mask & ~painted).any()
        outer, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        assert len(facts["polygons"]) == len(outer)
    assert InstanceDetections.from_json(found.to_json()) == found


@pytest.mark.parametrize(("smooth", "threshold"), [(True, None), (True, 0.8), (False, None), (False, 1.5), (False, -2)])
def test_masks_are_cut_at_the_threshold_that_is_asked_for(tmp_path, smooth, threshold):
    """Against PyTorch, which resizes whole maps, as the public library of this interface does."""
    import torch

    size = (2 * FRAME[0], 2 * FRAME[1])
    rule = {"masks_smoothing_enabled": smooth, "masks_binarization_threshold": threshold}
    model = AutoModel.from_pretrained(package(tmp_path, Recorded("ultralytics_raw").outputs, resize_mode="stretch"))
    (found,) = model(np.zeros((*size, 3), np.uint8), masks="dense", **rule)
    rows, prototypes = map(torch.from_numpy, Recorded("ultralytics_raw").outputs)
    sides = rows[0, 2:4].T / 2
    corners = torch.cat([rows[0, :2].T - sides, rows[0, :2].T + sides], 1).numpy() * 2
    corners = corners.clip(0, [size[1], size[0]] * 2)
    level = (0.5 if smooth else 0.0) if threshold is None else threshold
    y, x = np.indices(size) + 0.0
    for mask, (x1, y1, x2, y2) in zip(found.mask, found.xyxy, strict=True):
        anchor = int(np.abs(corners - [x1, y1, x2, y2]).sum(1).argmin())
        logits = torch.einsum("m,mhw->hw", rows[0, 7:, anchor], prototypes[0])[None, None]
        values = torch.sigmoid(logits) if smooth else logits
        frame = torch.nn.functional.interpolate(values, size, mode="bilinear")[0, 0].numpy()
        sure = np.abs(frame - level) > 1e-4
        inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        np.testing.assert_array_equal(mask[sure], ((frame > level) & inside)[sure])
    assert len(found) > 3


@pytest.mark.parametrize(
    "given",
    [
        {"masks_smoothing_enabled": "yes"},
        {"masks_smoothing_enabled": True, "masks_binarization_threshold": 2},
        {"masks_smoothing_enabled": False, "masks_binarization_threshold": float("nan")},
        {"masks_binarization_threshold": "low"},
    ],
)
def test_a_rule_for_masks_that_makes_no_sense_is_refused(raw, given):
    with pytest.raises(InvalidParameterError, match="makes no sense"):
        AutoModel.from_pretrained(raw)(PICTURE, **given)


@pytest.mark.parametrize("given", [{"masks": "bits"}, {"masks": "rle", "mask_format": "dense"}, {"masks": True}])
def test_another_form_of_masks_is_refused_before_an_image_is_looked_at(raw, given):
    with pytest.raises(InvalidParameterError, match="dense"):
        AutoModel.from_pretrained(raw)("no-such-picture.png", **given)


@pytest.mark.parametrize("form", ["dense", "rle", "polygons"])
def test_an_empty_answer_keeps_types_shapes_and_names(raw, form):
    (found,) = AutoModel.from_pretrained(raw)(PICTURE, confidence=1.0, masks=form)
    assert (found.xyxy.shape, found.xyxy.dtype) == ((0, 4), np.float32)
    assert (found.class_id.dtype, found.confidence.dtype) == (np.int32, np.float32)
    assert found.class_names == tuple(NAMES)
    dense = np.asarray(found.mask)
    assert (dense.shape, dense.dtype) == ((0, *IMAGE), np.bool_)
    assert found.image_size == found.mask_size == IMAGE
    assert InstanceDetections.from_json(found.to_json()) == found
    assert found.to_supervision().mask.shape == (0, *IMAGE)


def test_the_images_of_a_batch_do_not_touch_each_other(raw):
    pictures = [PICTURE, np.zeros((240, 90, 3), np.uint8), np.zeros((96, 128, 3), np.uint8)]
    model = AutoModel.from_pretrained(raw)
    together = model(pictures, masks="rle")
    assert together == [model(picture)[0] for picture in pictures]
    assert together[::-1] == model(pictures[::-1])


def test_sixteen_images_are_one_run_of_the_graph(raw, monkeypatch):
    model = AutoModel.from_pretrained(raw)
    session, sizes = model._runner.session, []
    run = session.run

    def counted(feeds):
        sizes.append([len(feed) for feed in feeds.values()])
        return run(feeds)

    monkeypatch.setattr(session, "run", counted)
    assert len(model([PICTURE] * 40)) == 40
    assert sizes == [[16], [16], [8]]


def test_classes_can_be_filtered_and_each_have_a_threshold_of_their_own(raw):
    model = AutoModel.from_pretrained(raw)
    (all_of_them,), (dogs,) = model(PICTURE), model(PICTURE, class_filter=["dog"])
    assert len(dogs) == (all_of_them.class_id == 1).sum() > 0
    assert dogs.mask.masks == [all_of_them.mask.masks[row] for row in np.flatnonzero(all_of_them.class_id == 1)]


def test_an_object_without_a_pixel_is_none_where_its_project_says_so(tmp_path):
    outputs = Recorded("ultralytics_raw").outputs
    outputs = [outputs[0], np.where(np.arange(32) < 16, -1, 1).astype(np.float32) * np.ones_like(outputs[1])]
    outputs[0][0, 7:] = 0.5
    for form in ("rle", "dense", "polygons"):
        (found,) = AutoModel.from_pretrained(package(tmp_path / form, outputs))(PICTURE, masks=form)
        assert 0 < len(found) == np.asarray(found.mask).any((1, 2)).sum()
        assert (found.xyxy[:, 2] > 90).all()


def test_boxes_and_masks_go_to_supervision_together(raw):
    (found,) = AutoModel.from_pretrained(raw)(PICTURE)
    there = found.to_supervision()
    assert isinstance(there, supervision.Detections)
    np.testing.assert_array_equal(there.mask, found.mask.to_dense())


CORNERS = [(0, 0), (40, 20), (80, 60), (127, 95)]


@pytest.mark.parametrize("mode", ["stretch", "letterbox", "letterbox-reflect-edges", "center-crop", "fit-longer-edge"])
@pytest.mark.parametrize("crop", [None, {"enabled": True, "x_min": 10, "x_max": 80, "y_min": 20, "y_max": 100}])
def test_a_mask_lies_where_the_network_saw_it(tmp_path, mode, crop):
    """One object, whose map is a ramp to the right: it covers what the network saw beyond the middle of its input."""
    rows = np.array([64, 48, 128, 96, 0.9, 0, 0, 1], np.float32).reshape(1, 8, 1)
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32) - 15.5, (1, 1, 24, 32))
    folder = tmp_path / "m"
    where = package(folder, [rows, ramp], resize_mode=mode)
    if crop:
        config = json.loads((folder / "inference_config.json").read_text())
        config["image_pre_processing"] = {"static-crop": crop}
        (folder / "inference_config.json").write_text(json.dumps(config))
    model = AutoModel.from_pretrained(where)
    _, (way,) = model.pre_process(PICTURE)
    (found,) = model(PICTURE, masks="dense")
    centres = np.stack(np.meshgrid(np.arange(IMAGE[1]) + 0.5, np.arange(IMAGE[0]) + 0.5), axis=-1)
    x, y = np.moveaxis(way.points_to_network(centres), -1, 0)
    seen = (x > 0) & (x < FRAME[1]) & (y > 0) & (y < FRAME[0])
    if crop:
        top, left = (25, 20)
        inside = np.zeros(IMAGE, bool)
        inside[top:125, left:160] = True
        seen &= inside
    x1, y1, x2, y2 = found.xyxy[0]
    boxed = (centres[..., 0] - 0.5 >= x1) & (centres[..., 0] - 0.5 < x2)
    boxed &= (centres[..., 1] - 0.5 >= y1) & (centres[..., 1] - 0.5 < y2)
    np.testing.assert_array_equal(found.mask[0], seen & boxed & (x > 64))


ROWS, PROTOTYPES = np.zeros((1, 15, 60), np.float32), np.zeros((1, 8, 24, 32), np.float32)


@pytest.mark.parametrize(
    ("outputs", "names", "words"),
    [
        ([ROWS, PROTOTYPES], ["a", "b"], ["2 names", "has 3"]),
        ([ROWS], NAMES, ["prototypes (B, M, h, w)", "(None, 15, 60)"]),
        ([ROWS[0], PROTOTYPES], NAMES, ["rows (B, 4 + C + M, N)", "found: (15, 60), (None, 8, 24, 32)"]),
        ([ROWS, PROTOTYPES[..., :16]], NAMES, ["96x128", "24x16"]),
        ([ROWS, PROTOTYPES[:, :2]], NAMES, ["3 names", "has 9"]),
        ([ROWS[:, :11], PROTOTYPES], NAMES, ["at least one class", "(None, 11, 60)"]),
    ],
    ids=["names", "no prototypes", "rank", "size of prototypes", "number of prototypes", "no classes"],
)
def test_a_package_that_contradicts_its_graph_is_refused_when_it_is_loaded(tmp_path, outputs, names, words):
    where = package(tmp_path / "m", outputs, names=names)
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(where)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_torchscript_archive_answers_as_the_onnx_graph_and_in_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    from torch_graphs import consent, save_archive

    class Both(torch.nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.rows, self.prototypes = (torch.nn.Parameter(torch.from_numpy(output)) for output in outputs)

        def forward(self, images):
            ones = 1 + 0 * images.mean((1, 2, 3))
            return self.rows * ones[:, None, None], self.prototypes * ones[:, None, None, None]

    outputs = Recorded("ultralytics_raw").outputs
    (expected,) = AutoModel.from_pretrained(package(tmp_path / "m", outputs))(PICTURE)
    folder = tmp_path / "m"
    save_archive(Both(outputs), folder / "weights.torchscript", example=(1, 3, *FRAME))
    (folder / "model_config.json").write_text(
        (folder / "model_config.json").read_text().replace('"onnx"', '"torch-script"')
    )
    model = AutoModel.from_pretrained(f"local:{folder}", **consent(folder))
    (found,), (dense,) = model(PICTURE), model(PICTURE, masks="dense")
    np.testing.assert_allclose(found.xyxy.numpy(), expected.xyxy, atol=1e-4)
    assert found.mask == expected.mask
    assert isinstance(dense.mask, torch.Tensor)
    np.testing.assert_array_equal(dense.mask.numpy(), expected.mask.to_dense())


def test_where_the_channels_of_the_input_come_last_those_of_the_prototypes_do(tmp_path):
    rows, prototypes = Recorded("ultralytics_raw").outputs
    (planar,) = AutoModel.from_pretrained(package(tmp_path / "planar", [rows, prototypes]))(PICTURE)
    where = package(tmp_path / "m", [rows, prototypes.transpose(0, 2, 3, 1)], layout="nhwc")
    path = tmp_path / "m" / "weights.onnx"
    graph = onnx.load(path)
    for place, side in zip((1, 2, 3), (*FRAME, 3), strict=True):
        graph.graph.input[0].type.tensor_type.shape.dim[place].dim_value = side
    onnx.save(graph, path)
    assert AutoModel.from_pretrained(where)(PICTURE) == [planar]

"""Whole calls on folders that Transformers saved, against its own call: processor, network, post-processing.

Networks are tiny and random, made by transformers 5.24 with torch 2.13; weights are drawn with a standard deviation of
0.3, so that answers differ. Transformers prepares images with Pillow here, as it does without torchvision.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Transformers runs in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")

import torch
import transformers
from PIL import Image

import torch_graphs
from inference_models import AutoModel
from inference_models.backends.openvino import import_openvino
from inference_models.errors import ModelLoadingError
from inference_models.predictions.instances import InstanceDetections
from providers.hub_server import Repository, served_hub
from transformers_networks import (
    LABELS,
    RESNET,
    VIT,
    depth_estimators,
    detectors,
    mask_transformers,
    pose_estimators,
    segmenters,
    semantic_segmenters,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inference_models.arrays import NumpyArray


SURE = re.compile(r"class_predictor|queries_embedder")
"""Of mask transformers: larger weights, so that queries differ and are sure of their classes."""


@pytest.fixture(autouse=True)
def the_same_networks_every_time() -> None:
    torch.manual_seed(0)


def photograph(height: int = 90, width: int = 120) -> NumpyArray:
    """RGB with smooth colours, so that resampling shows; red and blue differ."""
    rows, columns = np.mgrid[0:height, 0:width] / (height, 1)[0]
    waves = [np.sin(6 * rows + 3 * columns), np.cos(9 * rows), np.sin(4 * columns * (1 + rows))]
    return (np.stack(waves, axis=-1) * 100 + 128).astype(np.uint8)


def saved(folder: Path, network: Any, processor: Any) -> Any:
    """`network` with weights drawn anew, and `processor`, in `folder`."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.0 if SURE.search(name) else 0.3)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        image = processor(images=[Image.fromarray(photograph())] * 2, return_tensors="pt")
        network.train()(**image)  # which makes normalisations suit the weights, so that images make a difference
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return network.eval()


class Heads(torch.nn.Module):
    """Some of the answers of a network, as its export has them."""

    def __init__(self, network: torch.nn.Module, *names: str) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, images: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        answer = self.network(pixel_values=images)
        # With names: of three classes and none, logits have the shape of boxes.
        return {name: answer[name] for name in self.names} if len(self.names) > 1 else answer[self.names[0]]


TRACED = {
    "vit": ("vit", "classification", "logits"),
    "detr": ("detr", "object-detection", "logits", "pred_boxes"),
    "yolos": ("yolos", "object-detection", "logits", "pred_boxes"),
    "rt_detr": ("rt-detr", "object-detection", "logits", "pred_boxes"),
    "d_fine": ("d-fine", "object-detection", "logits", "pred_boxes"),
    "segformer": ("segformer", "semantic-segmentation", "logits"),
    "dpt": ("dpt", "depth-estimation", "predicted_depth"),
    "depth_anything": ("depth-anything-v2", "depth-estimation", "predicted_depth"),
}
"""Architecture, task and heads of the networks that `torch.jit.trace` takes."""


def traced(folder: Path, name: str, network: Any, processor: Any) -> Any:
    """The model of a TorchScript archive of `network`, in a package that says how `processor` prepares images."""
    architecture, task, *heads = TRACED[name]
    pixels = processor(images=Image.fromarray(photograph()), return_tensors="pt")["pixel_values"]
    torch_graphs.save_archive(Heads(network, *heads), folder / "weights.torchscript", example=pixels.shape)
    prepared = torch_graphs.network_input(
        tuple(pixels.shape[2:]),
        antialias=True,
        interpolation={2: "linear", 3: "cubic"}[int(processor.resample)],
        normalization=[processor.image_mean, processor.image_std] if processor.do_normalize else None,
    )
    described = {"model_architecture": architecture, "task_type": task, "backend_type": "torch-script"}
    suits = {"classification": {"post_processing": {"type": "softmax", "fused": False}}}.get(task, {})
    torch_graphs.describe_package(
        folder, names=list(LABELS.values()), inference={"network_input": prepared, **suits}, **described
    )
    return AutoModel.from_pretrained(folder, arrays="numpy", **torch_graphs.consent(folder))


def models(folder: Path, name: str, network: Any, processor: Any) -> Iterator[Any]:
    """What loads the saved folder, and an archive of the same network where it can be traced."""
    yield AutoModel.from_pretrained(str(folder), arrays="numpy")
    if name in TRACED:
        yield traced(folder / "traced", name, network, processor)


def theirs(network: Any, processor: Any, image: NumpyArray) -> Any:
    inputs = processor(images=Image.fromarray(image), return_tensors="pt")
    with torch.no_grad():
        return network(**inputs)


def classifiers() -> dict[str, Callable[[], tuple[Any, Any]]]:
    t, labels = transformers, {"id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()}}
    return {
        "vit": lambda: (
            t.ViTForImageClassification(t.ViTConfig(**VIT, image_size=32, patch_size=8, **labels)),
            t.ViTImageProcessor(size={"height": 32, "width": 32}),
        ),
        "resnet": lambda: (
            t.ResNetForImageClassification(t.ResNetConfig(**RESNET, **labels)),
            t.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875),
        ),
        "convnext": lambda: (
            t.ConvNextForImageClassification(
                t.ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], **labels)
            ),
            t.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875),
        ),
        "mobilenet_v2": lambda: (
            t.MobileNetV2ForImageClassification(t.MobileNetV2Config(depth_multiplier=0.1, image_size=32, **labels)),
            t.MobileNetV2ImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}),
        ),
    }


@pytest.mark.parametrize("name", classifiers())
def test_classifiers_answer_as_transformers_does(tmp_path: Path, name: str) -> None:
    network, processor = classifiers()[name]()
    saved(tmp_path, network, processor)
    image = photograph()
    expected = theirs(network, processor, image).logits.softmax(-1)
    for model in models(tmp_path, name, network, processor):
        found = model(Image.fromarray(image))
        assert model.class_names == list(LABELS.values())
        np.testing.assert_allclose(found.confidence, expected, rtol=0, atol=1e-4)
        swapped = model(Image.fromarray(image[:, :, ::-1]))
        assert np.abs(swapped.confidence - found.confidence).max() > 1e-3


def test_a_classifier_of_several_labels_gives_each_a_score_of_its_own(tmp_path: Path) -> None:
    network, processor = classifiers()["vit"]()
    network.config.problem_type = "multi_label_classification"
    saved(tmp_path, network, processor)
    image = photograph()
    expected = theirs(network, processor, image).logits.sigmoid()[0].numpy()
    (found,) = AutoModel.from_pretrained(str(tmp_path))(Image.fromarray(image), confidence=0.0)
    np.testing.assert_allclose(found.confidence, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_features_of_classifiers_are_what_goes_into_their_last_layer(tmp_path: Path, name: str) -> None:
    network, processor = classifiers()[name]()
    saved(tmp_path, network, processor)
    image = photograph()
    expected = theirs(network, processor, image).logits
    options = {"required_capabilities": ["image_embeddings"], "backend": "hugging-face"}
    model = AutoModel.from_pretrained(str(tmp_path), **options)
    features = model.embed_images(Image.fromarray(image))
    layer = [part for part in network.modules() if isinstance(part, torch.nn.Linear)][-1]
    np.testing.assert_allclose(layer(features).detach(), expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.embed_images(Image.fromarray(image), "logits"), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", detectors())
def test_detectors_answer_as_transformers_does(tmp_path: Path, name: str) -> None:
    network, processor = detectors()[name]()
    saved(tmp_path, network, processor)
    image = photograph()
    outputs = theirs(network, processor, image)
    (everything,) = processor.post_process_object_detection(outputs, 0.0, target_sizes=[image.shape[:2]])
    threshold = float(everything["scores"].sort().values[-9:-7].mean())
    (expected,) = processor.post_process_object_detection(outputs, threshold, target_sizes=[image.shape[:2]])
    corners = expected["boxes"].clamp(min=0).minimum(torch.tensor([120, 90, 120, 90])).numpy()
    visible = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    order = np.argsort(-expected["scores"].numpy()[visible], kind="stable")
    for model in models(tmp_path, name, network, processor):
        (found,) = model(Image.fromarray(image), confidence=threshold)
        assert len(found) == visible.sum() > 0
        np.testing.assert_allclose(found.confidence, expected["scores"].numpy()[visible][order], rtol=0, atol=1e-4)
        np.testing.assert_array_equal(found.class_id, expected["labels"].numpy()[visible][order])
        np.testing.assert_allclose(found.xyxy, corners[visible][order], rtol=0, atol=0.1)


@pytest.mark.parametrize("name", segmenters())
def test_instances_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    network, processor = segmenters()[name]()
    saved(tmp_path, network, processor)
    image = photograph()
    outputs = theirs(network, processor, image)
    find = processor.post_process_instance_segmentation
    (everything,) = find(outputs, 0.0, target_sizes=[image.shape[:2]])
    threshold = float(np.sort([segment["score"] for segment in everything["segments_info"]])[-9:-7].mean())
    (expected,) = find(outputs, threshold, target_sizes=[image.shape[:2]])
    model = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")
    (found,) = model(Image.fromarray(image), confidence=threshold, masks="dense")
    found = found[found.mask.any((1, 2))]
    segments = expected["segments_info"]
    order = np.argsort([-segment["score"] for segment in segments], kind="stable")
    assert len(segments) >= 5
    np.testing.assert_allclose(found.confidence, [segments[row]["score"] for row in order], rtol=0, atol=1e-4)
    assert found.class_id.tolist() == [segments[row]["label_id"] for row in order]
    masks = np.asarray(expected["segmentation"])[order] > 0
    both, either = (found.mask & masks).sum((1, 2)), (found.mask | masks).sum((1, 2))
    assert (both / either).min() >= 0.999


def painted(found: InstanceDetections, segments: list[dict[str, Any]], order: NumpyArray) -> NumpyArray:
    """(H, W): the number of its segment for each pixel, as Transformers puts masks above each other; -1: none."""
    numbers = np.full(found.mask.shape[1:], -1)
    for row in np.argsort(order):
        numbers[found.mask[row]] = segments[order[row]]["id"]
    return numbers


@pytest.mark.parametrize("name", mask_transformers())
def test_mask_transformers_do_three_tasks_as_transformers_does(tmp_path: Path, name: str) -> None:
    network, processor = mask_transformers()[name]()
    saved(tmp_path, network, processor)
    image, picture = photograph(), Image.fromarray(photograph())
    outputs, size = theirs(network, processor, image), {"target_sizes": [image.shape[:2]]}
    for task in ("instance", "panoptic"):
        find = getattr(processor, f"post_process_{task}_segmentation")
        shares = outputs.class_queries_logits.softmax(-1)[0]
        sure = shares.max(-1).values[shares.argmax(-1) < len(LABELS)].sort().values.numpy()
        threshold = float(sure[-3:-1].mean()) if task == "panoptic" else 0.2
        (expected,) = find(outputs, threshold=threshold, **size)
        segments = expected["segments_info"]
        order = np.argsort([-segment["score"] for segment in segments], kind="stable")
        model = AutoModel.from_pretrained(str(tmp_path), task_type=f"{task}-segmentation", arrays="numpy")
        (found,) = model(picture, confidence=threshold, masks="dense")
        assert len(segments) > 0, task
        np.testing.assert_allclose(found.confidence, [segments[row]["score"] for row in order], rtol=0, atol=1e-4)
        assert found.class_id.tolist() == [segments[row]["label_id"] for row in order]
        numbers = np.where(
            np.isin(expected["segmentation"], [each["id"] for each in segments]), expected["segmentation"], -1
        )
        assert (painted(found, segments, order) != numbers).mean() < 1e-3, task
        rows, columns = found.mask.any(2), found.mask.any(1)
        edges = [[across.argmax(), down.argmax()] for across, down in zip(columns, rows, strict=True)]
        np.testing.assert_array_equal(found.xyxy[:, :2], edges)
    find = processor.post_process_semantic_segmentation
    (expected,) = find(outputs, return_segmentation_scores=True, **size)
    model = AutoModel.from_pretrained(str(tmp_path), task_type="semantic-segmentation", arrays="numpy")
    (regions,) = model(picture)
    if name != "eomt":  # whose own map is that of the padded picture
        assert (regions.segmentation_map != expected.segmentation.numpy()).mean() < 1e-3
        scores = expected.segmentation_scores.max(0).values
        np.testing.assert_allclose(regions.confidence, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", pose_estimators())
def test_key_points_in_given_boxes_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    network, processor = pose_estimators()[name]()
    image, boxes = photograph(), [[10.0, 5.0, 60.0, 80.0], [40.0, 20.0, 70.0, 30.0]]  # x y and sides
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    network.eval().save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    inputs = processor(Image.fromarray(image), boxes=[boxes], return_tensors="pt")
    further = {"dataset_index": torch.tensor([0, 0])} if name == "vitpose_plus" else {}
    with torch.no_grad():
        outputs = network(**inputs, **further)
    (expected,) = processor.post_process_pose_estimation(outputs, boxes=[boxes])
    model = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")
    corners = [[x, y, x + width, y + height] for x, y, width, height in boxes]
    ((points,), (found,)) = model(Image.fromarray(image), boxes=[corners], key_points_threshold=0.0)
    assert model.key_points_classes == [[f"point {number}" for number in range(5)]]
    np.testing.assert_allclose(found.xyxy, corners)
    scores = np.stack([each["scores"] for each in expected])
    sure = scores > 1e-3
    assert sure.sum() > 3
    np.testing.assert_allclose(points.confidence[sure], scores[sure], rtol=1e-3)  # up to 160: untrained
    places = np.stack([each["keypoints"] for each in expected])
    np.testing.assert_allclose(points.xy[sure], places[sure], rtol=0, atol=0.1)


@pytest.mark.parametrize("name", semantic_segmenters())
def test_semantic_segmentation_gives_the_classes_that_transformers_gives(tmp_path: Path, name: str) -> None:
    network, processor = semantic_segmenters()[name]()
    saved(tmp_path, network, processor)
    image = photograph()
    outputs = theirs(network, processor, image)
    for model in models(tmp_path, name, network, processor):
        (found,) = model(Image.fromarray(image))
        _, (way,) = model.pre_process(Image.fromarray(image))
        rows, columns = way.seen(1)[1], way.seen(0)[1]  # of a centre crop, which Transformers stretches to the picture
        size = (rows.stop - rows.start, columns.stop - columns.start)
        (expected,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[size])
        assert len(np.unique(expected)) > 1
        assert (found.segmentation_map[rows, columns] != expected.numpy()).mean() < 1e-3


@pytest.mark.parametrize("name", depth_estimators())
def test_depth_is_that_of_transformers(tmp_path: Path, name: str) -> None:
    network, processor = depth_estimators()[name]()
    saved(tmp_path, network, processor)
    image = photograph()
    outputs = theirs(network, processor, image)
    if name == "zoedepth":  # its own post-processing calls torchvision's resize
        margins = [math.floor(3 * math.sqrt(side / 2)) for side in image.shape[:2]]
        sizes = [side + 2 * margin for side, margin in zip(image.shape, margins, strict=False)]
        whole = torch.nn.functional.interpolate(outputs.predicted_depth[None], sizes, mode="bicubic")[0, 0]
        depth = whole[margins[0] : -margins[0], margins[1] : -margins[1]].numpy()
    else:
        (expected,) = processor.post_process_depth_estimation(outputs, target_sizes=[image.shape[:2]])
        depth = expected["predicted_depth"].numpy()
    assert np.ptp(depth) > 1e-2 * np.abs(depth).max()
    for model in models(tmp_path, name, network, processor):
        (found,) = model(Image.fromarray(image))
        np.testing.assert_allclose(found, depth, rtol=0, atol=1e-4 * np.abs(depth).max())


def test_exports_beside_the_weights_are_further_packages_of_the_model(tmp_path: Path) -> None:
    network, processor = classifiers()["vit"]()
    saved(tmp_path, network, processor)
    (tmp_path / "onnx").mkdir()
    torch_graphs.save_onnx(Heads(network, "logits"), tmp_path / "onnx" / "model.onnx", (32, 32))
    openvino = import_openvino()
    converted = openvino.Core().read_model(str(tmp_path / "onnx" / "model.onnx"))
    openvino.save_model(converted, str(tmp_path / "openvino" / "openvino_model.xml"), compress_to_fp16=False)
    image = Image.fromarray(photograph())
    answers = {
        package: AutoModel.from_pretrained(str(tmp_path), model_package_id=package, arrays="numpy")(image).confidence
        for package in ("safetensors", "onnxfp32", "openvinofp32")
    }
    assert AutoModel.from_pretrained(str(tmp_path)).resolved_model.model_package_id == "onnxfp32"
    for answer in answers.values():  # onnxruntime 1.32 and openvino 2026.4 against torch 2.13
        np.testing.assert_allclose(answer, answers["safetensors"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"config.json": "{}"}, "is not complete"),
        ({"config.json": "[]"}, "config.json"),
        ({"config.json": "{}", "model.safetensors": "x" * 20}, "model.safetensors"),
    ],
)
def test_a_folder_without_usable_weights_says_what_is_missing(
    tmp_path: Path, content: dict[str, str], said: str
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelLoadingError, match=said):
        AutoModel.from_pretrained(str(tmp_path))


def test_weights_of_the_hub_answer_as_the_folder_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, image = tmp_path / "vit", Image.fromarray(photograph())
    saved(folder, *classifiers()["vit"]())
    repository = Repository({path.name: path.read_bytes() for path in folder.iterdir()}, dtypes={"F32": 1})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with served_hub({"acme/vit": repository}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url())
        model = AutoModel.from_pretrained("huggingface:acme/vit", arrays="numpy")
    assert model.resolved_model.backend == "hugging-face"
    expected = AutoModel.from_pretrained(str(folder), arrays="numpy")(image).confidence
    np.testing.assert_array_equal(model(image).confidence, expected)


@pytest.mark.parametrize("task", ["classification", "multi-label-classification"])
def test_a_package_of_a_backbone_and_a_layer_answers(tmp_path: Path, task: str) -> None:
    backbone = transformers.ViTModel(
        transformers.ViTConfig(**VIT, image_size=32, patch_size=8), add_pooling_layer=False
    )
    layer = torch.nn.Linear(16, 3)
    backbone.eval().save_pretrained(tmp_path / "vit")
    torch.save(layer.state_dict(), tmp_path / "classifier_layer_weights.pth")
    activation = "softmax" if task == "classification" else "sigmoid"
    torch_graphs.describe_package(
        tmp_path,
        names=list(LABELS.values()),
        inference={
            "network_input": torch_graphs.network_input((32, 32)),
            "post_processing": {"type": activation, "fused": False},
        },
        model_architecture="vit",
        task_type=task,
        backend_type="hugging-face",
    )
    image = photograph(32, 32)
    inputs = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        logits = layer(backbone(inputs).last_hidden_state[:, 0])
    expected = logits.softmax(-1)[0] if task == "classification" else logits.sigmoid()[0]
    answer = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")(Image.fromarray(image))
    found = answer.confidence[0] if task == "classification" else answer[0].confidence
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)

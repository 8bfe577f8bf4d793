"""The whole way: an id or a path in, predictions in pixels of the photograph out."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

import graphs
from inference_models import AutoModel, ClassificationModel, Detections, LoadOptions, ObjectDetectionModel
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    DirectLocalStorageAccessError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelRuntimeError,
    NoCompatiblePackageError,
    UnknownOptionError,
)
from inference_models.options import MOST_THREADS, SWITCHES
from inference_models.package.class_names import NAMES_FIX
from inference_models.package.code import code_digest
from inference_models.tasks.object_detection import GraphDetector

PHOTO = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
NAMES = ["cat", "dog"]
ROWS = np.zeros((1, 6, 9), np.float32)
ROWS[0, :, 0] = [32, 32, 16, 8, 0.9, 0.1]
ROWS[0, :, 1] = [16, 16, 8, 8, 0.2, 0.7]
EXPECTED = [[192, 224, 320, 288], [96, 96, 160, 160]]
"""The two boxes of ROWS in a 512x512 photograph, whose letterbox in 64x64 has no padding."""


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": ROWS})


def load(path: Path, **options: object) -> GraphDetector:
    model = AutoModel.from_pretrained(path, labels=NAMES, model_type="yolov8", **options)
    assert isinstance(model, GraphDetector)
    return model


def package_folder(folder: Path, *, config: dict[str, object] | None = None, **model_config: object) -> Path:
    graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": ROWS})
    (folder / "class_names.txt").write_text("\n".join(NAMES))
    stated = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx", **model_config}
    (folder / "model_config.json").write_text(json.dumps(stated))
    network = {
        "training_input_size": {"height": 64, "width": 64},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "letterbox",
        "input_channels": 3,
        "scaling_factor": 255,
    }
    stated_config = {"network_input": network, "post_processing": {"type": "nms", "fused": False}, **(config or {})}
    (folder / "inference_config.json").write_text(json.dumps(stated_config))
    return folder


class TestOneImageOrMany:
    def test_one_image_gives_a_list_of_one(self, detector: Path) -> None:
        (detections,) = load(detector)(cv2.imread(str(PHOTO)))
        assert isinstance(detections, Detections)
        np.testing.assert_allclose(detections.xyxy, EXPECTED, atol=1e-3)
        np.testing.assert_array_equal(detections.class_id, [0, 1])
        np.testing.assert_allclose(detections.confidence, [0.9, 0.7], atol=1e-6)
        assert (detections.xyxy.dtype, detections.class_id.dtype, detections.confidence.dtype) == (
            np.float32,
            np.int32,
            np.float32,
        )
        assert list(detections.class_names or []) == NAMES

    def test_every_way_to_name_an_image_gives_the_same_answer(self, detector: Path) -> None:
        pil = pytest.importorskip("PIL.Image")
        image = cv2.imread(str(PHOTO))
        model = load(detector)
        (expected,) = model(image)
        with pil.open(PHOTO) as opened:
            ways = [str(PHOTO), PHOTO, PHOTO.read_bytes(), opened.copy()]
        for answer in model(ways):
            np.testing.assert_allclose(answer.xyxy, expected.xyxy, atol=1e-3)

    def test_a_long_list_of_mixed_sizes_gives_one_answer_each_in_order(self, detector: Path) -> None:
        image = cv2.imread(str(PHOTO))
        images = [cv2.resize(image, (64 * width, 64 * width)) for width in range(1, 20)]
        answers = load(detector)(images)
        for factor, answer in zip(range(1, 20), answers, strict=True):
            np.testing.assert_allclose(answer.xyxy, np.multiply(EXPECTED, factor / 8), rtol=1e-4, atol=1e-3)

    def test_boxes_are_clamped_to_the_image(self, tmp_path: Path) -> None:
        rows = np.zeros((1, 6, 9), np.float32)
        rows[0, :, 0] = [60, 4, 40, 40, 0.9, 0]
        path = graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": rows})
        (detections,) = load(path)(np.zeros((100, 200, 3), np.uint8))
        height, width = 100, 200
        assert (detections.xyxy >= 0).all()
        assert (detections.xyxy <= [width, height, width, height]).all()

    @pytest.mark.parametrize("final", [False, True], ids=["raw", "suppressed in the graph"])
    def test_a_box_in_the_padding_neither_suppresses_a_visible_one_nor_takes_its_place(
        self, tmp_path: Path, final: bool
    ) -> None:
        # 100 x 200 pixels lie in rows 16 to 48 of the network; the first two boxes end above them.
        corners = [[0, 0, 40, 15], [8, 2, 40, 16], [8, 4, 40, 17], [0, 20, 10, 20], [0, 20, 10, 40]]
        rows = np.array([[*box, 0.9 - number / 10, 0] for number, box in enumerate(corners)], np.float32)
        if not final:
            centres, sizes = (rows[:, :2] + rows[:, 2:4]) / 2, rows[:, 2:4] - rows[:, :2]
            rows = np.concatenate([centres, sizes, rows[:, 4:]], 1).T
        path = graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": rows[None]})
        model, image = load(path), np.zeros((100, 200, 3), np.uint8)
        (detections,) = model(image, max_detections=1)
        np.testing.assert_allclose(detections.xyxy, [[25, 0, 125, 3.125]], atol=1e-3)
        np.testing.assert_allclose(model(image)[0].confidence, [0.7, 0.5], atol=1e-6)

    def test_nothing_found_keeps_shapes_types_and_names(self, detector: Path) -> None:
        (detections,) = load(detector)(PHOTO, confidence=1.0)
        assert detections.xyxy.shape == (0, 4)
        assert (detections.xyxy.dtype, detections.class_id.dtype) == (np.float32, np.int32)
        assert list(detections.class_names or []) == NAMES

    def test_the_three_stages_one_by_one_give_what_the_call_gives(self, detector: Path) -> None:
        model = load(detector)
        inputs, meta = model.pre_process([PHOTO, PHOTO], confidence=0.8)
        raw = model.forward(inputs, confidence=0.8)
        assert model.post_process(raw, meta, confidence=0.8) == model([PHOTO, PHOTO], confidence=0.8)


class TestOptions:
    def test_a_misspelt_option_names_the_nearest(self, detector: Path) -> None:
        with pytest.raises(UnknownOptionError) as caught:
            load(detector)(PHOTO, confidnce=0.5)
        assert str(caught.value) == f"model {str(detector)!r} has no option 'confidnce'; nearest: 'confidence'."

    def test_a_misspelt_load_option_names_the_nearest(self, detector: Path) -> None:
        with pytest.raises(UnknownOptionError) as caught:
            AutoModel.from_pretrained(detector, lables=NAMES)
        assert str(caught.value) == "AutoModel.from_pretrained has no option 'lables'; nearest: 'labels'."
        with pytest.raises(UnknownOptionError, match=r"^AutoModel.from_pretrained has no option 'zzz'\.\nhelp\("):
            AutoModel.from_pretrained(detector, zzz=1)

    def test_an_option_of_the_load_is_told_in_a_call(self, detector: Path) -> None:
        with pytest.raises(UnknownOptionError, match=r"'device'; it belongs to the load: AutoModel.from_pretrained\("):
            load(detector)(PHOTO, device="cpu")

    @pytest.mark.parametrize(
        ("name", "meant"),
        [("conf", "confidence"), ("threshold", "confidence"), ("iou", "iou_threshold"), ("classes", "class_filter"),
         ("imgsz", "image_size")],
    )  # fmt: skip
    def test_names_of_other_libraries_lead_to_the_option(self, detector: Path, name: str, meant: str) -> None:
        model = load(detector)
        with pytest.raises(UnknownOptionError, match=f"has no option '{name}'; it is called '{meant}'"):
            model(PHOTO, **{name: 1})
        with pytest.raises(UnknownOptionError) as caught:
            load(detector, **{name: 1})
        assert caught.value.fix == f"pass it when you call the model: model(image, {meant}=...)"
        assert "known:" not in str(caught.value)

    @pytest.mark.parametrize("size", ["640", 0, (640,), (1, 2.0), True])
    def test_an_input_size_that_is_none_is_refused(self, detector: Path, size: object) -> None:
        with pytest.raises(InvalidParameterError, match="needs pixels, such as 640, or"):
            load(detector, input_size=size)

    @pytest.mark.parametrize(
        ("thing", "fix"),
        [({"layer.weight": 1}, "export it first: torch.onnx.export("), (b"onnx", "write it to a file")],
    )
    def test_what_is_in_memory_is_written_to_a_file_first(self, thing: object, fix: str) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            AutoModel.from_pretrained(thing)
        assert caught.value.fix is not None
        assert caught.value.fix.startswith(fix)

    @pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "high", True])
    def test_a_confidence_that_makes_no_sense_is_refused(self, detector: Path, value: object) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            load(detector)(PHOTO, confidence=value)
        assert str(caught.value) == (
            f"confidence={value!r} makes no sense.\nneeds a number in [0, 1], 'default' or 'best'; found: {value!r}"
        )

    @pytest.mark.parametrize(("value", "count"), [(0.8, 1), (1, 0), (np.float32(0.8), 1), (None, 2), ("default", 2)])
    def test_any_real_number_is_a_confidence(self, detector: Path, value: object, count: int) -> None:
        assert len(load(detector)(PHOTO, confidence=value)[0]) == count

    def test_best_uses_what_the_package_recommends_per_class(self, tmp_path: Path) -> None:
        recommended = {"confidence": 0.5, "per_class_confidence": {"dog": 0.8}}
        model = AutoModel.from_pretrained(package_folder(tmp_path / "p", recommended_parameters=recommended))
        (detections,) = model(PHOTO, confidence="best")
        assert list(detections.class_id) == [0]

    def test_max_detections_cuts_the_worst(self, detector: Path) -> None:
        model = load(detector)
        assert list(model(PHOTO, max_detections=1)[0].class_id) == [0]
        assert len(model(PHOTO, max_detections=0)[0]) == 0

    def test_only_classes_of_the_filter_are_found(self, detector: Path) -> None:
        model = load(detector)
        everything = model(PHOTO)[0]
        for number, name in enumerate(NAMES):
            expected = everything[everything.class_id == number]
            assert model(PHOTO, class_filter=[name])[0] == expected == model(PHOTO, class_filter=[number])[0]
        assert model(PHOTO, class_filter=NAMES)[0] == everything
        assert len(model(PHOTO, class_filter=[])[0]) == 0

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (["dgo"], r"the model has no class 'dgo'; nearest: 'dog'"),
            ([2], r"no class 2; .*\nneeds names, or ids from 0 to 1; found: 2"),
            ("dog", r"needs a list of class ids or names; found: 'dog'"),
            (1, r"needs a list of class ids or names; found: 1"),
        ],
    )
    def test_a_filter_of_classes_that_are_not_there_is_refused(self, detector: Path, value: object, said: str) -> None:
        with pytest.raises(InvalidParameterError, match=said):
            load(detector)(PHOTO, class_filter=value)

    def test_an_image_size_is_refused_where_the_network_has_one_size(self, detector: Path) -> None:
        with pytest.raises(InvalidParameterError):
            load(detector)(PHOTO, image_size=128)

    def test_options_of_the_public_library_without_effect_here_are_accepted(self, detector: Path) -> None:
        load(detector, use_auto_resolution_cache=False, verify_hash_while_download=True)

    @pytest.mark.parametrize(
        ("option", "value", "needs"),
        [
            ("arrays", "tf", "'numpy', 'torch' or None"),
            ("threads", "2", "a whole number from 1 to {most}, or None"),
            ("threads", 0, "a whole number from 1 to {most}, or None"),
            ("threads", 100_000, "a whole number from 1 to {most}, or None"),
            ("max_package_loading_attempts", -1, "a whole number from 1 on, or None"),
            ("onnx_execution_providers", [], "a list of names, or of (name, options) pairs"),
            ("onnx_execution_providers", "CPUExecutionProvider", "a list of names, or of (name, options) pairs"),
        ],
    )
    def test_load_options_that_make_no_sense_are_refused(
        self, detector: Path, option: str, value: object, needs: str
    ) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            load(detector, **{option: value})
        lines = str(caught.value).splitlines()
        assert lines[:2] == [
            f"{option}={value!r} makes no sense.",
            f"needs {needs.format(most=MOST_THREADS)}; found: {value!r}",
        ]

    @pytest.mark.parametrize("name", SWITCHES)
    def test_a_text_does_not_switch_a_protection_off(self, detector: Path, name: str) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            load(detector, **{name: "no"})
        assert str(caught.value) == f"{name}='no' makes no sense.\nneeds True or False; found: 'no'"

    def test_the_model_shows_what_it_is(self, detector: Path) -> None:
        assert repr(load(detector)) == f"<model {str(detector)!r}: package local, onnx on cpu>"

    def test_a_switch_is_true_or_false(self, detector: Path) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            load(detector)(PHOTO, class_agnostic_nms="no")
        assert str(caught.value) == "class_agnostic_nms='no' makes no sense.\nneeds True or False; found: 'no'"

    def test_forward_takes_the_inputs_alone(self, detector: Path) -> None:
        model = load(detector)
        with pytest.raises(InvalidParameterError) as caught:
            model.forward(model.pre_process(PHOTO))
        assert str(caught.value) == (
            "forward takes network inputs alone.\n"
            "needs the first of the two values that pre_process returns; found: both of them\n"
            "inputs, meta = model.pre_process(images); model.forward(inputs)"
        )

    def test_metadata_of_other_images_is_refused(self, detector: Path) -> None:
        model = load(detector)
        inputs, meta = model.pre_process([PHOTO, PHOTO])
        with pytest.raises(InvalidParameterError) as caught:
            model.post_process(model.forward(inputs), meta[:1])
        assert str(caught.value) == (
            "raw outputs and metadata are not of the same images.\nneeds metadata of 2 images; found: metadata of 1"
        )

    def test_options_may_come_as_one_value(self, detector: Path) -> None:
        options = LoadOptions(labels=NAMES, model_type="yolov8")
        assert AutoModel.from_pretrained(detector, options=options).class_names == NAMES


class TestWhatIsLoaded:
    def test_a_package_folder_is_loaded(self, tmp_path: Path) -> None:
        model = AutoModel.from_pretrained(f"local:{package_folder(tmp_path / 'p')}")
        np.testing.assert_allclose(model(PHOTO)[0].xyxy, EXPECTED, atol=1e-3)

    def test_the_class_of_a_task_loads_its_models_and_no_others(self, tmp_path: Path) -> None:
        folder = str(package_folder(tmp_path / "p"))
        assert ObjectDetectionModel.from_pretrained(folder).class_names == NAMES
        with pytest.raises(InvalidParameterError, match="needs ClassificationModel; found: ObjectDetectionModel"):
            ClassificationModel.from_pretrained(folder)

    def test_a_code_package_without_a_way_to_make_its_model_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text("from inference_models import ObjectDetectionModel as Mine\n")
        (tmp_path / "model_config.json").write_text('{"model_module": "model.py", "model_class": "Mine"}')
        with pytest.raises(ModelLoadingError, match="needs a class method from_pretrained of its own"):
            AutoModel.from_pretrained(f"local:{tmp_path}", allow_local_code_packages=code_digest(tmp_path))

    def test_ultralytics_metadata_is_enough(self, tmp_path: Path) -> None:
        metadata = {
            "description": "Ultralytics YOLOv8n model trained on coco.yaml",
            "names": "{0: 'cat', 1: 'dog'}",
            "task": "detect",
            "stride": "32",
            "imgsz": "[64, 64]",
        }
        path = graphs.constant_outputs(
            tmp_path / "best.onnx", size=(64, 64), outputs={"output0": ROWS}, metadata=metadata
        )
        model = AutoModel.from_pretrained(path)
        assert model.class_names == NAMES
        np.testing.assert_allclose(model(PHOTO)[0].xyxy, EXPECTED, atol=1e-3)

    def test_a_package_may_say_that_its_boxes_are_parts_of_the_input_size(self, tmp_path: Path) -> None:
        config = {"post_processing": {"type": "nms", "fused": False, "boxes": "normalized"}}
        folder = package_folder(tmp_path, config=config)
        with pytest.raises(CorruptedModelPackageError, match="the boxes of the graph are not parts of the input size"):
            AutoModel.from_pretrained(folder)(PHOTO)
        parts = ROWS.copy()
        parts[:, :4] /= 64
        graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": parts})
        np.testing.assert_allclose(AutoModel.from_pretrained(folder)(PHOTO)[0].xyxy, EXPECTED, atol=1e-3)

    @pytest.mark.parametrize(
        ("layout", "stated", "row", "expected"),
        [
            ("nchw", None, [1, 1, 3, 3], [1, 1, 3, 3]),
            ("nchw", "normalized", [0, 0, 1, 1], [0, 0, 4, 4]),
            ("nhwc", None, [0, 0, 1, 1], [0, 0, 4, 4]),
            ("nhwc", "pixels", [1, 1, 3, 3], [1, 1, 3, 3]),
        ],
    )
    def test_final_rows_of_litert_are_pixels_where_channels_come_first(
        self, tmp_path: Path, layout: str, stated: str | None, row: list[int], expected: list[int]
    ) -> None:
        """As ultralytics 8.4.190 writes them, and as releases did that came by way of TensorFlow."""
        pytest.importorskip("ai_edge_litert")
        import tflite_graphs

        shape = (1, 3, 4, 4) if layout == "nchw" else (1, 4, 4, 3)
        tflite_graphs.rows(tmp_path / "weights.tflite", shape=shape)
        network = {
            "training_input_size": {"height": 4, "width": 4},
            "dynamic_spatial_size_supported": False,
            "color_mode": "rgb",
            "resize_mode": "stretch",
            "input_channels": 3,
            "layout": layout,
        }
        after = {"type": "nms", "fused": True} | ({"boxes": stated} if stated else {})
        config = {"network_input": network, "post_processing": after}
        (tmp_path / "inference_config.json").write_text(json.dumps(config))
        (tmp_path / "class_names.txt").write_text("cat\ndog\n")
        model = {"model_architecture": "yolo26", "task_type": "object-detection", "backend_type": "litert"}
        (tmp_path / "model_config.json").write_text(json.dumps(model))
        numbers = np.zeros(48, np.uint8)
        numbers[:6] = [*row, 1, 1]
        image = numbers.reshape(shape)[0].transpose(1, 2, 0) if layout == "nchw" else numbers.reshape(4, 4, 3)
        (found,) = AutoModel.from_pretrained(tmp_path)(image, input_color_format="rgb")
        np.testing.assert_allclose(found.xyxy, [expected])
        assert found.labels() == ["dog"]

    def test_more_names_than_classes_are_refused_with_both_numbers(self, detector: Path) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            AutoModel.from_pretrained(detector, labels=["a", "b", "c", "d"], model_type="yolov8")
        assert str(caught.value) == (
            "there are 4 names of classes, but output 'output0' has 2.\n"
            "needs 2 names, in the order of training; found: 4: a, b, c, ...\n" + NAMES_FIX
        )

    def test_sizes_that_contradict_each_other_are_refused_with_both(self, tmp_path: Path) -> None:
        folder = package_folder(tmp_path / "p")
        text = (folder / "inference_config.json").read_text().replace('"height": 64', '"height": 96')
        (folder / "inference_config.json").write_text(text)
        with pytest.raises(CorruptedModelPackageError) as caught:
            AutoModel.from_pretrained(folder)
        assert str(caught.value) == (
            "inference_config.json and the graph disagree about the network size.\n"
            "needs 64x64 (height x width), which input 'images' takes; found: 96x64 in training_input_size\n"
            "set network_input.training_input_size to what the graph takes"
        )

    def test_a_post_processing_of_another_task_is_refused(self, tmp_path: Path) -> None:
        folder = package_folder(tmp_path / "p", config={"post_processing": {"type": "softmax", "fused": False}})
        with pytest.raises(CorruptedModelPackageError) as caught:
            AutoModel.from_pretrained(folder)
        assert str(caught.value) == (
            "inference_config.json: post_processing.type does not suit object-detection.\nneeds 'nms'; found: 'softmax'"
        )

    def test_an_unknown_architecture_is_refused_with_the_nearest(self, detector: Path) -> None:
        with pytest.raises(
            NoCompatiblePackageError, match=r"no family handles architecture 'yolov13'; nearest: 'yolov1"
        ):
            AutoModel.from_pretrained(detector, labels=NAMES, model_type="yolov13")

    def test_a_path_may_be_forbidden(self, detector: Path) -> None:
        with pytest.raises(DirectLocalStorageAccessError) as caught:
            load(detector, allow_direct_local_storage_loading=False)
        assert str(caught.value) == (
            f"{str(detector)!r} is a path, and loading from paths was forbidden.\n"
            "needs a model id; found: allow_direct_local_storage_loading=False"
        )

    def test_after_close_calls_are_refused(self, detector: Path) -> None:
        with load(detector) as model:
            model(PHOTO)
        with pytest.raises(ModelRuntimeError, match=r"^the model was closed; load it again to use it.$"):
            model(PHOTO)

    def test_labels_of_the_caller_win_over_those_of_a_folder(self, tmp_path: Path) -> None:
        folder = package_folder(tmp_path / "p")
        (folder / "class_names.txt").unlink()
        assert AutoModel.from_pretrained(folder, labels=["x", "y"]).class_names == ["x", "y"]
        with pytest.raises(MissingModelInitParameterError) as caught:
            AutoModel.from_pretrained(folder)
        assert str(caught.value) == (
            f"model {str(folder)!r} does not say what its classes are called.\n"
            "needs class_names.txt in the package, or labels=; found: neither\n"
            'pass labels="labels.txt" (one name per line), a list of names, or labels="coco"'
        )

    def test_an_architecture_that_contradicts_the_folder_is_refused(self, tmp_path: Path) -> None:
        folder = package_folder(tmp_path / "p")
        with pytest.raises(InvalidParameterError) as caught:
            AutoModel.from_pretrained(folder, model_type="yolov5")
        assert str(caught.value) == (
            f"model_type='yolov5' is not what model {str(folder)!r} is.\n"
            "needs model_type='yolov8'; found: 'yolov5'\n"
            "leave model_type out: the model says it itself"
        )

    def test_a_folder_that_names_no_task_does_what_its_architecture_does(self, tmp_path: Path) -> None:
        folder = package_folder(tmp_path / "p", task_type="object-detection")
        config = json.loads((folder / "model_config.json").read_text())
        del config["task_type"]
        (folder / "model_config.json").write_text(json.dumps(config))
        assert isinstance(AutoModel.from_pretrained(folder), GraphDetector)

    def test_a_class_without_a_name_is_an_error_and_not_a_number(self, tmp_path: Path) -> None:
        rows = np.array([[[0, 0, 10, 10, 0.9, 7]]], np.float32)
        fused = {"post_processing": {"type": "nms", "fused": True}}
        folder = package_folder(tmp_path / "p", config=fused)
        graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": rows})
        model = AutoModel.from_pretrained(folder)
        with pytest.raises(CorruptedModelPackageError) as caught:
            model(PHOTO)
        assert str(caught.value) == (
            f"model {str(folder)!r}: the graph found class 7, which has no name.\n"
            f"needs at least 8 names; found: 2\n{NAMES_FIX}"
        )

    def test_boxes_that_show_nothing_of_the_image_are_left_out(self, tmp_path: Path) -> None:
        rows = np.zeros((1, 6, 9), np.float32)
        rows[0, :, 0] = [32, 2, 10, 3, 0.9, 0]
        rows[0, :, 1] = [32, 32, -8, 8, 0.8, 0]
        rows[0, :, 2] = [32, 32, 8, 8, 0.7, 0]
        path = graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": rows})
        (detections,) = load(path)(np.zeros((100, 200, 3), np.uint8))
        np.testing.assert_allclose(detections.confidence, [0.7], atol=1e-6)

    def test_a_dynamic_export_runs_at_the_size_it_was_exported_for(self, tmp_path: Path) -> None:
        metadata = {"names": "{0: 'cat', 1: 'dog'}", "task": "detect", "stride": "32", "imgsz": "[96, 64]"}
        path = graphs.constant_outputs(
            tmp_path / "best.onnx",
            size=("height", "width"),
            outputs={"output0": ROWS},
            metadata=metadata | {"description": "Ultralytics YOLOv8n model"},
        )
        model = AutoModel.from_pretrained(path)
        assert model.pre_process(PHOTO)[0].shape == (1, 3, 96, 64)
        assert model.pre_process(PHOTO, image_size=(100, 40))[0].shape == (1, 3, 64, 128)

    def test_an_ultralytics_classifier_is_not_activated_twice(self, tmp_path: Path) -> None:
        scores = np.array([[0.7, 0.2, 0.1]], np.float32)
        metadata = {"names": "{0: 'a', 1: 'b', 2: 'c'}", "task": "classify", "description": "Ultralytics YOLOv8n-cls"}
        path = graphs.constant_outputs(
            tmp_path / "best.onnx", size=(320, 320), outputs={"output0": scores}, metadata=metadata
        )
        model = AutoModel.from_pretrained(path)
        assert model.pre_process(PHOTO).shape == (1, 3, 320, 320)
        np.testing.assert_allclose(model(PHOTO).confidence, scores, atol=1e-6)

    def test_a_graph_that_does_not_answer_every_image_is_named(self, tmp_path: Path) -> None:
        path = graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": ROWS}, batch="n")
        import onnx

        graph = onnx.load(path)
        graph.graph.node.extend([onnx.helper.make_node("ReduceMax", ["output0"], ["best"], axes=[0], keepdims=1)])
        del graph.graph.output[:]
        graph.graph.output.extend([onnx.helper.make_tensor_value_info("best", 1, [1, 6, 9])])
        onnx.save(graph, path)
        with pytest.raises(CorruptedModelPackageError) as caught:
            load(path)([PHOTO, PHOTO, PHOTO])
        assert str(caught.value) == (
            "output 'best' does not answer every image of a batch.\n"
            "needs 3 rows for 3 images; found: shape (1, 6, 9)\n"
            "export the graph with a batch of 1, or with a batch that all of it follows"
        )


class TestThreads:
    def test_threads_get_the_answers_of_their_own_images(self, tmp_path: Path) -> None:
        """The graph's score is the mean of the image, so an answer of another image would show."""
        from onnx import helper

        path = graphs.save(
            tmp_path / "mean.onnx",
            [
                helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
                helper.make_node("Reshape", ["mean", "column"], ["score"]),
                helper.make_node("Concat", ["box", "score"], ["output0"], axis=1),
            ],
            inputs={"images": [1, 3, 64, 64]},
            outputs={"output0": [1, 5, 1]},
            weights={
                "column": np.array([1, 1, 1], np.int64),
                "box": np.array([32, 32, 20, 20], np.float32).reshape(1, 4, 1),
            },
        )
        model = AutoModel.from_pretrained(path, labels=["thing"], model_type="yolov8")
        images = {level: np.full((40 + level, 300, 3), level, np.uint8) for level in range(1, 200, 7)}
        alone = {level: model(image, confidence=0)[0] for level, image in images.items()}
        assert len({float(answer.confidence[0]) for answer in alone.values()}) == len(images)

        def check(level: int) -> bool:
            return model(images[level], confidence=0)[0] == alone[level]

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(check, list(images) * 20))


SECRET = "3c4f0a9d7e"
IN_ADDRESSES = ("project/3?api_key={}", "o/n?x=1&access_token={}", "./a?api_key={}", "m?my.secret={}")
IN_URLS = ("s3://b/k?sig={}", "hf://o/n?token={}", "https://u:{}@h.example/m.onnx", "https://{}@h.example/a/m.onnx")


@pytest.mark.parametrize("address", [*IN_ADDRESSES, *IN_URLS])
@pytest.mark.parametrize("options", [{}, {"weights_provider": "roboflow"}], ids=["alone", "roboflow"])
def test_an_error_does_not_tell_the_secrets_of_an_address(
    address: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BaseInferenceModelsError) as caught:
        AutoModel.from_pretrained(address.format(SECRET), **options)
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.args}"


class TestNames:
    def test_an_unknown_id_names_the_nearest(self) -> None:
        with pytest.raises(ModelNotFoundError) as caught:
            AutoModel.from_pretrained("centreface")
        assert str(caught.value) == (
            "no model 'centreface' in the open catalogue; nearest: 'centerface', 'centerface-landmarks'.\n"
            "inference-models list shows them all; of your own weights name the file, such as ./best.onnx; "
            "for the hosted API write 'roboflow:centreface'"
        )

    @pytest.mark.parametrize(
        ("text", "fix"),
        [
            ("hf:owner/name", "write 'huggingface:owner/name'"),
            ("owner/name", "for the Hugging Face Hub write 'huggingface:owner/name', for the hosted API 'roboflow:"),
        ],
    )
    def test_an_id_that_looks_like_one_of_a_provider_is_told_how_to_write_it(self, text: str, fix: str) -> None:
        with pytest.raises(ModelNotFoundError) as caught:
            AutoModel.from_pretrained(text)
        assert caught.value.fix.startswith(fix)

    def test_a_folder_named_like_a_model_is_never_taken_by_mistake(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "centerface").mkdir()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InvalidParameterError) as caught:
            AutoModel.from_pretrained("centerface")
        assert str(caught.value) == (
            "'centerface' is a model of the open catalogue and also a path here; "
            "write 'wheel:centerface' or 'local:centerface'."
        )

    def test_a_folder_without_the_looks_of_a_path_is_loaded_unless_it_may_be_a_model_of_the_hosted_api(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package_folder(tmp_path / "runs" / "best")
        monkeypatch.chdir(tmp_path)
        spellings = ("local:runs/best", "./runs/best", "runs/best/", Path("runs/best"))
        for spelling in ("runs/best", *spellings):
            assert AutoModel.from_pretrained(spelling).class_names == NAMES
        monkeypatch.setenv("ROBOFLOW_API_KEY", "k")
        with pytest.raises(InvalidParameterError) as caught:
            AutoModel.from_pretrained("runs/best")
        assert str(caught.value) == (
            "'runs/best' may be a model of the hosted API and is also a path here; "
            "write 'roboflow:runs/best' or 'local:runs/best'."
        )
        for spelling in spellings:
            assert AutoModel.from_pretrained(spelling).class_names == NAMES

    def test_no_path_goes_to_the_network_whatever_provider_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package_folder(tmp_path / "runs" / "best")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ROBOFLOW_API_HOST", "http://127.0.0.1:9")
        for spelling in ("runs/best", "./runs/best", Path("runs/best"), str(tmp_path / "runs" / "best")):
            assert AutoModel.from_pretrained(spelling, weights_provider="roboflow").class_names == NAMES
        assert AutoModel.from_pretrained("./runs/best", weights_provider="huggingface").class_names == NAMES
        for missing in ("./runs/worst", "runs/worst.onnx", "roboflow:./runs/worst"):
            with pytest.raises(ModelNotFoundError, match="there is no file or folder"):
                AutoModel.from_pretrained(missing, weights_provider="roboflow")

    @pytest.mark.parametrize("text", ["", "  ", "a\0b", None, 5])
    def test_what_is_no_id_is_refused(self, text: object) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            AutoModel.from_pretrained(text)
        assert str(caught.value) == (
            f"{text!r} is no model id.\nneeds a model id or a path; found: {text!r}\n"
            'pass for example "centerface", or the path of a file: "./best.onnx"'
        )

"""`inference_config.json`: pre-processing, batch limits and post-processing of a package as frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct, field

from inference_models.package.preprocess_spec import (
    MAX_SIDE,
    WITH_RESIZED,
    Contrast,
    DynamicSize,
    Interpolation,
    PreprocessSpec,
    ResizeMode,
    StaticCrop,
)
from inference_models.package.text_files import convert, parse_json_object, wrong_value
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference_models.arrays import Shape
    from inference_models.package.preprocess_spec import Size

FILE_NAME = "inference_config.json"
_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Count = Annotated[int, Meta(ge=1)]
_Whole = Annotated[int, Meta(ge=0, le=10_000)]
_Grey = Annotated[int, Meta(ge=0, le=255)]
_Grays = Annotated[list[_Grey], Meta(min_length=3, max_length=3)]
"""No tuple: beside a number with bounds msgspec 0.22 ends the process when the garbage is collected."""
_Percent = Annotated[int, Meta(ge=0, le=100)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_AboveZero = Annotated[float, Meta(gt=0)]
_STRETCHED = "rgb-stretch-bilinear-imagenet-v1"
_ANOMALY_NAMES = ["normal", "anomalous"]


class ForwardPass(Record, frozen=True):
    """How many images one run takes."""

    static_batch_size: _Count | None = None
    max_dynamic_batch_size: _Count | None = None


class NmsParameters(Record, frozen=True):
    """What a graph with fused non-maximum suppression was exported with; never defaults of ours."""

    max_detections: _Count
    confidence_threshold: _Share
    iou_threshold: _Share
    class_agnostic: bool


class PostProcessing(Record, frozen=True):
    """What the outputs still need."""

    type: Literal["nms", "softmax", "sigmoid"]
    fused: bool
    """Whether the graph does it already."""
    nms_parameters: NmsParameters | None = None
    boxes: Literal["pixels", "normalized"] | None = None
    """Unit of the boxes in the outputs: network pixels, or parts of the input size. None: what its exporter writes."""


class KeyPointSlots(Record, frozen=True):
    """Which outputs of a head for crops are the key points of one class."""

    name: str
    offset: _Whole
    count: _Whole


class TopDown(Record, frozen=True):
    """How crops for key points are cut out of pictures."""

    context_padding: _AboveZero
    """Sides of the window as parts of those of the box."""
    preserve_aspect: bool
    """Whether the window has the shape of the network input; else it is the box, in whole pixels."""
    udp: bool
    """Whether the window reaches from the centre of the first pixel of the crop to that of the last."""
    keypoint_classes: list[KeyPointSlots]
    exact: bool = False
    """Whether values are those between the pixels, none of which lie outside; else OpenCV's, in steps of 1/32 pixel."""


class Calibration(Record, frozen=True):
    """What scores of anomalies mean: sigmoid((score - threshold) / scale) is how sure it is that there is one."""

    threshold: float
    scale: _AboveZero


class InferenceConfig(Record, frozen=True, kw_only=True):
    """Everything `inference_config.json` says."""

    preprocess: PreprocessSpec
    forward_pass: ForwardPass = field(default_factory=ForwardPass)
    post_processing: PostProcessing | None = None
    removed_class_names: tuple[str, ...] = ()
    """Names the training platform removed; for architectures that number classes without them."""
    model_initialization: Mapping[str, Any] | None = None
    """Options of the architecture."""
    free_input_dims: Mapping[str, Shape] = field(default_factory=dict)
    """Input shapes that replace those stored in the graph."""
    dataset_size: Size | None = None
    """(height, width) the data set was resized to before training; a few families resize in two steps."""
    top_down: TopDown | None = None
    """Only of heads that look at crops."""
    calibration: Calibration | None = None
    """Only of detectors of anomalies."""


class _Size(Struct):
    height: _Side
    width: _Side


class _Step(Struct):
    enabled: bool


class _StaticCrop(_Step):
    x_min: _Percent
    x_max: _Percent
    y_min: _Percent
    y_max: _Percent


class _Contrast(_Step):
    type: Contrast


class _ImageSteps(Struct, rename={"static_crop": "static-crop"}):
    static_crop: _StaticCrop | None = None
    contrast: _Contrast | None = None
    grayscale: _Step | None = None


class _DynamicMode(Struct):
    type: Literal["pad-to-be-divisible", "any-size"]
    value: _Side | None = None


class _NetworkInput(Struct, kw_only=True):
    training_input_size: _Size | None = None
    dataset_version_resize_dimensions: _Size | None = None
    dynamic_spatial_size_supported: bool
    dynamic_spatial_size_mode: _DynamicMode | None = None
    color_mode: Literal["rgb", "bgr"]
    resize_mode: ResizeMode
    padding_value: _Grey | _Grays | None = None
    input_channels: Literal[1, 3]
    scaling_factor: _AboveZero | None = None
    normalization: tuple[list[float], list[_AboveZero]] | None = None
    interpolation: Interpolation = "linear"
    antialias: bool = False
    as_float: bool = False
    margin: bool = False
    pad_at: Literal["both", "end"] = "both"
    center_as: Literal["torchvision", "transformers"] = "torchvision"
    shorter_edge: _Side | None = None
    resized: _Size | None = None
    layout: Literal["nchw", "nhwc"] = "nchw"


class _ClassNameRemoval(Struct):
    type: Literal["class_name_removal"]
    class_name: str


class _Config(Struct):
    network_input: _NetworkInput
    image_pre_processing: _ImageSteps | None = None
    forward_pass: ForwardPass | None = None
    post_processing: PostProcessing | None = None
    model_initialization: dict[str, Any] | None = None
    class_names_operations: list[_ClassNameRemoval] | None = None
    free_input_dims: dict[str, list[_Count | None]] | None = None
    top_down: TopDown | None = None


class _Anomalies(Struct):
    """What the platform writes for detectors of anomalies, which is no `_Config`."""

    schema_version: Literal[1, 2]
    config: dict[str, Any]
    calibration: Calibration
    class_names: list[str]
    preprocessing: Any


def parse_inference_config(text: str, *, where: str = FILE_NAME) -> InferenceConfig:
    """The configuration in `text`. Unknown keys are ignored.

    Raises:
        CorruptedModelPackageError: names the file, the path of the wrong value, and what belongs there.
    """
    read = parse_json_object(text, where=where)
    if "calibration" in read and "network_input" not in read:
        return _of_anomalies(convert(_Anomalies, read, where=where), where)
    stated = convert(_Config, read, where=where)
    network, steps = stated.network_input, stated.image_pre_processing or _ImageSteps()
    for path, needs, found in _contradictions(network, steps):
        raise wrong_value(where, path, needs, found)
    return InferenceConfig(
        preprocess=_preprocess(network, steps),
        forward_pass=stated.forward_pass or ForwardPass(),
        post_processing=stated.post_processing,
        removed_class_names=tuple(step.class_name for step in stated.class_names_operations or ()),
        model_initialization=stated.model_initialization,
        free_input_dims={name: tuple(shape) for name, shape in (stated.free_input_dims or {}).items()},
        dataset_size=_size(network.dataset_version_resize_dimensions),
        top_down=stated.top_down,
    )


def _of_anomalies(stated: _Anomalies, where: str) -> InferenceConfig:
    side = stated.config.get("image_size")
    if not isinstance(side, int) or not 32 <= side <= 1024:
        raise wrong_value(where, "config.image_size", "32 to 1024 pixels", side)
    if stated.preprocessing != _STRETCHED:
        raise wrong_value(where, "preprocessing", f"{_STRETCHED!r}: no detour over JPEG", stated.preprocessing)
    if stated.class_names != _ANOMALY_NAMES:
        raise wrong_value(where, "class_names", " and ".join(_ANOMALY_NAMES), stated.class_names)
    spec = PreprocessSpec(
        size=(side, side), antialias=True, scaling_factor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    return InferenceConfig(preprocess=spec, model_initialization=stated.config, calibration=stated.calibration)


def _contradictions(network: _NetworkInput, steps: _ImageSteps) -> Iterator[tuple[str, str, object]]:
    """(path, what is needed, what was found) of values that are possible alone and not together."""
    crop, mode = steps.static_crop, network.dynamic_spatial_size_mode
    if crop and crop.enabled and not (crop.x_min < crop.x_max and crop.y_min < crop.y_max):
        found = [crop.x_min, crop.x_max, crop.y_min, crop.y_max]
        yield "image_pre_processing.static-crop", "x_min < x_max and y_min < y_max", found
    for index, values in enumerate(network.normalization or ()):
        if len(values) not in {1, network.input_channels}:
            needs = "1 or 3 numbers" if network.input_channels == 3 else "1 number"
            yield f"network_input.normalization[{index}]", needs, values
    if mode and mode.type == "pad-to-be-divisible" and mode.value is None:
        yield "network_input.dynamic_spatial_size_mode.value", "a number of pixels to pad to", None
    any_size = network.dynamic_spatial_size_supported and mode is not None and mode.type == "any-size"
    if network.training_input_size is None and not any_size and network.resize_mode is not ResizeMode.WHOLE_MULTIPLES:
        needs = "a height and width, unless dynamic_spatial_size_mode is any-size"
        yield "network_input.training_input_size", needs, None
    if network.interpolation == "hamming" and not network.antialias:
        yield "network_input.interpolation", "antialias true with hamming", network.interpolation
    for key, modes in (("shorter_edge", {ResizeMode.SHORTER_EDGE_CROP}), ("resized", WITH_RESIZED)):
        if (network.resize_mode in modes) != (getattr(network, key) is not None):
            needs = f"{key} exactly when resize_mode is {' or '.join(sorted(mode.value for mode in modes))}"
            yield f"network_input.{key}", needs, getattr(network, key)


def _preprocess(network: _NetworkInput, steps: _ImageSteps) -> PreprocessSpec:
    mean, std = network.normalization or (None, None)
    crop = steps.static_crop if steps.static_crop and steps.static_crop.enabled else None
    return PreprocessSpec(
        size=_size(network.training_input_size),
        color=network.color_mode,
        channels=network.input_channels,
        resize=network.resize_mode,
        interpolation=network.interpolation,
        antialias=network.antialias,
        as_float=network.as_float,
        margin=network.margin,
        pad_value=_pad_value(network.padding_value),
        pad_at=network.pad_at,
        center_as=network.center_as,
        shorter_edge=network.shorter_edge,
        resized=_size(network.resized),
        scaling_factor=network.scaling_factor,
        mean=_per_channel(mean),
        std=_per_channel(std),
        static_crop=StaticCrop(x_min=crop.x_min, x_max=crop.x_max, y_min=crop.y_min, y_max=crop.y_max)
        if crop
        else None,
        grayscale=bool(steps.grayscale and steps.grayscale.enabled),
        contrast=steps.contrast.type if steps.contrast and steps.contrast.enabled else None,
        dynamic=_dynamic_size(network),
        layout=network.layout,
    )


def _size(stated: _Size | None) -> Size | None:
    return (stated.height, stated.width) if stated else None


def _pad_value(stated: int | list[int] | None) -> int | tuple[int, int, int]:
    if isinstance(stated, list):
        first, second, third = stated
        return first, second, third
    return stated or 0


def _per_channel(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values) * (3 // len(values))


def _dynamic_size(network: _NetworkInput) -> DynamicSize | None:
    if not network.dynamic_spatial_size_supported:
        return None
    mode = network.dynamic_spatial_size_mode
    return DynamicSize(multiple=mode.value if mode and mode.type == "pad-to-be-divisible" and mode.value else 1)

"""`inference_config.json`: pre-processing, batch limits and post-processing of a package as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from inference_models.package.inference_schema import (
    WireActivation,
    WireImagePreProcessing,
    WireInferenceConfig,
    WireNetworkInput,
    WireNms,
    WirePadToBeDivisible,
)
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, StaticCrop
from inference_models.package.text_files import parse_json_object, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.arrays import Shape
    from inference_models.package.preprocess_spec import Size

FILE_NAME = "inference_config.json"


@dataclass(frozen=True)
class ForwardPass:
    """How many images one run takes."""

    static_batch_size: int | None = None
    max_dynamic_batch_size: int | None = None


@dataclass(frozen=True)
class NmsParameters:
    """What a graph with fused non-maximum suppression was exported with; never defaults of ours."""

    max_detections: int
    confidence_threshold: float
    iou_threshold: float
    class_agnostic: bool


@dataclass(frozen=True)
class PostProcessing:
    """What the outputs still need."""

    type: Literal["nms", "softmax", "sigmoid"]
    fused: bool
    """Whether the graph does it already."""
    nms_parameters: NmsParameters | None = None


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
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


def parse_inference_config(text: str, *, where: str = FILE_NAME) -> InferenceConfig:
    """The configuration in `text`.

    Raises:
        CorruptedModelPackageError: names the file, the path of the wrong value, and what belongs there.
    """
    wire = validate(WireInferenceConfig, parse_json_object(text, where=where), where=where)
    limits = wire.forward_pass
    dataset_size = wire.network_input.dataset_version_resize_dimensions
    return InferenceConfig(
        preprocess=_preprocess(wire.network_input, wire.image_pre_processing or WireImagePreProcessing()),
        forward_pass=ForwardPass(limits.static_batch_size, limits.max_dynamic_batch_size) if limits else ForwardPass(),
        post_processing=_post_processing(wire.post_processing),
        removed_class_names=tuple(step.class_name for step in wire.class_names_operations or ()),
        model_initialization=wire.model_initialization,
        free_input_dims={name: tuple(shape) for name, shape in (wire.free_input_dims or {}).items()},
        dataset_size=dataset_size.size if dataset_size else None,
    )


def _preprocess(network: WireNetworkInput, image: WireImagePreProcessing) -> PreprocessSpec:
    mean, std = network.normalization or (None, None)
    return PreprocessSpec(
        size=network.training_input_size.size if network.training_input_size else None,
        color=network.color_mode,
        resize=network.resize_mode,
        interpolation=network.interpolation,
        pad_value=network.padding_value or 0,
        pad_at=network.pad_at,
        shorter_edge=network.shorter_edge,
        scaling_factor=network.scaling_factor,
        mean=_per_channel(mean),
        std=_per_channel(std),
        static_crop=_static_crop(image),
        grayscale=image.grayscale is not None and image.grayscale.enabled,
        contrast=image.contrast.type if image.contrast and image.contrast.enabled else None,
        dynamic=_dynamic_size(network),
        layout=network.layout,
    )


def _per_channel(values: list[float] | None) -> tuple[float, ...] | None:
    if values is None:
        return None
    return tuple(values) if len(values) == 3 else tuple(values) * 3


def _static_crop(image: WireImagePreProcessing) -> StaticCrop | None:
    crop = image.static_crop
    if crop is None or not crop.enabled:
        return None
    return StaticCrop(x_min=crop.x_min, x_max=crop.x_max, y_min=crop.y_min, y_max=crop.y_max)


def _dynamic_size(network: WireNetworkInput) -> DynamicSize | None:
    if not network.dynamic_spatial_size_supported:
        return None
    mode = network.dynamic_spatial_size_mode
    return DynamicSize(multiple=mode.value if isinstance(mode, WirePadToBeDivisible) else 1)


def _post_processing(wire: WireNms | WireActivation | None) -> PostProcessing | None:
    if wire is None:
        return None
    if isinstance(wire, WireActivation) or wire.nms_parameters is None:
        return PostProcessing(wire.type, wire.fused)
    given = wire.nms_parameters
    parameters = NmsParameters(
        max_detections=given.max_detections,
        confidence_threshold=given.confidence_threshold,
        iou_threshold=given.iou_threshold,
        class_agnostic=bool(given.class_agnostic),
    )
    return PostProcessing(wire.type, wire.fused, parameters)

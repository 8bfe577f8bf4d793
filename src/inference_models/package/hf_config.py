"""`config.json` and `preprocessor_config.json` of the Hugging Face Hub, as what a package of ours says.

Image processors read as in transformers 5.23. What they do beyond our pre-processing is refused, never approximated,
with one exception: Pillow, which they resize with, smooths while it makes an image smaller, and we do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError
from inference_models.package.class_names import parse_class_names
from inference_models.package.preprocess_spec import MAX_SIDE
from inference_models.package.text_files import parse_json_object, validate

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Number = Annotated[float, Field(allow_inf_nan=False)]
CONFIG = "config.json"
PREPROCESSOR_CONFIG = "preprocessor_config.json"
CLASSIFICATION, MULTI_LABEL = "classification", "multi-label-classification"
ANY_CLASSIFIER = "classifier"
"""The family of every graph whose only output is logits."""
_OWN_CLASSIFIERS = frozenset({"resnet", "vit"})
_TASKS = {
    "ForDepthEstimation": "depth-estimation",
    "ForImageClassification": CLASSIFICATION,
    "ForInstanceSegmentation": "instance-segmentation",
    "ForObjectDetection": "object-detection",
    "ForSemanticSegmentation": "semantic-segmentation",
    "ForUniversalSegmentation": "instance-segmentation",
    "ForZeroShotObjectDetection": "open-vocabulary-object-detection",
}
"""End of a transformers class name to task; longer ends are other tasks."""
_INTERPOLATION = {0: "nearest", 1: "lanczos", 2: "linear", 3: "cubic", 4: "area"}
"""Pillow's numbers of its filters to ours."""
_ENDS_OF_NAMES = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
_LARGE_CONVNEXT = 384
"""From this size on ConvNeXt processors stretch instead of cropping."""


@dataclass(frozen=True)
class _Kind:
    """What one image processor class does when its file does not say."""

    square: bool
    """A single number for the size is both sides, else the shorter one."""
    center_crop: bool | None = False
    """None: releases of transformers disagree, so the file must say."""
    normalize: bool = True
    bgr: bool = False


_KINDS = {
    "Beit": _Kind(square=True, center_crop=None),
    "Bit": _Kind(square=False, center_crop=True),
    "CLIP": _Kind(square=False, center_crop=True),
    "ConvNext": _Kind(square=False),
    "DeiT": _Kind(square=True, center_crop=True),
    "MobileNetV1": _Kind(square=False, center_crop=True),
    "MobileNetV2": _Kind(square=False, center_crop=True),
    "MobileViT": _Kind(square=False, center_crop=True, normalize=False, bgr=True),
    "Pvt": _Kind(square=True),
    "Siglip": _Kind(square=True),
    "ViT": _Kind(square=True),
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class _WireConfig(_Part):
    architectures: list[str] | None = None
    model_type: str | None = None
    id2label: dict[str, str] | None = None
    problem_type: str | None = None
    num_channels: int = 3


class _WireSides(_Part):
    height: Side | None = None
    width: Side | None = None
    shortest_edge: Side | None = None
    longest_edge: Side | None = None


_Channels = Annotated[list[Number], Field(min_length=3, max_length=3)]


class _WireProcessor(_Part):
    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    do_resize: bool | None = None
    size: Side | _WireSides | None = None
    resample: int | None = None
    do_center_crop: bool | None = None
    crop_size: Side | _WireSides | None = None
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = None
    do_rescale: bool | None = None
    rescale_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1 / 255
    do_normalize: bool | None = None
    image_mean: _Channels | None = None
    image_std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] | None = None
    do_flip_channel_order: bool | None = None
    do_pad: bool | None = None


@dataclass(frozen=True)
class HubConfig:
    """What `config.json` says."""

    architecture: str
    """A family of ours where there is one, else the `model_type` of transformers."""
    model_type: str
    task_type: str | None
    """None: a class of transformers that is no task of ours."""
    class_names: tuple[str, ...] | None
    channels: int

    @property
    def classifies(self) -> bool:
        """Whether it is an image classifier."""
        return self.task_type in {CLASSIFICATION, MULTI_LABEL}


def parse_hub_config(text: str, *, where: str = CONFIG) -> HubConfig:
    """What the `config.json` in `text` says.

    Raises:
        CorruptedModelPackageError: it is none, or its class names cannot be used.
    """
    wire = validate(_WireConfig, parse_json_object(text, where=where), where=where)
    model_type = (wire.model_type or "unknown").lower()
    task = _task(wire)
    architecture = model_type
    if task in {CLASSIFICATION, MULTI_LABEL} and model_type not in _OWN_CLASSIFIERS:
        architecture = ANY_CLASSIFIER
    return HubConfig(architecture, model_type, task, _class_names(wire.id2label, where), wire.num_channels)


def inference_config_of(config: HubConfig, text: str, *, where: str = PREPROCESSOR_CONFIG) -> dict[str, Any]:
    """The content of the `inference_config.json` that does what the `preprocessor_config.json` in `text` says.

    Raises:
        CorruptedModelPackageError: it is none, or leaves out what releases of transformers fill in differently.
        ModelImplementationNotFoundError: it asks for something our pre-processing does not do.
    """
    wire = validate(_WireProcessor, parse_json_object(text, where=where), where=where)
    kind_name, kind = _kind(wire, where)
    if config.channels != 3:
        raise _impossible(CONFIG, "num_channels 3", str(config.channels))
    mean_and_std = _normalization(wire, kind, where)
    network: dict[str, Any] = {
        **_geometry(wire, kind_name, where),
        "dynamic_spatial_size_supported": False,
        "color_mode": "bgr" if _stated(wire.do_flip_channel_order, default=kind.bgr) else "rgb",
        "input_channels": 3,
        **({"scaling_factor": round(1 / wire.rescale_factor, 9)} if _stated(wire.do_rescale, default=True) else {}),
        **({"normalization": mean_and_std} if mean_and_std else {}),
    }
    activation = "sigmoid" if config.task_type == MULTI_LABEL else "softmax"
    return {"network_input": network, "post_processing": {"type": activation, "fused": False}}


def _task(wire: _WireConfig) -> str | None:
    for name in wire.architectures or ():
        for end, task in _TASKS.items():
            if name.endswith(end):
                several = task == CLASSIFICATION and wire.problem_type == "multi_label_classification"
                return MULTI_LABEL if several else task
    return None


def _class_names(labels: dict[str, str] | None, where: str) -> tuple[str, ...] | None:
    if not labels:
        return None
    if set(labels) != {str(index) for index in range(len(labels))}:
        raise CorruptedModelPackageError(
            f"{where}: id2label does not number the classes.",
            needs=f"every number from 0 to {len(labels) - 1}",
            found=", ".join(ascii(key[:20]) for key in sorted(labels)[:8]),
        )
    names = tuple(labels[str(index)].strip() for index in range(len(labels)))
    # A blank name would be dropped and one with a line feed be two: either shifts every class after it.
    for index, name in enumerate(names):
        if not name or "\n" in name:
            raise CorruptedModelPackageError(
                f"{where}: id2label[{index}] is no class name.", needs="one line of text", found=ascii(name[:40])
            )
    return parse_class_names("\n".join(names), where=f"{where}: id2label")


def _kind(wire: _WireProcessor, where: str) -> tuple[str, _Kind]:
    stated = wire.image_processor_type or wire.feature_extractor_type or ""
    name = next((stated.removesuffix(end) for end in _ENDS_OF_NAMES if stated.endswith(end)), "")
    if name not in _KINDS:
        raise _impossible(
            where, f"an image processor of {', '.join(sorted(_KINDS))}", ascii(stated) if stated else "none"
        )
    return name, _KINDS[name]


def _geometry(wire: _WireProcessor, kind_name: str, where: str) -> dict[str, Any]:
    if wire.do_pad:
        raise _impossible(where, "no do_pad", "do_pad true")
    kind = _KINDS[kind_name]
    sides = _sides(_required(wire.size, "size", where), square=kind.square, name="size", where=where)
    if _stated(wire.do_resize, default=True) is False:
        raise _impossible(where, "do_resize true", "do_resize false")
    how = {"interpolation": _interpolation(wire, where)}
    if kind_name == "ConvNext":
        return how | _convnext(wire, sides, where)
    crops = wire.do_center_crop if wire.do_center_crop is not None else kind.center_crop
    crop: int | tuple[int, int] | None = None
    if _required(crops, "do_center_crop", where):
        crop = _sides(_required(wire.crop_size, "crop_size", where), square=True, name="crop_size", where=where)
    if isinstance(sides, tuple):
        if crop is not None and crop != sides:
            raise _impossible(where, "a size that is kept", f"size {_by(sides)}, of which {_by(crop)} is cut out")
        return how | _stretch(sides)
    if not isinstance(crop, tuple):
        raise _impossible(where, "one size for every image", f"shortest_edge {sides} without a centre crop")
    return how | _shorter_edge(sides, crop)


def _convnext(wire: _WireProcessor, sides: int | tuple[int, int], where: str) -> dict[str, Any]:
    if isinstance(sides, tuple):
        raise _impossible(where, "size.shortest_edge", f"size {_by(sides)}")
    if sides >= _LARGE_CONVNEXT:
        return _stretch((sides, sides))
    return _shorter_edge(int(sides / (wire.crop_pct or 0.875)), (sides, sides))


def _sides(value: int | _WireSides, *, square: bool, name: str, where: str) -> int | tuple[int, int]:
    """(height, width), or the length of the shorter side."""
    if isinstance(value, int):
        return (value, value) if square else value
    if value.height and value.width:
        return value.height, value.width
    if value.shortest_edge and not value.longest_edge and name == "size":
        return value.shortest_edge
    stated = ", ".join(sorted(key for key, side in value if side)) or "nothing"
    raise _impossible(where, f"height and width, or shortest_edge, in {name}", stated)


def _stretch(size: tuple[int, int]) -> dict[str, Any]:
    return {"resize_mode": "stretch", "training_input_size": {"height": size[0], "width": size[1]}}


def _shorter_edge(edge: int, crop: tuple[int, int]) -> dict[str, Any]:
    size = {"height": crop[0], "width": crop[1]}
    return {"resize_mode": "shorter-edge-crop", "shorter_edge": edge, "training_input_size": size}


def _interpolation(wire: _WireProcessor, where: str) -> str:
    number = _required(wire.resample, "resample", where)
    if number not in _INTERPOLATION:
        raise _impossible(where, f"resample of {', '.join(map(str, _INTERPOLATION))}", str(number))
    return _INTERPOLATION[number]


def _normalization(wire: _WireProcessor, kind: _Kind, where: str) -> list[list[float]] | None:
    if not _stated(wire.do_normalize, default=kind.normalize):
        return None
    return [_required(wire.image_mean, "image_mean", where), _required(wire.image_std, "image_std", where)]


def _stated(value: bool | None, *, default: bool) -> bool:
    return default if value is None else value


def _required(value: Any, name: str, where: str) -> Any:
    if value is None:
        raise CorruptedModelPackageError(
            f"{where} does not say how images are prepared.", needs=f"the key {name}", found="no such key"
        )
    return value


def _by(size: int | tuple[int, int]) -> str:
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def _impossible(where: str, needs: str, found: str) -> ModelImplementationNotFoundError:
    return ModelImplementationNotFoundError(
        f"{where} asks for pre-processing that this library does not do.",
        needs=needs,
        found=found,
        fix="write a package folder with an inference_config.json of your own, and load that",
    )

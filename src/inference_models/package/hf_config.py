"""Reads `config.json` and `preprocessor_config.json` of the Hugging Face Hub into the terms of our packages.

What these say of the preparation of images is read by `hf_processor`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.class_names import check_class_names
from inference_models.package.formats import HF_CONFIG
from inference_models.package.hf_processor import WireTimm, impossible, parse_processor, processor_input, timm_input
from inference_models.package.text_files import convert, parse_json_object
from inference_models.record import Record

CONFIG = HF_CONFIG
PREPROCESSOR_CONFIG = "preprocessor_config.json"
CLASSIFICATION, MULTI_LABEL = "classification", "multi-label-classification"
KEY_POINTS = "keypoint-detection"
_PERSON = "person"
"""What networks for poses find the points of, which their configuration does not say."""
ANY_CLASSIFIER = "classifier"
"""The family of every graph whose only output is logits."""
_OWN_CLASSIFIERS = frozenset({"resnet", "vit"})
ANY_SEGMENTER = "segmenter"
"""The family of every graph whose only output is logits of the classes of pixels."""
_OWN_SEGMENTERS = frozenset({"segformer"})
_UNIVERSAL = ("ForUniversalSegmentation", "MaskFormerForInstanceSegmentation")
"""Ends of the names of classes whose networks do any of the tasks below."""
UNIVERSAL_TASKS = ("instance-segmentation", "panoptic-segmentation", "semantic-segmentation")
ACTION, EMBEDDING, MATCHING, TEXT = "action-recognition", "embedding", "feature-matching", "text-only-ocr"
_EMBEDDERS = {
    "CLIPModel": "clip",
    "DINOv3ConvNextModel": "dinov2",
    "DINOv3ViTModel": "dinov2",
    "Dinov2Model": "dinov2",
    "Dinov2WithRegistersModel": "dinov2",
    "MetaClip2Model": "clip",
    "SiglipModel": "siglip",
}
"""Classes of transformers whose vectors we know, to their family."""
_TOKENS = ("tokenizer.json", "tokenizer_config.json")
_PARTS = {
    "clip": (("vision_model", "text_model"), _TOKENS),
    "siglip": (("vision_model", "text_model"), _TOKENS),
    "tr-ocr": (("encoder_model", "decoder_model"), ("tokenizer.json", "vocab.json")),
}
"""Of families of several graphs: what exporters call these, and the files that lie beside them and their weights."""
_TASKS = {
    "ForDepthEstimation": "depth-estimation",
    "ForImageClassification": CLASSIFICATION,
    "ForKeypointMatching": MATCHING,
    "ForInstanceSegmentation": "instance-segmentation",
    "ForObjectDetection": "object-detection",
    "ForPoseEstimation": KEY_POINTS,
    "ForSemanticSegmentation": "semantic-segmentation",
    "ForUniversalSegmentation": "instance-segmentation",
    "ForVideoClassification": ACTION,
    "ForZeroShotObjectDetection": "open-vocabulary-object-detection",
}
"""End of a transformers class name to task; longer ends are other tasks."""
VIDEO_CONFIG = "video_preprocessor_config.json"
PROCESSOR_CONFIG = "processor_config.json"
"""Of models of images and texts since transformers 5, the image processor as one of its keys."""
PREPARED_TASKS = frozenset(
    {
        CLASSIFICATION,
        MULTI_LABEL,
        ACTION,
        EMBEDDING,
        MATCHING,
        TEXT,
        KEY_POINTS,
        "depth-estimation",
        "instance-segmentation",
        "object-detection",
        "panoptic-segmentation",
        "semantic-segmentation",
    }
)
"""Tasks whose models take images as their processor file says."""


class _WireConfig(Struct):
    architectures: list[str] | None = None
    decoder: Any = None
    model_type: str | None = None
    id2label: dict[str, str] | None = None
    problem_type: str | None = None
    num_channels: int = 3
    pretrained_cfg: WireTimm | None = None
    num_classes: int = 0
    label_names: list[str] | None = None


class HubConfig(Record, frozen=True):
    """What `config.json` says."""

    architecture: str
    """A family of ours where there is one, else the `model_type` of transformers."""
    model_type: str
    task_type: str | None
    """None: a class of transformers that is no task of ours."""
    class_names: tuple[str, ...] | None
    channels: int
    key_points: tuple[str, ...] = ()
    """Names of the points of the one class; empty: it has none."""
    timm: WireTimm | None = None
    """How timm prepares images, which needs no other file."""

    @property
    def classifies(self) -> bool:
        """Whether it is an image classifier."""
        return self.task_type in {CLASSIFICATION, MULTI_LABEL}

    @property
    def must_prepare(self) -> bool:
        """Whether nothing but the file of the processor says how images are prepared."""
        return self.classifies or self.task_type in {ACTION, EMBEDDING, MATCHING, TEXT}

    @property
    def graphs(self) -> tuple[str, ...]:
        """What the graphs of an export are called; empty: there is one."""
        return _PARTS.get(self.architecture, ((), ()))[0]

    @property
    def companions(self) -> tuple[str, ...]:
        """Further files of a package, those that exist."""
        return _PARTS.get(self.architecture, ((), ()))[1]

    @property
    def post_processing(self) -> dict[str, Any]:
        """What the outputs still need, of a classifier."""
        activation = "sigmoid" if self.task_type == MULTI_LABEL else "softmax"
        return {"post_processing": {"type": activation, "fused": False}} if self.classifies else {}


def parse_hub_config(text: str, *, where: str = CONFIG, asked: str | None = None) -> HubConfig:
    """What the `config.json` in `text` says.

    Args:
        text: Of the file.
        where: Its name, for errors.
        asked: The task that the caller wants of a network that can do several.

    Raises:
        CorruptedModelPackageError: it is none, or its class names cannot be used.
    """
    wire = convert(_WireConfig, parse_json_object(text, where=where), where=where)
    model_type = (wire.model_type or "unknown").lower()
    task = _task(wire)
    universal = any(name.endswith(_UNIVERSAL) for name in wire.architectures or ())
    if universal and asked in UNIVERSAL_TASKS:
        task = asked
    architecture = model_type
    if task == TEXT:
        architecture = "tr-ocr"
    if task == EMBEDDING:
        architecture = next(_EMBEDDERS[name] for name in wire.architectures or () if name in _EMBEDDERS)
    if task in {CLASSIFICATION, MULTI_LABEL} and model_type not in _OWN_CLASSIFIERS:
        architecture = ANY_CLASSIFIER
    if task == "semantic-segmentation" and model_type not in _OWN_SEGMENTERS and not universal:
        architecture = ANY_SEGMENTER
    labels = wire.id2label or {str(index): name for index, name in enumerate(wire.label_names or ())}
    names = _class_names(labels, where)
    points = (names or ()) if task == KEY_POINTS else ()
    names = (_PERSON,) if points else names
    return HubConfig(architecture, model_type, task, names, wire.num_channels, points, wire.pretrained_cfg)


def inference_config_of(config: HubConfig, text: str | None, *, where: str = PREPROCESSOR_CONFIG) -> dict[str, Any]:
    """The content of the `inference_config.json` that does what the `preprocessor_config.json` in `text` says.

    Without one, what timm wrote into `config.json`.

    Raises:
        CorruptedModelPackageError: it is none, or leaves out what releases of transformers fill in differently.
        ModelImplementationNotFoundError: it asks for something our pre-processing does not do.
    """
    wire = parse_processor(text, where)
    timm = wire.pretrained_cfg or (None if text else config.timm)
    if timm is not None:
        return {"network_input": timm_input(timm, where if text else CONFIG), **config.post_processing}
    network = processor_input(wire, where)
    if config.channels != 3:
        raise impossible(CONFIG, "num_channels 3", str(config.channels))
    crops = {"top_down": _crops(len(config.key_points))} if config.key_points else {}
    return {"network_input": network, **config.post_processing, **crops}


def _crops(points: int) -> dict[str, Any]:
    """How `VitPoseImageProcessor` cuts out persons: a quarter more than the box, between the centres of pixels."""
    slots = {"name": _PERSON, "offset": 0, "count": points}
    return {"context_padding": 1.25, "preserve_aspect": True, "udp": True, "exact": True, "keypoint_classes": [slots]}


def _task(wire: _WireConfig) -> str | None:
    if wire.pretrained_cfg is not None and not wire.architectures:
        return CLASSIFICATION if wire.num_classes else None  # without classes it is an embedding
    for name in wire.architectures or ():
        if name in _EMBEDDERS:
            return EMBEDDING
        decoder = wire.decoder.get("model_type") if isinstance(wire.decoder, dict) else None
        if name == "VisionEncoderDecoderModel" and decoder == "trocr":
            return TEXT
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
    names = [labels[str(index)] for index in range(len(labels))]
    return check_class_names(names, f"{where}: id2label")

"""The pre-processing of a package as one frozen value."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal

from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.entities import ColorFormat

Size = tuple[int, int]
"""(height, width) in pixels."""
MAX_SIDE = 32_768
"""Pixels of one side of a network input; more is a mistake."""
MAX_PIXELS = 1 << 26
"""Pixels of a network input; more would take gigabytes per image."""
Interpolation = Literal["nearest", "linear", "cubic", "area", "lanczos", "hamming", "corners"]
"""`hamming` only smooths, so that it needs `antialias`; `corners` is linear with the centres of the corner pixels on
each other, and does not smooth."""


class ResizeMode(str, Enum):
    """How an image of any size becomes one of the network's size."""

    STRETCH = "stretch"
    """Both sides to the target; the aspect ratio is not kept."""
    LETTERBOX = "letterbox"
    """Fit inside the target, fill the rest with `pad_value`."""
    LETTERBOX_REFLECT_EDGES = "letterbox-reflect-edges"
    """Fit inside the target, fill the rest with the mirrored image."""
    CENTER_CROP = "center-crop"
    """No resize: cut the centre out, fill with 0 where the image is smaller."""
    FIT_LONGER_EDGE = "fit-longer-edge"
    """Fit inside the target and stop there: the network input has the size of the resized image."""
    SHORTER_EDGE_CROP = "shorter-edge-crop"
    """Resize until the shorter side is `shorter_edge`, then cut the centre out (ImageNet evaluation)."""
    SHORTER_EDGE = "shorter-edge"
    """Resize until the shorter side is that of the target, or the longer side that of the target, whichever comes
    first; turned pictures turn the target. The network input has the size of the resized image (DETR)."""
    SHORTER_EDGE_PADDED = "shorter-edge-padded"
    """The longer side becomes the shorter one of the target, the rest at the right and bottom `pad_value` (EoMT)."""
    SHORTER_EDGE_ROUNDED_UP = "shorter-edge-rounded-up"
    """As `shorter-edge`, and then each side is stretched up to a multiple of what the network takes (Mask2Former)."""
    SHORTER_EDGE_AT_LEAST = "shorter-edge-at-least"
    """Enlarge where the shorter side is less than that of the target, reduce where the longer side is more than that
    of the target, and bring each side to the nearest multiple. The network input has that size (PaddleOCR)."""
    WHOLE_MULTIPLES = "whole-multiples"
    """Both sides down to a multiple of what the network takes; the network input has that size (GLPN)."""
    LINE = "line"
    """Height of the target; width in proportion, rounded up, at most that of the target. The network input has the
    size of the resized image (readers of text)."""
    STRETCH_CROP = "stretch-crop"
    """Both sides to `resized`, then cut the centre out (DeiT, and timm's squash)."""
    COVER_CROP = "cover-crop"
    """Resize until `resized` is just covered, then cut the centre out (timm's center of a size that is not square)."""
    FIT_CROP = "fit-crop"
    """Fit inside `resized`, then cut the centre out, or fill up with `pad_value` (timm's border)."""
    NEARER_EDGE = "nearer-edge"
    """Resize until the side that has to change less is that of the target, both sides to a multiple of what the network
    takes. The network input has the size of the resized image (DPT and Depth Anything)."""


WITH_RESIZED = frozenset({ResizeMode.COVER_CROP, ResizeMode.FIT_CROP, ResizeMode.STRETCH_CROP})
"""Those that have a size of their own, `resized`."""
SIZED_BY_IMAGE = frozenset(
    {
        ResizeMode.NEARER_EDGE,
        ResizeMode.SHORTER_EDGE,
        ResizeMode.SHORTER_EDGE_AT_LEAST,
        ResizeMode.SHORTER_EDGE_ROUNDED_UP,
        ResizeMode.WHOLE_MULTIPLES,
    }
)
"""Modes that graphs of one size cannot take: they stretch."""


class Contrast(str, Enum):
    """Contrast enhancement, named as in the package format."""

    ADAPTIVE_EQUALIZATION = "Adaptive Equalization"
    CONTRAST_STRETCHING = "Contrast Stretching"
    HISTOGRAM_EQUALIZATION = "Histogram Equalization"


class StaticCrop(Record, frozen=True):
    """A fixed part of every image, in whole per cent of its sides."""

    x_min: int
    x_max: int
    y_min: int
    y_max: int


class DynamicSize(Record, frozen=True):
    """The network takes other sizes than the one it was trained on."""

    multiple: int = 1
    """Sides are rounded up to a multiple of this; 1 means any size."""


class PreprocessSpec(Record, frozen=True, kw_only=True):
    """Everything between an image and the array the graph takes."""

    size: Size | None
    """Network size; None: `image_size=` of the call, else the image's own size."""
    color: ColorFormat = "rgb"
    """Channel order of the network."""
    channels: Literal[1, 3] = 3
    """1: the network takes grey pictures."""
    resize: ResizeMode = ResizeMode.STRETCH
    frame: Size | None = None
    """(height, width) that a picture is fitted to first, as `resize` says; the result is stretched to `size`."""
    interpolation: Interpolation = "linear"
    antialias: bool = False
    """Resize as Pillow does, which smooths over all pixels that become one: what classifiers are trained with."""
    pad_value: int | tuple[int, int, int] = 0
    """Fill around an image, 0..255, before scaling and normalisation; one for each channel in network order."""
    pad_at: Literal["both", "end"] = "both"
    """Where a letterbox pads: half on both sides, or only right and bottom (YOLOX)."""
    center_as: Literal["torchvision", "transformers"] = "torchvision"
    """Whose centre is cut out where it lies between two pixels: rounded half to even, or down."""
    shorter_edge: int | None = None
    """Only for `shorter-edge-crop`; None: that of the network, and a network that is not square is stretched to."""
    as_float: bool = False
    """Resize to values between grey levels, as networks see them that are fed tensors; else they are rounded."""
    resized: Size | None = None
    """(height, width), only for the modes of `WITH_RESIZED`."""
    scaling_factor: float | None = None
    """Pixels are divided by this."""
    mean: tuple[float, ...] | None = None
    """Subtracted after scaling, in network channel order."""
    std: tuple[float, ...] | None = None
    margin: bool = False
    """Whether pictures get a mirrored margin of 3 sqrt(side / 2) pixels first, which is cut off again (ZoeDepth)."""
    static_crop: StaticCrop | None = None
    grayscale: bool = False
    contrast: Contrast | None = None
    dynamic: DynamicSize | None = None
    layout: Literal["nchw", "nhwc"] = "nchw"

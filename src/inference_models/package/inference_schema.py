"""The wire form of `inference_config.json`. Unknown keys are ignored; `inference_config.py` turns it into values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self  # noqa: TC002 - pydantic reads the annotations of validators

from inference_models.package.preprocess_spec import MAX_SIDE, Contrast, Interpolation, ResizeMode

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Percent = Annotated[int, Field(ge=0, le=100)]
Number = Annotated[float, Field(allow_inf_nan=False)]


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("a number other than 0")
    return value


def _one_per_channel(values: list[float]) -> list[float]:
    if len(values) not in (1, 3):
        raise ValueError("1 or 3 numbers")
    return values


Means = Annotated[list[Number], AfterValidator(_one_per_channel)]
Deviations = Annotated[list[Annotated[float, Field(gt=0, allow_inf_nan=False)]], AfterValidator(_one_per_channel)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class WireSize(_Part):
    """Pixels."""

    height: Side
    width: Side

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


class WireStaticCrop(_Part):
    """Whole per cent of the sides."""

    enabled: bool
    x_min: Percent
    x_max: Percent
    y_min: Percent
    y_max: Percent

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        if self.enabled and not (self.x_min < self.x_max and self.y_min < self.y_max):
            raise ValueError("x_min < x_max and y_min < y_max")
        return self


class WireContrast(_Part):
    """Contrast enhancement."""

    enabled: bool
    type: Contrast


class WireSwitch(_Part):
    """A step that is on or off."""

    enabled: bool


class WireImagePreProcessing(_Part):
    """Steps that come before the resize."""

    static_crop: WireStaticCrop | None = Field(default=None, alias="static-crop")
    contrast: WireContrast | None = None
    grayscale: WireSwitch | None = None


class WirePadToBeDivisible(_Part):
    """Sides are rounded up to a multiple."""

    type: Literal["pad-to-be-divisible"]
    value: Side


class WireAnySize(_Part):
    """Sides stay as they are."""

    type: Literal["any-size"]


class WireNetworkInput(_Part):
    """What the graph takes."""

    training_input_size: WireSize | None = None
    dataset_version_resize_dimensions: WireSize | None = None
    dynamic_spatial_size_supported: bool
    dynamic_spatial_size_mode: Annotated[WirePadToBeDivisible | WireAnySize, Field(discriminator="type")] | None = None
    color_mode: Literal["rgb", "bgr"]
    resize_mode: ResizeMode
    padding_value: Annotated[int, Field(ge=0, le=255)] | None = None
    input_channels: Literal[3]
    scaling_factor: Annotated[Number, AfterValidator(_not_zero)] | None = None
    normalization: tuple[Means, Deviations] | None = None
    interpolation: Interpolation = "linear"
    pad_at: Literal["both", "end"] = "both"
    shorter_edge: Side | None = None
    layout: Literal["nchw", "nhwc"] = "nchw"

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        any_size = self.dynamic_spatial_size_supported and isinstance(self.dynamic_spatial_size_mode, WireAnySize)
        if self.training_input_size is None and not any_size:
            raise ValueError("training_input_size, unless dynamic_spatial_size_mode is any-size")
        if (self.resize_mode is ResizeMode.SHORTER_EDGE_CROP) != (self.shorter_edge is not None):
            raise ValueError("shorter_edge exactly when resize_mode is shorter-edge-crop")
        return self


class WireForwardPass(_Part):
    """Batch limits."""

    static_batch_size: Annotated[int, Field(ge=1)] | None = None
    max_dynamic_batch_size: Annotated[int, Field(ge=1)] | None = None


class WireNmsParameters(_Part):
    """What a fused graph was exported with."""

    max_detections: Annotated[int, Field(ge=1)]
    confidence_threshold: Annotated[float, Field(ge=0, le=1)]
    iou_threshold: Annotated[float, Field(ge=0, le=1)]
    class_agnostic: int


class WireNms(_Part):
    """Boxes that need non-maximum suppression, or had it in the graph."""

    type: Literal["nms"]
    fused: bool
    nms_parameters: WireNmsParameters | None = None


class WireActivation(_Part):
    """Class scores that need an activation, or had it in the graph."""

    type: Literal["softmax", "sigmoid"]
    fused: bool


class WireClassNameRemoval(_Part):
    """A class that is never reported."""

    type: Literal["class_name_removal"]
    class_name: str


class WireInferenceConfig(_Part):
    """The whole file."""

    image_pre_processing: WireImagePreProcessing | None = None
    network_input: WireNetworkInput
    forward_pass: WireForwardPass | None = None
    post_processing: Annotated[WireNms | WireActivation, Field(discriminator="type")] | None = None
    model_initialization: dict[str, Any] | None = None
    class_names_operations: list[WireClassNameRemoval] | None = None
    free_input_dims: dict[str, list[Annotated[int, Field(ge=1)] | None]] | None = None

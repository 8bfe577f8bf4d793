"""Reads the image processors of Transformers and timm into the terms of our pre-processing.

Image processors read as in transformers 5.24 (those of Pillow where there are two), `pretrained_cfg` as in timm 1.0.
What they do beyond our pre-processing is refused, never approximated.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError
from inference_models.package.preprocess_spec import MAX_SIDE
from inference_models.package.text_files import convert, parse_json_object
from inference_models.record import Record, replace

_INTERPOLATION = {0: "nearest", 1: "lanczos", 2: "linear", 3: "cubic", 4: "area", 5: "hamming"}
"""Pillow's numbers of its filters to ours."""
_TIMM_INTERPOLATION = {
    "bicubic": "cubic",
    "bilinear": "linear",
    "box": "area",
    "hamming": "hamming",
    "lanczos": "lanczos",
    "nearest": "nearest",
}
_ENDS_OF_NAMES = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor", "VideoProcessor")
_LARGE_CONVNEXT = 384
"""From this size on ConvNeXt processors stretch instead of cropping."""
_PERSONS = 200
"""Of sizes of persons, which nothing but this value leaves as they are."""
_GLPN_MULTIPLE = 32
"""Of what its processor makes both sides multiples when its file does not say."""
_DETR_LONGEST = 1333
"""Of processors of the DETR family that state a number for the shorter side alone."""

_ROUNDED_UP = frozenset({"Mask2Former", "MaskFormer"})
"""Processors that stretch sides up to a multiple."""


class _Kind(Record, frozen=True):
    """What one image processor class does when its file does not say."""

    square: bool
    """A single number for the size is both sides, else the shorter one."""
    center_crop: bool | None = False
    """None: releases of transformers disagree, so the file must say."""
    normalize: bool = True
    bgr: bool = False
    multiple: int | None = None
    """Pictures keep their shape between a shortest and a longest edge, and sides are multiples of this (DETR)."""
    resample: int | None = None
    """None: releases of transformers disagree, so the file must say."""
    antialias: bool = True
    as_float: bool = False
    """Pictures are resized to values between grey levels."""


_DETR = _Kind(square=False, center_crop=False, multiple=1, resample=2)
_MATCHER = _Kind(square=False, normalize=False, resample=2)
_KINDS = {
    "Beit": _Kind(square=True, center_crop=None),
    "Bit": _Kind(square=False, center_crop=True),
    "CLIP": _Kind(square=False, center_crop=True),
    "ConditionalDetr": _DETR,
    "ConvNext": _Kind(square=False),
    "DINOv3ViT": _Kind(square=True, as_float=True),
    "DPT": _Kind(square=True, center_crop=False),
    "DeformableDetr": _DETR,
    "DepthPro": _Kind(square=True, antialias=False, as_float=True),
    "DeiT": _Kind(square=True, center_crop=True),
    "Detr": _DETR,
    "Eomt": replace(_DETR, resample=2),
    "GLPN": _Kind(square=True, normalize=False),
    "LightGlue": _MATCHER,
    "Mask2Former": replace(_DETR, multiple=32),
    "MaskFormer": replace(_DETR, multiple=32),
    "MobileNetV1": _Kind(square=False, center_crop=True),
    "MobileNetV2": _Kind(square=False, center_crop=True),
    "MobileViT": _Kind(square=False, center_crop=True, normalize=False, bgr=True),
    "OneFormer": _DETR,
    "PPDocLayoutV2": _Kind(square=True, antialias=False),
    "PPDocLayoutV3": _Kind(square=True, antialias=False),
    "Pvt": _Kind(square=True),
    "RTDetr": replace(_DETR, normalize=False),
    "RfDetr": replace(_DETR, antialias=False, as_float=True),
    "Segformer": _Kind(square=True, center_crop=False, resample=2),
    "Siglip": _Kind(square=True),
    "SuperGlue": _MATCHER,
    "VJEPA2": _Kind(square=False, center_crop=True, resample=2),
    "ViT": _Kind(square=True),
    "VitPose": _Kind(square=False, resample=2, antialias=False, as_float=True),
    "Yolos": replace(_DETR, multiple=16),
    "ZoeDepth": _Kind(square=True, antialias=False, as_float=True),
}


_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_AboveZero = Annotated[float, Meta(gt=0)]
_ThreeNumbers = tuple[float, float, float]
_Sides = int | tuple[int, int]
"""The length of the shorter side, or (height, width)."""


class WireTimm(Struct):
    """The fields of `pretrained_cfg` with the defaults of `timm.data.resolve_data_config`."""

    input_size: tuple[Literal[1, 3], _Side, _Side] = (3, 224, 224)
    interpolation: str = "bicubic"
    crop_pct: Annotated[float, Meta(gt=0, le=1)] | None = None
    crop_mode: str | None = None
    mean: _ThreeNumbers = (0.485, 0.456, 0.406)
    std: tuple[_AboveZero, _AboveZero, _AboveZero] = (0.229, 0.224, 0.225)


class _WireSides(Struct):
    height: _Side | None = None
    width: _Side | None = None
    shortest_edge: _Side | None = None
    longest_edge: _Side | None = None
    max_height: _Side | None = None
    max_width: _Side | None = None


class WireProcessor(Struct):
    """What the file of an image processor says; None: nothing."""

    video_processor_type: str | None = None
    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    do_resize: bool | None = None
    size: _Side | _WireSides | None = None
    resample: int | None = None
    do_center_crop: bool | None = None
    crop_size: _Side | _WireSides | None = None
    crop_pct: Annotated[float, Meta(gt=0, le=1)] | None = None
    do_rescale: bool | None = None
    rescale_factor: _AboveZero = 1 / 255
    do_normalize: bool | None = None
    image_mean: Annotated[list[float], Meta(min_length=3, max_length=3)] | None = None
    image_std: Annotated[list[_AboveZero], Meta(min_length=3, max_length=3)] | None = None
    do_flip_channel_order: bool | None = None
    do_grayscale: bool | None = None
    do_pad: bool | None = None
    pad_size: _WireSides | None = None
    size_divisor: int | None = None
    do_split_image: bool | None = None
    do_affine_transform: bool | None = None
    normalize_factor: float = 200
    max_size: _Side | None = None
    keep_aspect_ratio: bool | None = None
    ensure_multiple_of: Annotated[int, Meta(ge=1, le=MAX_SIDE)] = 1
    pretrained_cfg: WireTimm | None = None


def timm_input(wire: WireTimm, where: str) -> dict[str, Any]:
    """What `timm.data.create_transform` does for evaluation, in our words."""
    mode, sides = wire.crop_mode or "center", wire.input_size[1:]
    if mode not in {"border", "center", "squash"} or wire.interpolation not in _TIMM_INTERPOLATION:
        needs = f"crop_mode border, center or squash, interpolation {', '.join(_TIMM_INTERPOLATION)}"
        raise impossible(where, needs, f"{mode!a}, {wire.interpolation!a}")
    height, width = (int(side / (wire.crop_pct or 0.875)) for side in sides)
    geometry = _cropped(height if mode == "center" and height == width else (height, width), sides)
    if mode == "border":
        fill = [min(max(round(255 * mean), 0), 255) for mean in wire.mean]
        geometry |= {"resize_mode": "fit-crop", "resized": _named((height, width)), "padding_value": fill}
    elif mode == "center" and height != width:
        geometry |= {"resize_mode": "cover-crop", "resized": _named((height, width))}
    return {
        **geometry,
        "interpolation": _TIMM_INTERPOLATION[wire.interpolation],
        "antialias": True,
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "scaling_factor": 255,
        "normalization": [list(wire.mean), list(wire.std)],
        "input_channels": 3,
    }


def _cropped(sides: _Sides, crop: tuple[int, int]) -> dict[str, Any]:
    """A resize to `sides`, of which the middle `crop` is cut out."""
    size = {"training_input_size": _named(crop)}
    if isinstance(sides, int):
        return {"resize_mode": "shorter-edge-crop", "shorter_edge": sides, **size}
    if sides == crop:
        return {"resize_mode": "stretch", **size}
    return {"resize_mode": "stretch-crop", "resized": _named(sides), **size}


def _of_each_image(mode: str, sides: tuple[int, int], multiple: int) -> dict[str, Any]:
    """A resize after which every image has a size of its own, in multiples of `multiple`."""
    return {
        "resize_mode": mode,
        "training_input_size": _named(sides),
        "dynamic_spatial_size_supported": True,
        "dynamic_spatial_size_mode": {"type": "pad-to-be-divisible", "value": multiple},
    }


def _named(sides: tuple[int, int]) -> dict[str, int]:
    return dict(zip(("height", "width"), sides, strict=True))


def parse_processor(text: str | None, where: str) -> WireProcessor:
    """What a processor file says; None: there is none.

    Raises:
        CorruptedModelPackageError: it is not as Transformers writes it.
    """
    return convert(WireProcessor, parse_json_object(text or "{}", where=where), where=where)


def processor_input(wire: WireProcessor, where: str) -> dict[str, Any]:
    """How an image processor prepares images, in our words.

    Raises:
        CorruptedModelPackageError: its file leaves out what releases of transformers fill in differently.
        ModelImplementationNotFoundError: it asks for something our pre-processing does not do.
    """
    stated = wire.video_processor_type or wire.image_processor_type or wire.feature_extractor_type or ""
    name = next((stated.removesuffix(end) for end in _ENDS_OF_NAMES if stated.endswith(end)), "")
    if name not in _KINDS:
        needs = f"an image processor of {', '.join(sorted(_KINDS))}"
        raise impossible(where, needs, ascii(stated) if stated else "none")
    return {**_Processor(wire, name, where).network_input(), "input_channels": 3}


class _Processor(Record, frozen=True):
    """An image processor of one class as its file sets it up."""

    wire: WireProcessor
    name: str
    where: str

    def network_input(self) -> dict[str, Any]:
        """How it prepares images, in our words."""
        wire, kind = self.wire, _KINDS[self.name]
        for refused, needs, found in (
            (self._pads(kind), "no do_pad", "do_pad true"),
            (kind is _MATCHER and wire.do_grayscale is False, "do_grayscale true", "do_grayscale false"),
            (wire.do_split_image, "no do_split_image", "do_split_image true"),
            (wire.do_affine_transform is False, "do_affine_transform true", "do_affine_transform false"),
            (
                wire.normalize_factor != _PERSONS,
                f"normalize_factor {_PERSONS}",
                f"{wire.normalize_factor:g}",
            ),
            (wire.do_resize is False, "do_resize true", "do_resize false"),
        ):
            if refused:
                raise self._refuse(needs, found)
        network = {"dynamic_spatial_size_supported": False, "center_as": "transformers", **self._geometry(kind)}
        filter_number = kind.resample if wire.resample is None and kind.resample else self._required("resample")
        if filter_number not in _INTERPOLATION:
            raise self._refuse(f"resample of {', '.join(map(str, _INTERPOLATION))}", str(filter_number))
        network |= {"interpolation": _INTERPOLATION[filter_number], "antialias": kind.antialias}
        network["as_float"] = kind.as_float
        if self.name == "ZoeDepth":
            if network["interpolation"] != "linear":
                raise self._refuse("resample 2", str(filter_number))
            network |= {"interpolation": "corners", "margin": wire.do_pad is not False}
        is_bgr = kind.bgr if wire.do_flip_channel_order is None else wire.do_flip_channel_order
        network["color_mode"] = "bgr" if is_bgr else "rgb"
        if wire.do_rescale is not False:
            network["scaling_factor"] = round(1 / wire.rescale_factor, 9)
        if kind.normalize if wire.do_normalize is None else wire.do_normalize:
            network["normalization"] = [self._required("image_mean"), self._required("image_std")]
        return network

    def _pads(self, kind: _Kind) -> bool:
        """Whether one image alone would be padded: DETR pads to the largest of a batch, DPT to a multiple."""
        if kind.multiple:
            return bool(self.wire.do_pad and self.wire.pad_size)
        inside = {"DPT": not self.wire.size_divisor, "ZoeDepth": True}
        return bool(self.wire.do_pad and not inside.get(self.name, False))

    def _edges(self) -> tuple[int, int] | None:
        """The shortest and the longest edge, of a processor of the DETR family; None: it states height and width."""
        size = self._required("size")
        if isinstance(size, int):
            return size, self.wire.max_size or _DETR_LONGEST
        if size.shortest_edge and size.longest_edge:
            return size.shortest_edge, size.longest_edge
        if size.height and size.width:
            return None
        raise self._no_size("height and width, or shortest_edge and longest_edge, in size", size)

    def _geometry(self, kind: _Kind) -> dict[str, Any]:
        if self.name == "GLPN":
            multiple = self.wire.size_divisor or _GLPN_MULTIPLE
            network = _of_each_image("whole-multiples", (multiple, multiple), multiple)
            return {name: value for name, value in network.items() if name != "training_input_size"}
        edges = self._edges() if kind.multiple else None
        if edges:
            return self._by_edges(kind, edges)
        if self.name == "VJEPA2":  # which takes no notice of the size that its file states
            height, width = self._crop()
            return _cropped(int(height * 256 / 224), (height, width))
        sides = self._sides("size", square=kind.square)
        if isinstance(sides, tuple) and self.name in {"DPT", "ZoeDepth"}:
            multiple, keeps = self.wire.ensure_multiple_of, self.wire.keep_aspect_ratio
            if self.name == "ZoeDepth" if keeps is None else keeps:
                return _of_each_image("nearer-edge", sides, multiple)
            sides = (max(1, round(sides[0] / multiple)) * multiple, max(1, round(sides[1] / multiple)) * multiple)
        elif isinstance(sides, tuple) and self.name in _ROUNDED_UP:
            height, width = (-(-side // self._divisor(kind)) * self._divisor(kind) for side in sides)
            sides = (height, width)
        return self._with_crop(kind, sides)

    def _by_edges(self, kind: _Kind, edges: tuple[int, int]) -> dict[str, Any]:
        if self.name == "Eomt" and self.wire.do_pad:
            if edges[0] != edges[1]:
                raise self._refuse("one number for shortest_edge and longest_edge", f"{edges[0]}, {edges[1]}")
            return {"resize_mode": "shorter-edge-padded", "training_input_size": _named(edges)}
        if self.name in _ROUNDED_UP:
            return _of_each_image("shorter-edge-rounded-up", edges, self._divisor(kind))
        return _of_each_image("shorter-edge", edges, kind.multiple or 1)

    def _divisor(self, kind: _Kind) -> int:
        return (kind.multiple if self.wire.size_divisor is None else self.wire.size_divisor) or 1

    def _with_crop(self, kind: _Kind, sides: _Sides) -> dict[str, Any]:
        crop: _Sides | None = None
        if self.name == "ConvNext":
            if isinstance(sides, tuple):
                raise self._refuse("size.shortest_edge", f"size {_by(sides)}")
            crop = (sides, sides)
            sides = crop if sides >= _LARGE_CONVNEXT else int(sides / (self.wire.crop_pct or 0.875))
        elif kind.center_crop if self.wire.do_center_crop is None else self.wire.do_center_crop:
            crop = self._crop()
        elif kind.center_crop is None:
            self._required("do_center_crop")
        crop = crop or sides
        if not isinstance(crop, tuple):
            raise self._refuse("one size for every image", f"shortest_edge {sides} without a centre crop")
        return _cropped(sides, crop)

    def _crop(self) -> tuple[int, int]:
        sides = self._sides("crop_size", square=True)
        return (sides, sides) if isinstance(sides, int) else sides

    def _sides(self, name: str, *, square: bool) -> _Sides:
        value = self._required(name)
        if isinstance(value, int):
            return (value, value) if square else value
        if value.height and value.width:
            return value.height, value.width
        if value.shortest_edge and not value.longest_edge and name == "size":
            return int(value.shortest_edge)
        raise self._no_size(f"height and width, or shortest_edge, in {name}", value)

    def _no_size(self, needs: str, value: _WireSides) -> ModelImplementationNotFoundError:
        stated = ", ".join(sorted(side for side in value.__struct_fields__ if getattr(value, side))) or "nothing"
        return self._refuse(needs, stated)

    def _required(self, name: str) -> Any:
        """The value of key `name`, which must be present: releases of transformers have different defaults."""
        value = getattr(self.wire, name)
        if value is None:
            raise CorruptedModelPackageError(
                f"{self.where} does not say how images are prepared.", needs=f"the key {name}", found="no such key"
            )
        return value

    def _refuse(self, needs: str, found: str) -> ModelImplementationNotFoundError:
        return impossible(self.where, needs, found)


def _by(size: _Sides) -> str:
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def impossible(where: str, needs: str, found: str) -> ModelImplementationNotFoundError:
    """The error for preparation that goes beyond ours."""
    return ModelImplementationNotFoundError(
        f"{where} asks for pre-processing that this library does not do.",
        needs=needs,
        found=found,
        fix="write a package folder with an inference_config.json of your own, and load that",
    )

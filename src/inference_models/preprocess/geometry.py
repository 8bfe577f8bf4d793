"""Where every pixel of the network input comes from: sizes and offsets, no pixels touched."""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING

from inference_models.errors import InvalidParameterError
from inference_models.package.preprocess_spec import (
    MAX_PIXELS,
    MAX_SIDE,
    WITH_RESIZED,
    DynamicSize,
    ResizeMode,
)
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray
    from inference_models.package.preprocess_spec import PreprocessSpec, Size, StaticCrop

CropWindow = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels, right and bottom exclusive."""


class ImageTransform(Record, frozen=True):
    """How one image became a network input: crop, then scale, then shift. Undoes itself.

    Coordinates are continuous: (0, 0) is the top left corner of the top left pixel.
    """

    image_size: Size
    """(height, width) of the image the caller gave, after EXIF orientation."""
    network_size: Size
    """(height, width) of the network input."""
    scale: tuple[float, float]
    """(x, y) network pixels per image pixel."""
    shift: tuple[float, float]
    """(x, y) network pixels added after scaling: padding when positive, cropping when negative."""
    crop_offset: tuple[int, int] = (0, 0)
    """(x, y) image pixels that the static crop cut off at the left and top; negative: of a margin that was added."""
    crop_size: Size | None = None
    """(height, width) after the static crop and with the margin; None when there was neither."""

    def points_to_network(self, xy: NumpyArray) -> NumpyArray:
        """`xy` (..., 2) in image pixels, as (..., 2) float64 in network pixels."""
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        moved: NumpyArray = (np.asarray(xy, np.float64) - self.crop_offset) * self.scale + self.shift
        return moved

    def points_to_image(self, xy: Array, *, clamp: bool = False) -> Array:
        """`xy` (..., 2) in network pixels, in image pixels: same kind of array, same float dtype."""
        return self._to_image(xy, clamp=clamp, axis=-1)

    def covariance_to_image(self, covariance: Array) -> Array:
        """`covariance` (..., 2, 2) in square network pixels, in square image pixels."""
        from inference_models.arrays import device_of, namespace  # noqa: PLC0415

        xp = namespace(covariance)
        scale = xp.asarray(self.scale, dtype=covariance.dtype, device=device_of(covariance))
        return covariance / (scale[:, None] * scale[None, :])

    def boxes_to_image(self, xyxy: Array, *, clamp: bool = True) -> Array:
        """`xyxy` (n, 4) in network pixels, in image pixels, clamped to the image."""
        return self._to_image(xyxy, clamp=clamp, axis=-1)

    def shows(self, xyxy: Array) -> Array:
        """(n,) bool: which of `xyxy` (n, 4) in network pixels have an area inside the image."""
        x1, y1, x2, y2 = self._to_image(xyxy, clamp=True, axis=0)
        return (x2 > x1) & (y2 > y1)

    def cells_under(self, axis: int, cells: int) -> tuple[int, NumpyArray]:
        """Where the pixels of an axis lie on a map of `cells` over the network input; axis 0: x, 1: y.

        Returns:
            The first pixel that the network sees, and for it and those after it (k,) float64: the place of its centre,
            where 0 is the centre of the first cell. What lies in the padding has no part in it; a cell that the edge
            of the picture cuts is taken as equal parts, of which those on the edge count.
        """
        import numpy as np  # noqa: PLC0415

        scale, shift, room = self.scale[axis], self.shift[axis], self.network_size[1 - axis]
        length = (self.crop_size or self.image_size)[1 - axis]
        places = (np.arange(length) + 0.5) * scale + shift
        seen = np.flatnonzero((places > 0) & (places < room))
        first, last = max(shift, 0), min(shift + length * scale, room)
        part = math.gcd(max(1, room // cells), round(first), round(room - last)) / 2
        low, high = min(first + part, (first + last) / 2), max(last - part, (first + last) / 2)
        positions = np.clip(places[seen], low, high) * cells / room - 0.5
        start = int(seen[0]) if seen.size else 0
        return self.crop_offset[axis] + start, np.clip(positions, 0, cells - 1)

    def seen(self, axis: int) -> tuple[slice, slice]:
        """What the network sees of an axis, at least one pixel; axis 0: x, 1: y.

        Returns:
            In whole pixels the part of the network input that shows the picture, and the part of the picture it shows.
        """
        scale, shift, room = self.scale[axis], self.shift[axis], self.network_size[1 - axis]
        length, offset = (self.crop_size or self.image_size)[1 - axis], self.crop_offset[axis]
        within = _whole_pixels(shift, shift + length * scale, room)
        shown = _whole_pixels(-shift / scale, (room - shift) / scale, length)
        return within, slice(offset + shown.start, offset + shown.stop)

    def _to_image(self, values: Array, *, clamp: bool, axis: int) -> Array:
        """`values` (..., 2 or 4) in image pixels, with x and y along `axis`."""
        from inference_models.arrays import namespace  # noqa: PLC0415 - array-api-compat is imported when used

        xp = namespace(values)
        exact = xp.astype(values, xp.float64)
        columns = []  # NumPy is four times slower on rows of four
        for column in range(values.shape[-1]):
            side = column % 2
            moved = (exact[..., column] - self.shift[side]) / self.scale[side] + self.crop_offset[side]
            columns.append(moved.clip(0, self.image_size[1 - side]) if clamp else moved)
        return xp.astype(xp.stack(columns, axis=axis), values.dtype)


class Placement(Record, frozen=True):
    """Resize to `resized`, take `window` of it, put that at `at` of a frame of size `network`."""

    network: Size
    """(height, width) of the network input, or of the frame that is stretched to it."""
    resized: Size
    """(height, width) of the whole resized image, at least 1 x 1."""
    at: tuple[int, int]
    """(top, left) in the network input."""
    window: tuple[int, int, int, int]
    """(top, left, height, width) of the part of the resized image that is kept."""


class Plan(Record, frozen=True):
    """What happens to one image."""

    window: CropWindow | None
    """What the static crop keeps; None: everything."""
    placement: Placement
    transform: ImageTransform


def plan_image(spec: PreprocessSpec, size: Size, *, requested: Size | None = None, crops: bool = True) -> Plan:
    """What `spec` does to an image of `size` (height, width).

    Args:
        spec: The pre-processing.
        size: Of the image.
        requested: What `requested_size` made of the call's `image_size`.
        crops: False leaves the static crop out.
    """
    window = crop_window(spec.static_crop, size) if crops and spec.static_crop is not None else None
    left, top, right, bottom = window or (0, 0, size[1], size[0])
    if spec.margin:
        beside, above = (math.isqrt(9 * side // 2) for side in (right - left, bottom - top))
        left, top, right, bottom = left - beside, top - above, right + beside, bottom + above
    cropped = (bottom - top, right - left)
    target = target_size(spec, cropped, requested=requested)
    placement = place(spec, cropped, target=spec.frame or target)
    network = placement.network if spec.frame is None else target
    across, down = network[1] / placement.network[1], network[0] / placement.network[0]
    transform = ImageTransform(
        image_size=size,
        network_size=network,
        scale=(placement.resized[1] / cropped[1] * across, placement.resized[0] / cropped[0] * down),
        shift=((placement.at[1] - placement.window[1]) * across, (placement.at[0] - placement.window[0]) * down),
        crop_offset=(left, top),
        crop_size=cropped if window or spec.margin else None,
    )
    return Plan(window, placement, transform)


def crop_window(crop: StaticCrop, size: Size) -> CropWindow:
    """The part of an image of `size` that `crop` keeps; at least one pixel, however small the image is."""
    height, width = size
    left, right = _span(crop.x_min, crop.x_max, width)
    top, bottom = _span(crop.y_min, crop.y_max, height)
    return left, top, right, bottom


def place(spec: PreprocessSpec, image: Size, *, target: Size) -> Placement:
    """How an image of size `image` is fitted to `target`, both (height, width)."""
    if spec.resize in _SIZES:
        resized = _SIZES[spec.resize](image, target, (spec.dynamic or DynamicSize()).multiple)
        return _whole(resized, resized, at=(0, 0))
    if spec.resize is ResizeMode.CENTER_CROP:
        return _centred(image, target)
    if spec.resize is ResizeMode.FIT_LONGER_EDGE:
        return _fitted(spec, image, target)
    if spec.resize in WITH_RESIZED:
        return _cut_out(spec, _before_crop(spec, image, spec.resized or target), target)
    if spec.resize is ResizeMode.SHORTER_EDGE_CROP:
        keeps = spec.shorter_edge is not None or target[0] == target[1]
        return _cut_out(spec, _shorter_edge(spec.shorter_edge or target[0], image) if keeps else target, target)
    return _letterboxed(spec, image, target)


def target_size(spec: PreprocessSpec, image: Size, *, requested: Size | None) -> Size:
    """(height, width) that an image of size `image` is fitted to; `requested` is the call's `image_size`."""
    multiple = spec.dynamic.multiple if spec.dynamic else 1
    if requested is None and spec.size is not None:
        return spec.size
    return _rounded_up(requested or image, multiple)


def requested_size(spec: PreprocessSpec, image_size: int | tuple[int, int] | None) -> Size | None:
    """`image_size`, an int or (width, height), as (height, width); None stays None.

    Raises:
        InvalidParameterError: it is no size, or the network has one size and this is another.
    """
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, Integral) else image_size
    if not isinstance(sides, tuple | list) or len(sides) != 2 or not all(_is_side(side) for side in sides):
        raise InvalidParameterError(
            f"image_size={image_size!r} is not a size.",
            needs=f"a whole number of pixels up to {MAX_SIDE}, or (width, height)",
            found=repr(image_size),
            fix="pass for example image_size=640, or image_size=(1280, 720)",
        )
    requested = (int(sides[1]), int(sides[0]))
    if requested[0] * requested[1] > MAX_PIXELS:
        raise InvalidParameterError(
            f"image_size={image_size!r} is too large.",
            needs=f"at most {MAX_PIXELS} pixels",
            found=f"{requested[0] * requested[1]}",
            fix="cut the image into tiles",
        )
    if spec.size is None or spec.dynamic is not None or requested == spec.size:
        return requested
    raise InvalidParameterError(
        f"image_size={image_size!r} cannot be used: this network takes one size only.",
        needs="a package with a dynamic input size",
        found=f"width {spec.size[1]}, height {spec.size[0]}, fixed",
        fix="leave image_size out",
    )


def _whole_pixels(first: float, last: float, length: int) -> slice:
    start = min(max(0, round(first)), length - 1)
    return slice(start, max(start + 1, min(round(last), length)))


def _span(low: int, high: int, length: int) -> tuple[int, int]:
    first = min(int(low / 100 * length), length - 1)
    return first, max(int(high / 100 * length), first + 1)


def _is_side(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and 1 <= int(value) <= MAX_SIDE


def _rounded_up(size: Size, multiple: int) -> Size:
    height, width = size
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def _whole(resized: Size, network: Size, *, at: tuple[int, int]) -> Placement:
    return Placement(network=network, resized=resized, at=at, window=(0, 0, *resized))


def _letterboxed(spec: PreprocessSpec, image: Size, target: Size) -> Placement:
    """Sides are rounded as Ultralytics does, and cut off as YOLOX does, which pads at the end, as EoMT does."""
    if spec.resize is ResizeMode.SHORTER_EDGE_PADDED:
        return _whole(_shorter_within(image, (min(target), min(target)), 1), target, at=(0, 0))
    (height, width), (rows, columns) = image, target
    if spec.pad_at == "end":
        wide = width * rows > height * columns
        resized = (max(1, height * columns // width), columns) if wide else (rows, max(1, width * rows // height))
        return _whole(resized, target, at=(0, 0))
    scale = min(columns / width, rows / height)
    height, width = (max(1, round(side * scale)) for side in image)
    return _whole((height, width), target, at=((rows - height) // 2, (columns - width) // 2))


def _fitted(spec: PreprocessSpec, image: Size, target: Size) -> Placement:
    horizontal, vertical = target[1] / image[1], target[0] / image[0]
    if horizontal < vertical:
        resized = (max(1, round(horizontal * image[0])), target[1])
    else:
        resized = (target[0], max(1, round(vertical * image[1])))
    # A graph that needs sides of a multiple cannot run on others: the rest is padded at the right and bottom.
    return _whole(resized, _rounded_up(resized, (spec.dynamic or DynamicSize()).multiple), at=(0, 0))


def _centred(image: Size, target: Size) -> Placement:
    rows, columns = (_axis(side, room, spare=abs(room - side) // 2) for side, room in zip(image, target, strict=True))
    return _from_axes(image, target, rows, columns)


def _shorter_edge(edge: int, image: Size) -> Size:
    """Sizes truncate, as in the evaluation code of torchvision."""
    shorter = min(image)
    height, width = (edge if side == shorter else max(1, int(edge * side / shorter)) for side in image)
    return height, width


def _shorter_within(image: Size, target: Size, multiple: int) -> Size:
    """Sizes truncate, to `multiple` too, as in the processors of DETR and YOLOS of transformers 5.24."""
    (shorter, longer), (edge, most) = sorted(image), sorted(target)
    exact = min(edge, most * shorter / longer)
    sides = (round(exact) if side == shorter else int(exact * longer / shorter) for side in image)
    height, width = (max(multiple, side - side % multiple) for side in sides)
    return height, width


def _nearer_edge(image: Size, target: Size, multiple: int) -> Size:
    """Sides round half to even, as in `DPTImageProcessor` of transformers 5.24."""
    vertical, horizontal = (room / side for room, side in zip(target, image, strict=True))
    scale = horizontal if abs(1 - horizontal) < abs(1 - vertical) else vertical
    height, width = (max(1, round(scale * side / multiple)) * multiple for side in image)
    return height, width


def _shorter_at_least(image: Size, target: Size, multiple: int) -> Size:
    """Sides truncate, then round half to even, as in `DetResizeForTest` of PaddleOCR 3."""
    (shorter, longer), (edge, most) = sorted(image), sorted(target)
    scale = min(max(1.0, edge / shorter), most / longer)
    height, width = (max(multiple, round(int(side * scale) / multiple) * multiple) for side in image)
    return height, width


def _whole_multiples(image: Size, _target: Size, multiple: int) -> Size:
    height, width = (max(multiple, side - side % multiple) for side in image)
    return height, width


def _line(image: Size, target: Size, _multiple: int) -> Size:
    height, widest = target
    return height, min(math.ceil(height * (image[1] / image[0])), widest)


_SIZES = {
    ResizeMode.STRETCH: lambda _image, target, _multiple: target,
    ResizeMode.SHORTER_EDGE: _shorter_within,
    ResizeMode.SHORTER_EDGE_ROUNDED_UP: lambda image, target, multiple: _rounded_up(
        _shorter_within(image, target, 1), multiple
    ),
    ResizeMode.SHORTER_EDGE_AT_LEAST: _shorter_at_least,
    ResizeMode.LINE: _line,
    ResizeMode.NEARER_EDGE: _nearer_edge,
    ResizeMode.WHOLE_MULTIPLES: _whole_multiples,
}
"""Size of the resized image, which is that of the network input, for its own, the target and what sides divide by."""


def _before_crop(spec: PreprocessSpec, image: Size, resized: Size) -> Size:
    """Sides round half to even, as in `ResizeKeepRatio` of timm 1.0."""
    if spec.resize is ResizeMode.STRETCH_CROP:
        return resized
    ratios = [side / room for side, room in zip(image, resized, strict=True)]
    ratio = max(ratios) if spec.resize is ResizeMode.FIT_CROP else min(ratios)
    height, width = (max(1, round(side / ratio)) for side in image)
    return height, width


def _cut_out(spec: PreprocessSpec, resized: Size, target: Size) -> Placement:
    """Offsets as in the evaluation code of torchvision, or of transformers 5.24, which never rounds to even."""

    def spare(side: int, room: int) -> int:
        if spec.center_as == "transformers":
            return (side - room) // 2 if side > room else -(-(room - side) // 2)
        return (room - side) // 2 if side < room else round((side - room) / 2)

    rows, columns = (_axis(side, room, spare=spare(side, room)) for side, room in zip(resized, target, strict=True))
    return _from_axes(resized, target, rows, columns)


def _axis(side: int, room: int, *, spare: int) -> tuple[int, int, int]:
    """(offset in the network, offset in the image, length) of what both have along one axis."""
    return (spare, 0, side) if side <= room else (0, spare, room)


def _from_axes(resized: Size, network: Size, rows: tuple[int, int, int], columns: tuple[int, int, int]) -> Placement:
    window = (rows[1], columns[1], rows[2], columns[2])
    return Placement(network=network, resized=resized, at=(rows[0], columns[0]), window=window)

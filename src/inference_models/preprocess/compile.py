"""A `PreprocessSpec`, checked once and turned into a function from images to network inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.decoders.maps import resize
from inference_models.entities import PreProcessingOverrides
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.preprocess_spec import ResizeMode
from inference_models.preprocess.geometry import plan_image, requested_size
from inference_models.preprocess.values import BufferPool, PixelWriter, to_uint8
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from inference_models.arrays import NumpyArray
    from inference_models.entities import ColorFormat
    from inference_models.package.preprocess_spec import PreprocessSpec, Size
    from inference_models.preprocess.geometry import ImageTransform, Placement, Plan
    from inference_models.preprocess.pixels import SourceImage

DTYPES = ("float32", "float16", "uint8")
_NOTHING_DISABLED = PreProcessingOverrides()


class PreparedImages(Record, frozen=True, eq=False):
    """Network inputs for some images, and the way back to each of them.

    The arrays belong to the caller, for as long as it likes. Whoever is done with them may call `release` (or
    use `with`): later calls then write into the same memory instead of faulting in new pages, so nothing may
    look at the arrays, or at anything that shares memory with them, afterwards. Not releasing is always safe.
    """

    batches: list[NumpyArray]
    """One contiguous array (B, 3, H, W) for all images; when their network sizes differ, one of batch size 1 per
    image, in their order. (B, H, W, 3) when the layout is `nhwc`."""
    transforms: list[ImageTransform]
    """One per image, in their order."""
    _pool: BufferPool

    @property
    def inputs(self) -> NumpyArray | list[NumpyArray]:
        """The one array of `batches`, or all of them where the images lead to different network sizes."""
        return self.batches[0] if len(self.batches) == 1 else self.batches

    def release(self) -> None:
        """Give the arrays back; a second call does nothing."""
        while self.batches:
            self._pool.give(self.batches.pop())

    def __enter__(self) -> PreparedImages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Preprocessor:
    """A compiled spec. Keeps no state between calls but idle buffers: call it from as many threads as you like."""

    def __init__(self, spec: PreprocessSpec, dtype: np.dtype[np.generic]) -> None:
        self._spec = spec
        self._dtype = dtype
        self._pool = BufferPool()
        self._writer = PixelWriter(spec, dtype, self._pool)

    def __call__(
        self,
        images: Sequence[SourceImage],
        *,
        image_size: int | tuple[int, int] | None = None,
        overrides: PreProcessingOverrides | None = None,
    ) -> PreparedImages:
        """The network inputs for `images`.

        Args:
            images: At least one.
            image_size: Network size, one side or (width, height), for networks whose size is dynamic.
            overrides: Steps to leave out.

        Raises:
            InvalidParameterError: `image_size` is no size, or the network has another, fixed one.
        """
        requested = requested_size(self._spec, image_size)
        overrides = overrides or _NOTHING_DISABLED
        crops = not overrides.disable_static_crop
        plans = [plan_image(self._spec, image.size, requested=requested, crops=crops) for image in images]
        sizes = {plan.transform.network_size for plan in plans}
        counts = [len(plans)] if len(sizes) == 1 else [1] * len(plans)
        batches = []
        position = 0
        for count in counts:
            size = plans[position].transform.network_size
            channels = self._spec.channels
            shape = (count, channels, *size) if self._spec.layout == "nchw" else (count, *size, channels)
            batch = self._pool.take(shape, self._dtype)
            for row in range(count):
                self._fill(images[position], plans[position], overrides, out=batch[row])
                position += 1
            batches.append(batch)
        return PreparedImages(batches, [plan.transform for plan in plans], self._pool)

    def _fill(self, image: SourceImage, plan: Plan, overrides: PreProcessingOverrides, *, out: NumpyArray) -> None:
        left, top, right, bottom = plan.window or (None,) * 4
        pixels = image.pixels[top:bottom, left:right]
        if self._spec.margin:
            pixels = _with_margin(pixels, plan.transform)
        if self._spec.channels == 1 or (self._spec.grayscale and not overrides.disable_grayscale):
            pixels = _to_grayscale(pixels, image.color)
        if self._spec.contrast is not None and not overrides.disable_contrast_enhancement:
            from inference_models.preprocess.contrast import enhance  # noqa: PLC0415 - few packages ask for it

            pixels = enhance(to_uint8(pixels), self._spec.contrast)
        if pixels.shape[:2] == plan.placement.resized == plan.placement.network == plan.transform.network_size:
            self._writer.write(pixels, image.color, out)
            return
        if self._spec.as_float:
            pixels = pixels.astype(np.float32, copy=False)
        elif self._spec.antialias:
            pixels = to_uint8(pixels)
        frame = self._pool.take((*plan.placement.network, 3), pixels.dtype)
        self._compose(pixels, plan.placement, frame, image.color)
        stretched = frame if self._spec.frame is None else self._stretched(frame, plan.transform.network_size)
        self._writer.write(stretched, image.color, out)
        self._pool.give(frame)

    def _compose(self, pixels: NumpyArray, placement: Placement, frame: NumpyArray, color: ColorFormat) -> None:
        """`pixels`, resized and cut out as `placement` says, into `frame`, with the rest filled."""
        if self._spec.resize is ResizeMode.LETTERBOX_REFLECT_EDGES:
            _reflect_into(frame, self._resized(pixels, placement.resized), placement.at)
            return
        top, left, height, width = placement.window
        y, x = placement.at
        inside = frame[y : y + height, x : x + width]
        if (height, width) == placement.resized:
            self._resize_into(inside, pixels)
        else:
            inside[:] = self._resized(pixels, placement.resized)[top : top + height, left : left + width]
        _fill_around(frame, (y, x, y + height, x + width), self._around(color))

    def _around(self, color: ColorFormat) -> int | tuple[int, ...]:
        """What stands around an image whose channels are in the order `color`."""
        if self._spec.resize in _CROPS:
            return 0
        value = self._spec.pad_value
        return value[::-1] if isinstance(value, tuple) and color != self._spec.color else value

    def _stretched(self, frame: NumpyArray, size: Size) -> NumpyArray:
        """The second of two resizes, which alone is smooth where `antialias` is asked for: as RF-DETR is trained."""
        return _smoothed(frame, size, self._spec.interpolation) if self._spec.antialias else self._resized(frame, size)

    def _resized(self, pixels: NumpyArray, size: Size) -> NumpyArray:
        if pixels.shape[:2] == size:
            return pixels
        resized = np.empty((*size, 3), pixels.dtype)
        self._resize_into(resized, pixels)
        return resized

    def _resize_into(self, target: NumpyArray, pixels: NumpyArray) -> None:
        import cv2  # noqa: PLC0415

        if pixels.shape == target.shape:
            target[:] = pixels
            return
        if self._spec.antialias and self._spec.frame is None:
            target[:] = _smoothed(pixels, (target.shape[0], target.shape[1]), self._spec.interpolation)
            return
        if self._spec.interpolation == "corners":
            size = (target.shape[0], target.shape[1])
            for channel in range(3):
                target[..., channel] = resize(pixels[..., channel].astype(np.float32), size, "corners")
            return
        flag = getattr(cv2, _INTERPOLATIONS[self._spec.interpolation][0])
        cv2.resize(pixels, (target.shape[1], target.shape[0]), target, interpolation=flag)


_CROPS = (ResizeMode.CENTER_CROP, ResizeMode.SHORTER_EDGE_CROP, ResizeMode.STRETCH_CROP)
_INTERPOLATIONS = {
    "nearest": ("INTER_NEAREST", "NEAREST"),
    "linear": ("INTER_LINEAR", "BILINEAR"),
    "cubic": ("INTER_CUBIC", "BICUBIC"),
    "area": ("INTER_AREA", "BOX"),
    "lanczos": ("INTER_LANCZOS4", "LANCZOS"),
    "hamming": ("", "HAMMING"),
    "corners": ("", ""),
}
"""Names of OpenCV and of Pillow; all but `corners` map pixel centres, as the transform has it."""


def compile_spec(spec: PreprocessSpec, *, dtype: str = "float32") -> Preprocessor:
    """The function that `spec` describes, for a graph that takes `dtype`: float32, float16 or uint8.

    Raises:
        CorruptedModelPackageError: `spec` contradicts the graph's dtype.
        InvalidParameterError: `dtype` is none that a network input can have.
    """
    if dtype not in DTYPES:
        raise InvalidParameterError(
            f"a network input of dtype {dtype!r} cannot be filled with images.",
            needs=", ".join(DTYPES),
            found=repr(dtype),
            fix="export the graph with a float32 input",
        )
    if dtype == "uint8" and (spec.scaling_factor not in (None, 1) or spec.mean or spec.std):
        raise CorruptedModelPackageError(
            "the graph takes uint8 pixels, the configuration scales or normalises them.",
            needs="no scaling_factor, mean or std with a uint8 graph",
            found=f"scaling_factor={spec.scaling_factor}, mean={spec.mean}, std={spec.std}",
            fix="correct the package's pre-processing configuration",
        )
    return Preprocessor(spec, np.dtype(dtype))


def _smoothed(pixels: NumpyArray, size: Size, interpolation: str) -> NumpyArray:
    """`pixels` (H, W, 3) uint8 or float32 resized to (height, width) by Pillow, in whole grey levels or exactly."""
    from PIL import Image  # noqa: PLC0415

    kernel = Image.Resampling[_INTERPOLATIONS[interpolation][1]]
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(size[::-1], kernel))
    planes = [np.ascontiguousarray(pixels[..., channel]) for channel in range(3)]
    return np.stack([np.asarray(Image.fromarray(plane).resize(size[::-1], kernel)) for plane in planes], axis=-1)


def _with_margin(pixels: NumpyArray, transform: ImageTransform) -> NumpyArray:
    """`pixels` with the mirrored margin that `transform` counts in."""
    import cv2  # noqa: PLC0415

    height, width = transform.crop_size or transform.image_size
    down, across = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    return np.asarray(cv2.copyMakeBorder(pixels, down, down, across, across, cv2.BORDER_REFLECT_101))


def _to_grayscale(pixels: NumpyArray, color: ColorFormat) -> NumpyArray:
    """`pixels` (H, W, 3) with the luma of ITU-R BT.601 in all three channels, same dtype."""
    import cv2  # noqa: PLC0415

    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY if color == "bgr" else cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.merge([grey, grey, grey]))


def _fill_around(frame: NumpyArray, inside: tuple[int, int, int, int], value: int | tuple[int, ...]) -> None:
    top, left, bottom, right = inside
    frame[:top] = value
    frame[bottom:] = value
    frame[top:bottom, :left] = value
    frame[top:bottom, right:] = value


def _reflect_into(frame: NumpyArray, resized: NumpyArray, at: tuple[int, int]) -> None:
    import cv2  # noqa: PLC0415

    top, left = at
    bottom, right = frame.shape[0] - top - resized.shape[0], frame.shape[1] - left - resized.shape[1]
    cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_REFLECT_101, frame)

"""What models that are one graph and answer with a map of the picture share: checks, and the way back to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import as_kind, is_torch, to_torch
from inference_models.record import replace
from inference_models.tasks.graph_runner import OpenedPackage, PerImage, RawOutputs

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray
    from inference_models.decoders.maps import MapLayout, Window
    from inference_models.preprocess.geometry import ImageTransform


class MapReader(PerImage):
    """From images to maps in their sizes, of which a task makes its answers. Mixed into the base of the task."""

    def __init__(self, graph: OpenedPackage, layout: MapLayout) -> None:
        spec = graph.preprocess
        self._layout = replace(layout, channels_last=spec.layout == "nhwc")
        shapes = [output.shape for output in graph.session.outputs]
        self._channels = self._layout.check(shapes, None if spec.dynamic else spec.size)
        super().__init__(graph, lambda _: None)

    def _cells(self, image: RawOutputs) -> NumpyArray:
        """(h, w) or (C, h, w) of one image."""
        return self._layout.select(image.outputs, image.frame)

    def _on_image(self, seen: NumpyArray, transform: ImageTransform, *, fill: float, device: str | None) -> Array:
        """`seen` on the pixels of the image, with `fill` around it; a tensor on `device`, or as it was asked for."""
        import numpy as np  # noqa: PLC0415

        if seen.shape != transform.image_size:
            shown = (transform.seen(1)[1], transform.seen(0)[1])
            inside = tuple(
                slice(max(0, -part.start), side - part.start)
                for part, side in zip(shown, transform.image_size, strict=True)
            )
            whole = np.full(transform.image_size, fill, seen.dtype)
            whole[tuple(slice(max(0, part.start), part.stop) for part in shown)] = seen[inside]
            seen = whole
        if self._arrays is not None:
            return as_kind(seen, self._arrays)
        return seen if device is None else to_torch(seen, device)


def device_of_torch(output: Array) -> str | None:
    """Where a tensor is; None of NumPy arrays."""
    return str(output.device) if is_torch(output) else None


def window_of(transform: ImageTransform) -> Window:
    """The part of the network input that shows the picture of `transform`."""
    from inference_models.decoders.maps import Window  # noqa: PLC0415 - brings NumPy

    (rows, height), (columns, width) = transform.seen(1), transform.seen(0)
    size = (height.stop - height.start, width.stop - width.start)
    return Window(rows, columns, transform.network_size, size)

"""Mask transformers: queries, each with logits of classes, the last of which stands for nothing, and a map of logits.

The answers of one picture, as the post-processing of transformers 5.24 makes them:

1. Semantic: the score of a class at a cell is the sum over the queries of its share times the sigmoid of the map.
2. Instances: of all pairs of query and class the Q with the largest share, or of each query its best class. A mask is
   where the map is above 0, and a score the share times the mean sigmoid inside the mask. Masks may overlap.
3. Segments: queries whose best class is one and above the threshold share the pixels out: each goes to the largest
   product of share and sigmoid. A query that keeps too little of where its own value is above one half is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.decoders.candidates import sigmoid
from inference_models.decoders.classes import softmax
from inference_models.decoders.layout import Layout
from inference_models.decoders.maps import MapLayout, Window, as_float32, nearest, resize
from inference_models.decoders.masks import check_map_size
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from inference_models.arrays import NumpyArray
    from inference_models.decoders.types import Frame, Outputs, Shapes

_HALF = 0.5
_KEPT = 0.8
"""Part of its pixels that a segment has to keep."""
_LAYOUT = Layout(
    "two outputs (B, Q, C + 1), (B, Q, h, w)",
    ((None, None, None), (None, None, None, None)),
    class_axis=(0, 2),
    words=(("class", "logit"), ("mask",)),
)


class Segment(Record, frozen=True):
    """Pixels that belong together."""

    class_id: int
    score: float
    mask: NumpyArray
    """(height, width) bool of a window, with at least one pixel."""


class QueryMaps(MapLayout, frozen=True, kw_only=True):
    """How one project makes answers of the queries of its networks; for semantic maps also a layout of these."""

    canvas: tuple[int, int] | Literal["input"] | None = None
    """(height, width) in cells that maps are brought to first; "input": to the pixels of the network input."""
    of_pixels: bool = False
    """Whether masks and scores of instances are made on the pixels of the picture, of the best class of each query."""
    shared: bool = False
    """Whether instances share the pixels out too, by products of share and logit (OneFormer)."""
    trimmed: bool = False
    """Whether segments end where their own sigmoid is one half, and the products play no part in what they keep."""

    def check(self, shapes: Shapes, frame: Frame | None) -> int | None:
        """Number of classes of a graph with outputs of these shapes, over an input of `frame`.

        Raises:
            CorruptedModelPackageError: the outputs are others, or do not cover the input.
        """
        count = _LAYOUT.count_classes(shapes)
        for shape in shapes[:2]:
            if len(shape) == 4:
                check_map_size(shape, frame)
        return None if count is None else count - 1

    def select(self, outputs: Outputs, frame: Frame) -> NumpyArray:
        """(C, h, w) float32 scores of the classes of the one image in `outputs`."""
        shares, maps = self._queries(outputs, frame)
        scores = [sigmoid(self._on_canvas(cells, frame)) for cells in maps]
        return np.asarray(np.tensordot(shares[:, :-1].T, np.stack(scores), 1))

    def instances(self, outputs: Outputs, window: Window, passes: Callable[[int, float], bool]) -> Iterator[Segment]:
        """The instances of the one image in `outputs`; `passes` tells of a class and a score whether it counts."""
        shares, maps = self._queries(outputs, window.frame)
        pairs = [pair for pair in self._pairs(shares[:, :-1]) if passes(pair[1], pair[2])]  # scores are no larger
        if self.shared:
            yield from _shared_out([(*pair, maps[pair[0]]) for pair in pairs], window, ())
            return
        for query, class_id, share in pairs:
            on_canvas = self._on_canvas(maps[query], window.frame)
            cells = window.resized(on_canvas, "linear") if self.of_pixels else on_canvas
            inside = cells > 0
            score = share * float((sigmoid(cells) * inside).sum() / (inside.sum() + 1e-6))
            mask = inside if self.of_pixels else nearest(window.part(inside, "nearest"), window.size)
            if mask.any() and passes(class_id, score):
                yield Segment(class_id, score, mask)

    def segments(
        self, outputs: Outputs, window: Window, passes: Callable[[int, float], bool], fused: Iterable[int]
    ) -> Iterator[Segment]:
        """Instances that do not overlap, also of what cannot be counted; those of a class in `fused` are one."""
        shares, maps = self._queries(outputs, window.frame)
        best = shares.argmax(1)
        kept = []
        for query in np.flatnonzero(best < shares.shape[1] - 1):
            class_id, share = int(best[query]), float(shares[query].max())
            if passes(class_id, share):
                cells = self._on_canvas(maps[query], window.frame)
                kept.append((int(query), class_id, share, cells if self.trimmed else sigmoid(cells)))
        return _shared_out(kept, window, fused, trimmed=self.trimmed)

    def _queries(self, outputs: Outputs, frame: Frame) -> tuple[NumpyArray, NumpyArray]:
        """(Q, C + 1) shares of the classes and (Q, h, w) logits of the one image in `outputs`."""
        self.check([tuple(output.shape) for output in outputs], frame)
        logits, maps = (as_float32(output)[0] for output in _LAYOUT.select(outputs))
        return to_numpy(softmax(logits)), maps

    def _on_canvas(self, cells: NumpyArray, frame: Frame) -> NumpyArray:
        size = frame if self.canvas == "input" else self.canvas
        return cells if size is None else resize(cells, size, "linear")

    def _pairs(self, shares: NumpyArray) -> list[tuple[int, int, float]]:
        """Query, class and share (Q, C) of what may be an instance."""
        queries, classes = shares.shape
        if self.of_pixels:
            best = shares.argmax(1)
            return [(query, int(best[query]), float(shares[query, best[query]])) for query in range(queries)]
        places = np.argsort(-shares.reshape(-1), kind="stable")[:queries]
        return [(int(place // classes), int(place % classes), float(shares.reshape(-1)[place])) for place in places]


def _shared_out(
    queries: list[tuple[int, int, float, NumpyArray]], window: Window, fused: Iterable[int], *, trimmed: bool = False
) -> Iterator[Segment]:
    """Segments of queries, each with its class, share, and cells; logits where they are `trimmed`."""
    if not queries:
        return
    values = np.stack([window.resized(cells, "linear") for *_, cells in queries])
    shares = np.array([share for _, _, share, _ in queries], np.float32)[:, None, None]
    values = sigmoid(values) if trimmed else values
    products = values * shares
    owner = products.argmax(0)
    found: dict[int, Segment] = {}
    for row, (_, class_id, share, _) in enumerate(queries):
        mask, own = owner == row, (values if trimmed else products)[row] >= _HALF
        kept = mask & own if trimmed else mask
        if not kept.any() or not own.any() or mask.sum() / own.sum() <= _KEPT:
            continue
        key = class_id if class_id in fused else -1 - row
        if key in found:
            np.logical_or(found[key].mask, kept, out=found[key].mask)
        else:
            found[key] = Segment(class_id, share, kept)
    yield from found.values()

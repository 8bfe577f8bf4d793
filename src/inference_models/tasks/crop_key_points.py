"""Key points of objects that somebody else has found: one crop around each box, and one row of the graph for it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from inference_models.arrays import is_torch, to_numpy
from inference_models.errors import CorruptedModelPackageError, ModelInputError
from inference_models.package.preprocess_spec import ResizeMode
from inference_models.predictions.detections import Detections
from inference_models.predictions.key_points import KeyPoints
from inference_models.preprocess.crops import Window, cut, window_of
from inference_models.record import Record, replace
from inference_models.tasks.graph_options import CropPointOptions, parse_image_options, parse_share
from inference_models.tasks.graph_runner import GraphModel, OpenedPackage
from inference_models.tasks.key_point_models import KeyPointsAnswer, KeyPointsDetectionModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.families import CropPointGraph
    from inference_models.package.inference_config import TopDown
    from inference_models.preprocess.crops import Box
    from inference_models.preprocess.inputs import ImageList
    from inference_models.preprocess.pixels import SourceImage

MOST_CROPS = 32
"""Of one run of the graph."""
OUTPUTS = {"keypoints": (2,), "sigmas": (2,), "presence": (), "scores": ()}
"""Names, and what comes after (B, S)."""

CropInputs: TypeAlias = "tuple[NumpyArray, NumpyArray]"
"""(B, 3, h, w) crops, and (B,) float32: the root of the part of its window that each box is."""


class Crop(Record, frozen=True):
    """One object to look at."""

    image: int
    """Number of its image in the call."""
    box: Box
    class_id: int
    confidence: float
    """Of whoever found it; 1 where nobody says."""
    window: Window


class CropsOfImages(Record, frozen=True):
    """What leads from the rows of the graph back to the images."""

    images: int
    crops: list[Crop]


class CropKeyPointDetector(GraphModel, KeyPointsDetectionModel[CropInputs, CropsOfImages, "dict[str, Array]"]):
    """A head that finds key points in crops, on any backend. Safe to call from many threads.

    Every method takes the options of `CropPointOptions` by name.
    """

    OPTIONS = CropPointOptions

    def __init__(self, package: OpenedPackage, family: CropPointGraph) -> None:
        stated, names = package.top_down, package.key_points
        if stated is None or names is None:
            raise CorruptedModelPackageError(
                f"{package.label} does not say where its key points are.",
                needs="top_down in inference_config.json, and keypoints_metadata.json",
                found="only one of them" if stated or names else "neither",
            )
        names.check_classes(package.class_names)
        spec = package.preprocess
        # A crop is cut from the picture as it is; nothing but colours and scale is left to do.
        plain = replace(spec, resize=ResizeMode.STRETCH, static_crop=None, contrast=None, grayscale=False, frame=None)
        super().__init__(replace(package, preprocess=plain))
        self._offsets = _offsets(stated, package.class_names, names.classes)
        slots = max(map(sum, zip(self._offsets, map(len, names.classes), strict=True)), default=0)
        _check_outputs(package, {"heatmaps": (None, None)} if family.heatmaps else OUTPUTS, slots)
        self._heatmaps = family.heatmaps
        self._stated, self._size, self._points = stated, spec.size or (1, 1), names
        self._names, self._threshold = package.class_names, family.key_points_threshold

    @property
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""
        return list(self._names)

    @property
    def key_points_classes(self) -> list[list[str]]:
        """Per class the names of its key points, in the order of their slots."""
        return [list(names) for names in self._points.classes]

    @property
    def skeletons(self) -> list[list[tuple[int, int]]]:
        """Per class the pairs of key points, numbered from 0, that a line joins."""
        return [list(lines) for lines in self._points.skeletons]

    def infer(self, images: object, **kwargs: Any) -> KeyPointsAnswer:
        """One `KeyPoints` and one `Detections` per image, both with a row per box, in the order of the boxes.

        The score of an object is that of whoever found it, times that of its pose.

        Args:
            images: one image or a list, as every model takes them.
            **kwargs: `CropPointOptions`. Without `boxes` each image is one object of the first class.

        Raises:
            ModelInputError: an image or a box cannot be used, or there are boxes of another number of images.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        listed, found = self._found(images, kwargs)
        crops: list[Crop] = []
        rows = [self._nothing()]
        while part := list(islice(found, MOST_CROPS)):
            crops += [crop for crop, _ in part]
            rows.append(self.forward(self._inputs(part)))
        joined = {name: _joined([row[name] for row in rows]) for name in OUTPUTS}
        return self.post_process(joined, CropsOfImages(len(listed), crops), **kwargs)

    def pre_process(self, images: object, **kwargs: Any) -> tuple[CropInputs, CropsOfImages]:
        """The crops around the boxes, and what they show."""
        listed, found = self._found(images, kwargs)
        parts = list(found)
        return self._inputs(parts), CropsOfImages(len(listed), [crop for crop, _ in parts])

    def forward(self, pre_processed_images: CropInputs, **kwargs: Any) -> dict[str, Array]:
        """The outputs of the graph by name, one row per crop.

        Raises:
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        pixels, parts = pre_processed_images
        if not len(pixels):
            return self._nothing()
        if not self._heatmaps:
            return self._runner.run_crops(pixels, MOST_CROPS, parts)
        from inference_models.decoders.heatmap_points import points_of_heatmaps  # noqa: PLC0415 - brings NumPy

        return points_of_heatmaps(self._runner.run_crops(pixels, MOST_CROPS)["heatmaps"])

    def post_process(
        self, model_results: dict[str, Array], pre_processing_meta: CropsOfImages, **kwargs: Any
    ) -> KeyPointsAnswer:
        """Key points and boxes in pixels of the images."""
        import numpy as np  # noqa: PLC0415

        self._check(kwargs)
        threshold = parse_share(kwargs, "key_points_threshold", self._threshold)
        crops = pre_processing_meta.crops
        objects = _objects(model_results, crops, self._offsets, [len(names) for names in self._points.classes])
        image = np.array([crop.image for crop in crops], np.int64)
        rows = [np.flatnonzero(image == number) for number in range(pre_processing_meta.images)]
        like = model_results["scores"]
        points = [self._as_asked(self._key_points(objects, row, threshold), like) for row in rows]
        boxes = [(objects["boxes"][row], objects["class_id"][row], objects["score"][row]) for row in rows]
        found = [self._as_asked(Detections(*box, class_names=self._names), like) for box in boxes]
        return points, found

    def _found(
        self, images: object, options: Mapping[str, Any]
    ) -> tuple[ImageList, Iterator[tuple[Crop, SourceImage]]]:
        from inference_models.preprocess.inputs import list_images  # noqa: PLC0415

        self._check(options)
        request = parse_image_options(options)
        listed = list_images(images, input_color_format=request.input_color_format, input_range=request.input_range)
        asked = [_given(options, name, len(listed)) for name in ("boxes", "class_ids", "detection_confidences")]
        return listed, self._cut(listed, *asked)

    def _cut(
        self, listed: ImageList, boxes: Sequence[Any], class_ids: Sequence[Any], confidences: Sequence[Any]
    ) -> Iterator[tuple[Crop, SourceImage]]:
        for number, given in enumerate(zip(boxes, class_ids, confidences, strict=True)):
            (image,) = listed.load(number, number + 1)
            for box, class_id, confidence in _rows(*given, image.size, len(self._names), number):
                window = window_of(box, self._stated, self._size, image.size)
                crop = replace(image, pixels=cut(image.pixels, window, self._stated, self._size))
                yield Crop(number, box, class_id, confidence, window), crop

    def _inputs(self, parts: list[tuple[Crop, SourceImage]]) -> CropInputs:
        import numpy as np  # noqa: PLC0415

        shares = np.array([crop.window.share(crop.box) for crop, _ in parts], np.float32)
        if not parts:
            return np.zeros((0, 3, *self._size), np.float32), shares
        return self._runner.batch_of([image for _, image in parts]), shares

    def _nothing(self) -> dict[str, Array]:
        import numpy as np  # noqa: PLC0415

        slots = max(map(sum, zip(self._offsets, map(len, self._points.classes), strict=True)), default=0)
        return {name: np.zeros((0, slots, *more), np.float32) for name, more in OUTPUTS.items()}

    def _key_points(self, objects: dict[str, NumpyArray], rows: NumpyArray, threshold: float) -> KeyPoints:
        import numpy as np  # noqa: PLC0415

        confidence = objects["confidence"][rows]
        missing = ~(confidence >= threshold)
        return KeyPoints(
            xy=np.where(missing[..., None], 0, objects["xy"][rows]).astype(np.float32),
            class_id=objects["class_id"][rows],
            confidence=np.where(missing, 0, confidence).astype(np.float32),
            covariance=np.where(missing[..., None, None], np.nan, objects["covariance"][rows]).astype(np.float32),
            detection_confidence=objects["score"][rows],
            class_names=self._names,
        )

    def _as_asked(self, prediction: Any, like: Array) -> Any:
        kind = self._package.arrays or ("torch" if is_torch(like) else "numpy")
        return prediction.torch(like.device if is_torch(like) else None) if kind == "torch" else prediction


def _offsets(stated: TopDown, class_names: Sequence[str], points: Sequence[Sequence[str]]) -> list[int]:
    """The first slot of each class.

    Raises:
        CorruptedModelPackageError: a class has no slots, or another number of them than names of key points.
    """
    by_name = {slots.name: slots for slots in stated.keypoint_classes}
    offsets = []
    for name, names in zip(class_names, points, strict=True):
        slots = by_name.get(name)
        if slots is None or slots.count != len(names):
            raise CorruptedModelPackageError(
                f"top_down in inference_config.json does not suit class {name!r}.",
                needs=f"an entry of keypoint_classes for it with count {len(names)}, as in keypoints_metadata.json",
                found="none" if slots is None else f"count {slots.count}",
            )
        offsets.append(slots.offset)
    return offsets


def _check_outputs(package: OpenedPackage, outputs: Mapping[str, tuple[int | None, ...]], slots: int) -> None:
    found = {spec.name: spec.shape for spec in package.session.outputs}
    fits = all(
        name in found and (not found[name] or (len(found[name]) == 2 + len(more) and found[name][1] in {None, slots}))
        for name, more in outputs.items()
    )
    if not fits:
        raise CorruptedModelPackageError(
            f"{package.label}: the outputs of the graph are not those of its architecture and its classes.",
            needs=", ".join(f"{name!r} {('B', slots, *more)}" for name, more in outputs.items()),
            found=", ".join(f"{name!r} {shape}" for name, shape in found.items()),
            fix="take graph and configuration from one model",
        )


def _given(options: Mapping[str, Any], name: str, images: int) -> Sequence[Any]:
    """What a call says of each image; None for each where it says nothing."""
    given = options.get(name)
    if given is None:
        return [None] * images
    if not isinstance(given, list | tuple) or len(given) != images:
        found = f"{len(given)}" if isinstance(given, list | tuple) else type(given).__name__
        raise ModelInputError(
            f"{name} cannot be used.", needs=f"a list with one entry for each of {images} images", found=found
        )
    return given


def _rows(
    boxes: object, class_ids: object, confidences: object, size: tuple[int, int], classes: int, number: int
) -> list[tuple[Box, int, float]]:
    """The objects of one image that a call names: the whole image where it names no box."""
    import numpy as np  # noqa: PLC0415

    whole = [[0, 0, size[1], size[0]]]
    xyxy = _numbers(whole if boxes is None else boxes, "boxes", number).reshape(-1, 4)
    count = len(xyxy)
    ids = np.zeros(count) if class_ids is None else _numbers(class_ids, "class_ids", number).reshape(-1)
    sure = np.ones(count) if confidences is None else _numbers(confidences, "detection_confidences", number).reshape(-1)
    if len(ids) != count or len(sure) != count:
        raise ModelInputError(
            f"image {number + 1}: boxes, class_ids and detection_confidences are not of the same objects.",
            needs=f"{count} of each",
            found=f"{len(ids)} class_ids, {len(sure)} detection_confidences",
        )
    wrong = [value for value in ids if not 0 <= value < classes or value != int(value)]
    if wrong:
        raise ModelInputError(
            f"image {number + 1}: the model has no class {wrong[0]:g}.",
            needs=f"class_ids from 0 to {classes - 1}",
            found=f"{wrong[0]:g}",
        )
    boxes_of = [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in xyxy]
    return list(zip(boxes_of, ids.astype(int).tolist(), sure.tolist(), strict=True))


def _numbers(value: object, name: str, number: int) -> NumpyArray:
    import numpy as np  # noqa: PLC0415

    try:
        array = np.asarray(to_numpy(value), np.float64)
    except (TypeError, ValueError) as exc:
        raise ModelInputError(
            f"image {number + 1}: {name} are no numbers.", needs="numbers", found=repr(value)
        ) from exc
    if not np.isfinite(array).all() or (name == "boxes" and array.size and array.shape[-1] != 4):
        raise ModelInputError(
            f"image {number + 1}: {name} cannot be used.",
            needs="(n, 4) finite x1 y1 x2 y2" if name == "boxes" else "finite numbers",
            found=f"shape {array.shape}" if np.isfinite(array).all() else "infinity or no number",
        )
    return array


def _joined(rows: list[Array]) -> Array:
    from inference_models.arrays import namespace  # noqa: PLC0415

    kept = rows[1:] or rows
    return namespace(kept[0]).concat(kept)


def _objects(
    outputs: Mapping[str, Array], crops: list[Crop], offsets: Sequence[int], counts: Sequence[int]
) -> dict[str, NumpyArray]:
    """Fields of `KeyPoints` and `Detections`, one row per crop, before the threshold of points."""
    import numpy as np  # noqa: PLC0415

    keypoints, sigmas, presence, scores = (np.asarray(to_numpy(outputs[name]), np.float32) for name in OUTPUTS)
    class_id = np.array([crop.class_id for crop in crops], np.int32)
    corner = np.array([(crop.window.left, crop.window.top) for crop in crops], np.float64).reshape(-1, 1, 2)
    size = np.array([(crop.window.width, crop.window.height) for crop in crops], np.float64).reshape(-1, 1, 2)
    slot = np.arange(max(counts, default=0))
    first, own = np.array(offsets, np.int64)[class_id], np.array(counts)[class_id]
    last = max(presence.shape[1] - 1, 0)
    place = np.minimum(first[:, None] + slot, last)
    row = np.arange(len(crops))
    variance = np.square(sigmas[row[:, None], place] * size)
    covariance = np.zeros((*variance.shape, 2))
    covariance[..., 0, 0], covariance[..., 1, 1] = variance[..., 0], variance[..., 1]
    found = np.array([crop.confidence for crop in crops], np.float32)
    return {
        "xy": corner + keypoints[row[:, None], place] * size,
        "confidence": np.where(slot < own[:, None], presence[row[:, None], place], np.nan),
        "covariance": covariance,
        "class_id": class_id,
        "score": found * scores[row, np.minimum(first, last)],
        "boxes": np.array([crop.box for crop in crops], np.float32).reshape(-1, 4),
    }

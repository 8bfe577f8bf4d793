"""Key points in two stages: a detector finds objects, and a head looks at each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from inference_models.arrays import is_torch, to_numpy
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.predictions.key_points import KeyPoints
from inference_models.tasks.crop_key_points import CropKeyPointDetector
from inference_models.tasks.graph_options import KeyPointOptions, check_option_names
from inference_models.tasks.key_point_models import KeyPointsAnswer, KeyPointsDetectionModel
from inference_models.tasks.object_detection import ObjectDetectionModel

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.predictions.detections import Detections
    from inference_models.preprocess.pixels import SourceImage
    from inference_models.tasks.graph_runner import OpenedPackage

Pictures: TypeAlias = "list[SourceImage]"
_OF_THE_HEAD = ("key_points_threshold",)
_OF_IMAGES = ("input_color_format", "input_range")
NO_CLASS = -1


class TwoStageKeyPointDetector(KeyPointsDetectionModel[Pictures, list[tuple[int, int]], KeyPointsAnswer]):
    """A detector and a head for crops. Safe to call from many threads where both are.

    Every method takes the options of `KeyPointOptions` by name. Objects of classes that the head does not know have no
    points. The score of an object is that of the detector, times that of its pose.
    """

    OPTIONS: ClassVar[type] = KeyPointOptions

    def __init__(self, package: OpenedPackage) -> None:
        detector, head = package.models["detector"], package.models["keypointHead"]
        for name, model, kind in (
            ("detector", detector, ObjectDetectionModel),
            ("keypointHead", head, CropKeyPointDetector),
        ):
            if not isinstance(model, kind):
                raise CorruptedModelPackageError(
                    f"{package.label}: its dependency {name!r} is a model of another kind.",
                    needs="an object detector" if kind is ObjectDetectionModel else "a rfdetr-keypoint-stage2 model",
                    found=type(model).__name__,
                )
        self._detector, self._head, self._label = detector, head, package.label
        known = {name: number for number, name in enumerate(head.class_names)}
        self._classes = [known.get(name, NO_CLASS) for name in detector.class_names]

    def close(self) -> None:
        """Close both models."""
        self._detector.close()
        self._head.close()

    @property
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ...: those of the detector."""
        return list(self._detector.class_names)

    @property
    def key_points_classes(self) -> list[list[str]]:
        """Per class the names of its key points; none where the head does not know the class."""
        names = self._head.key_points_classes
        return [[] if number == NO_CLASS else names[number] for number in self._classes]

    @property
    def skeletons(self) -> list[list[tuple[int, int]]]:
        """Per class the pairs of key points, numbered from 0, that a line joins."""
        lines = self._head.skeletons
        return [[] if number == NO_CLASS else lines[number] for number in self._classes]

    def infer(self, images: object, **kwargs: Any) -> KeyPointsAnswer:
        """One `KeyPoints` and one `Detections` per image, both with a row per object that the detector finds.

        Args:
            images: one image or a list, as every model takes them.
            **kwargs: `KeyPointOptions`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        listed = self._listed(images, kwargs)
        answers = [self.forward(listed.load(number, number + 1), **kwargs) for number in range(len(listed))]
        return [points for answer in answers for points in answer[0]], [
            found for answer in answers for found in answer[1] or ()
        ]

    def pre_process(self, images: object, **kwargs: Any) -> tuple[Pictures, list[tuple[int, int]]]:
        """The images as they are, and the size (height, width) of each."""
        pictures = self._listed(images, kwargs).load()
        return pictures, [picture.size for picture in pictures]

    def forward(self, pre_processed_images: Pictures, **kwargs: Any) -> KeyPointsAnswer:
        """Objects and their key points in pixels of the images.

        Raises:
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        given = {name: value for name, value in kwargs.items() if name not in _OF_IMAGES}
        for_head = {name: given.pop(name) for name in _OF_THE_HEAD if name in given}
        points, found = [], []
        for picture in pre_processed_images:
            image = picture.arguments()
            (objects,) = self._detector.infer(**image, **given)
            seen = self._points(objects, image, for_head)
            points.append(seen)
            found.append(replace(objects, confidence=seen.detection_confidence))
        return points, found

    def post_process(
        self, model_results: KeyPointsAnswer, pre_processing_meta: list[tuple[int, int]], **kwargs: Any
    ) -> KeyPointsAnswer:
        """What `forward` gave, for as many images."""
        self._check(kwargs)
        if len(model_results[0]) != len(pre_processing_meta):
            raise InvalidParameterError(
                "answers and metadata are not of the same images.",
                needs=f"metadata of {len(model_results[0])} images",
                found=f"metadata of {len(pre_processing_meta)}",
            )
        return model_results

    def _listed(self, images: object, options: dict[str, Any]) -> Any:
        from inference_models.preprocess.inputs import list_images  # noqa: PLC0415

        self._check(options)
        return list_images(images, **{name: options[name] for name in _OF_IMAGES if name in options})

    def _check(self, options: dict[str, Any]) -> None:
        check_option_names(options, self.OPTIONS, model=self._label)

    def _points(self, objects: Detections, image: dict[str, Any], options: dict[str, Any]) -> KeyPoints:
        """A row of key points per object; those of classes without any are empty."""
        import numpy as np  # noqa: PLC0415

        classes = np.array(self._classes, np.int64)[to_numpy(objects.class_id)]
        rows = np.flatnonzero(classes != NO_CLASS)
        (seen,), _ = self._head.infer(
            **image,
            boxes=[to_numpy(objects.xyxy)[rows]],
            class_ids=[classes[rows]],
            detection_confidences=[to_numpy(objects.confidence)[rows]],
            **options,
        )
        seen, count = seen.numpy(), len(objects)
        slots = max(map(len, self.key_points_classes), default=0)
        score = np.array(to_numpy(objects.confidence), np.float32)
        score[rows] = seen.detection_confidence
        placed = KeyPoints(
            xy=_placed(seen.xy, rows, (count, slots, 2), 0),
            class_id=to_numpy(objects.class_id),
            confidence=_placed(seen.confidence, rows, (count, slots), 0),
            covariance=_placed(seen.covariance, rows, (count, slots, 2, 2), np.nan),
            detection_confidence=score,
            class_names=self._detector.class_names,
        )
        return placed.torch(str(objects.xyxy.device)) if is_torch(objects.xyxy) else placed


def _placed(values: NumpyArray, rows: NumpyArray, shape: tuple[int, ...], fill: float) -> NumpyArray:
    import numpy as np  # noqa: PLC0415

    whole = np.full(shape, fill, np.float32)
    whole[rows] = values[:, : shape[1]]
    return whole

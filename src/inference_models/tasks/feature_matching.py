"""Models that find the same places in two pictures: the base class, and those of our own networks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from inference_models.arrays import device_of, namespace
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.families import MatchingGraph
from inference_models.predictions.feature_matches import FeatureMatches
from inference_models.tasks import Task
from inference_models.tasks.graph_options import ImageOptions, parse_image_options
from inference_models.tasks.graph_runner import GraphModel
from inference_models.tasks.stages import Drawable, LoadedModel

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.drawing.style import Picture
    from inference_models.tasks.graph_runner import OpenedPackage

OUTPUTS = ("keypoints", "matches", "matching_scores", "mask")


class FeatureMatchingModel(LoadedModel, Drawable):
    """Answers with the places that two pictures share."""

    @abstractmethod
    def match(self, image: object, other: object, *, confidence: float | None = None, **kwargs: Any) -> FeatureMatches:
        """Which points of `image` are which points of `other`."""

    def __call__(self, image: object, other: object, **kwargs: Any) -> FeatureMatches:
        """The same as `match`."""
        return self.match(image, other, **kwargs)

    def annotate_pair(self, image: object, other: object, matches: FeatureMatches) -> Picture:
        """(max H, sum of W, 3) uint8 BGR: both pictures side by side, with the matches joined by lines.

        Raises:
            ModelInputError: a picture cannot be read.
        """
        from inference_models.drawing import annotate  # noqa: PLC0415 - loaded when something is drawn
        from inference_models.drawing.feature_matches import side_by_side  # noqa: PLC0415

        return side_by_side(annotate(image, (), {}), annotate(other, (), {}), matches)


class PairMatcher(GraphModel, FeatureMatchingModel):
    """A network that takes two pictures, and answers with the points of each and their partners.

    Outputs for one pair: `keypoints` (1, 2, K, 2), as parts of the picture; `matches` (1, 2, K), the number of the
    partner in the other picture, or -1; `matching_scores` (1, 2, K); `mask` (1, 2, K), above 0 where there is a point.
    """

    OPTIONS = ImageOptions

    def __init__(self, package: OpenedPackage, family: MatchingGraph) -> None:
        super().__init__(package)
        given = [spec.name for spec in package.session.outputs]
        if given and not set(OUTPUTS) <= set(given):
            raise CorruptedModelPackageError(
                f"{self._label} does not match points.", needs=f"outputs {', '.join(OUTPUTS)}", found=", ".join(given)
            )
        self._default, self._arrays = family.confidence, package.arrays

    def match(self, image: object, other: object, *, confidence: float | None = None, **kwargs: Any) -> FeatureMatches:
        """Which points of `image` are which points of `other`, in the order in which the network found them.

        Args:
            image: one picture: (H, W, 3) uint8 BGR, (3, H, W) RGB tensor, PIL image, path, bytes.
            other: another one, of any size.
            confidence: pairs that are not surer are left out; None: as the authors have it, 0.
            **kwargs: those of `ImageOptions`.

        Raises:
            ModelInputError: a picture cannot be used; "image 1" is the first, "image 2" the other.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        least = self._default if confidence is None else confidence
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
            raise InvalidParameterError("confidence makes no sense.", needs="a number from 0 to 1", found=repr(least))
        with self._runner.prepare([image, other], parse_image_options(kwargs)) as prepared:
            session = self._runner.session
            outputs = session.run({session.inputs[0].name: _grey(prepared.batches[0])})
            sizes = [transform.image_size for transform in prepared.transforms]
        found = _pairs(outputs, sizes, least)
        return found if self._arrays is None else found.torch() if self._arrays == "torch" else found.numpy()


def _grey(pictures: Array) -> Array:
    """(2, 3, h, w) pictures as their processor makes them grey: as NTSC does, but for those that are grey already."""
    at = namespace(pictures)
    red, green, blue = pictures[:, 0], pictures[:, 1], pictures[:, 2]
    colored = at.any((red != green) | (green != blue), axis=(1, 2))[:, None, None]
    grey = at.where(colored, red * 0.2989 + green * 0.5870 + blue * 0.1140, red)
    return at.stack([grey, grey, grey], axis=1)


def _pairs(outputs: dict[str, Array], sizes: list[tuple[int, int]], least: float) -> FeatureMatches:
    """1. Points of each picture that are none fill it up, and go. 2. A partner is one that is sure enough and there."""
    from inference_models.arrays import to_numpy  # noqa: PLC0415 - brings NumPy

    there = [to_numpy(row) > 0 for row in outputs["mask"][0]]
    points = [
        row[mask] * namespace(row).asarray([width, height], dtype=row.dtype, device=device_of(row))
        for row, mask, (height, width) in zip(outputs["keypoints"][0], there, sizes, strict=True)
    ]
    partner, score = (to_numpy(outputs[name][0, 0])[there[0]] for name in ("matches", "matching_scores"))
    kept = (score > least) & (partner > -1) & (partner < len(points[1]))
    return FeatureMatches(points[0][kept], points[1][partner[kept]], outputs["matching_scores"][0, 0][there[0]][kept])


TASK = Task(
    name="feature-matching",
    model=FeatureMatchingModel,
    predictions={FeatureMatches: "feature_matches"},
    graph=MatchingGraph,
    bind=PairMatcher,
    has_classes=False,
)

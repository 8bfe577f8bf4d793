"""Detectors of anomalies: classification as normal or anomalous, from one score and a map of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_models.arrays import is_torch, to_numpy
from inference_models.errors import CorruptedModelPackageError
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.tasks.classification import ClassificationModel
from inference_models.tasks.graph_options import AnomalyOptions, ConfidenceRule, parse_image_options, parse_switch
from inference_models.tasks.graph_runner import NetworkInputs, OneGraph, OpenedPackage, RawOutputs

if TYPE_CHECKING:
    from inference_models.package.inference_config import Calibration

_LARGEST = 60.0
"""Of what the sigmoid is taken; it is 1 long before."""


class GraphAnomalyDetector(OneGraph, ClassificationModel[NetworkInputs, "list[RawOutputs]"]):
    """Scores (B,) and maps (B, H, W) of a graph as classes `normal` and `anomalous`. Safe to call from many threads.

    `images_metadata` of the answer says of each image `anomaly_score`, `anomaly_threshold`, `anomaly_scale`,
    `is_anomalous` and, with `include_anomaly_map=True`, `anomaly_map`, (H, W) float32 over the stretched image.
    Every method takes the options of `AnomalyOptions` by name.
    """

    OPTIONS = AnomalyOptions

    def __init__(self, package: OpenedPackage) -> None:
        super().__init__(package, lambda _: None)
        if package.calibration is None:
            raise CorruptedModelPackageError(
                f"{package.label} does not say which scores are those of anomalies.",
                needs="calibration in inference_config.json",
                found="none",
            )
        self._calibration: Calibration = package.calibration
        self._confidence = ConfidenceRule(0.5, package.class_names, package.recommended)

    def pre_process(self, images: object, **kwargs: Any) -> NetworkInputs:
        """What the graph takes for all `images` at once."""
        self._check(kwargs)
        return self._runner.prepare(images, parse_image_options(kwargs)).inputs

    def infer(self, images: object, **kwargs: Any) -> ClassificationPrediction:
        """Whether each image is normal, as one object for the whole batch.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed, or gave no numbers.
        """
        self._check(kwargs)
        raw: list[RawOutputs] = []
        for prepared in self._runner.prepared(images, parse_image_options(kwargs)):
            with prepared:
                raw += self._runner.run(prepared.batches)
        return self.post_process(raw, **kwargs)

    def post_process(self, model_results: list[RawOutputs], **kwargs: Any) -> ClassificationPrediction:
        """Whether each image is normal, from what `forward` gave."""
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        self._check(kwargs)
        confidence = "best" if kwargs.get("confidence") is None else kwargs["confidence"]
        least = np.ravel(self._confidence.resolve(confidence))[-1]
        with_maps = parse_switch(kwargs, "include_anomaly_map", default=False)
        scores = np.concatenate([to_numpy(part.outputs[0]).astype(np.float64) for part in model_results])
        maps = [self._finite(to_numpy(row)) for part in model_results for row in part.outputs[1]]
        threshold, scale = self._calibration.threshold, self._calibration.scale
        margin = np.clip((self._finite(scores) - threshold) / scale, -_LARGEST, _LARGEST)
        sure = 1 / (1 + np.exp(-margin))
        found = sure >= least
        facts: list[dict[str, Any]] = [
            {
                "anomaly_score": float(score),
                "anomaly_threshold": threshold,
                "anomaly_scale": scale,
                "is_anomalous": bool(is_anomalous),
                **({"anomaly_map": row.astype(np.float32)} if with_maps else {}),
            }
            for score, is_anomalous, row in zip(scores, found, maps, strict=True)
        ]
        prediction = ClassificationPrediction(
            class_id=found.astype(np.int64),
            confidence=np.stack([1 - sure, sure], axis=-1).astype(np.float32),
            images_metadata=facts,
            class_names=self._names,
        )
        as_torch = is_torch(model_results[0].outputs[0]) if self._arrays is None else self._arrays == "torch"
        return prediction.torch() if as_torch else prediction

    @staticmethod
    def _finite(values: Any) -> Any:
        import numpy as np  # noqa: PLC0415 - as above

        if np.isfinite(values).all():
            return values
        raise CorruptedModelPackageError(
            "the network gave scores that are no numbers.", needs="finite scores and maps", found="NaN or infinity"
        )

"""Load any computer-vision model with one line and run it with one call, on the best backend this machine has.

```python
from inference_models import AutoModel

model = AutoModel.from_pretrained("centerface")
predictions = model("photo.jpg")
```

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import os
import warnings
from typing import TYPE_CHECKING

from inference_models.version import DISTRIBUTION, NAMESAKE, SEPARATE, __version__

if TYPE_CHECKING:
    from inference_models.auto import AutoModel
    from inference_models.entities import (
        BackendType,
        ColorFormat,
        Confidence,
        InstanceSegmentationMaskFormat,
        PreProcessingOverrides,
        Quantization,
    )
    from inference_models.loading.dependencies import DependencyModelParameters, SuppliedDependency
    from inference_models.loading.offline import (
        OfflineArtefactStatus,
        OfflineArtefactVerification,
        OfflineModelStatus,
        OfflinePackagePresence,
        OfflinePackageStatus,
        find_cached_model_package_dir,
    )
    from inference_models.negotiate.report import NegotiationReport
    from inference_models.options import LoadOptions
    from inference_models.pipeline import AutoModelPipeline
    from inference_models.predictions.action_recognition import ActionRecognitionPrediction
    from inference_models.predictions.classification import (
        ClassificationPrediction,
        MultiLabelClassificationPrediction,
    )
    from inference_models.predictions.detections import Detections
    from inference_models.predictions.feature_matches import FeatureMatches
    from inference_models.predictions.gaze import GazeDetection
    from inference_models.predictions.instances import InstanceDetections
    from inference_models.predictions.key_points import KeyPoints
    from inference_models.predictions.masks import InstancesRLEMasks
    from inference_models.predictions.oriented import OrientedDetections
    from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
    from inference_models.tasks.action_recognition import ActionRecognitionModel, VideoSampling
    from inference_models.tasks.any_model import AnyModel
    from inference_models.tasks.classification import ClassificationModel
    from inference_models.tasks.depth_estimation import DepthEstimationModel
    from inference_models.tasks.embedding import ImageEmbeddingModel, TextImageEmbeddingModel
    from inference_models.tasks.feature_matching import FeatureMatchingModel
    from inference_models.tasks.gaze_detection import GazeDetectionModel
    from inference_models.tasks.instance_models import InstanceSegmentationModel
    from inference_models.tasks.key_point_models import KeyPointsDetectionModel
    from inference_models.tasks.multi_label_classification import MultiLabelClassificationModel
    from inference_models.tasks.object_detection import ObjectDetectionModel
    from inference_models.tasks.open_vocabulary_object_detection import OpenVocabularyObjectDetectionModel
    from inference_models.tasks.oriented_object_detection import OrientedObjectDetectionModel
    from inference_models.tasks.semantic_segmentation import SemanticSegmentationModel
    from inference_models.tasks.structured_ocr import StructuredOCRModel
    from inference_models.tasks.text_only_ocr import TextOnlyOCRModel

    OFFLINE_MODE: bool
    """Whether the variable of this name forbids the network, when this is asked; see `config.offline_mode`."""

_MODULES = {
    "ActionRecognitionModel": "inference_models.tasks.action_recognition",
    "ActionRecognitionPrediction": "inference_models.predictions.action_recognition",
    "AnyModel": "inference_models.tasks.any_model",
    "AutoModel": "inference_models.auto",
    "AutoModelPipeline": "inference_models.pipeline",
    "BackendType": "inference_models.entities",
    "ClassificationModel": "inference_models.tasks.classification",
    "ClassificationPrediction": "inference_models.predictions.classification",
    "ColorFormat": "inference_models.entities",
    "Confidence": "inference_models.entities",
    "DependencyModelParameters": "inference_models.loading.dependencies",
    "DepthEstimationModel": "inference_models.tasks.depth_estimation",
    "Detections": "inference_models.predictions.detections",
    "FeatureMatches": "inference_models.predictions.feature_matches",
    "FeatureMatchingModel": "inference_models.tasks.feature_matching",
    "GazeDetection": "inference_models.predictions.gaze",
    "GazeDetectionModel": "inference_models.tasks.gaze_detection",
    "ImageEmbeddingModel": "inference_models.tasks.embedding",
    "InstanceDetections": "inference_models.predictions.instances",
    "InstanceSegmentationMaskFormat": "inference_models.entities",
    "InstanceSegmentationModel": "inference_models.tasks.instance_models",
    "InstancesRLEMasks": "inference_models.predictions.masks",
    "KeyPoints": "inference_models.predictions.key_points",
    "KeyPointsDetectionModel": "inference_models.tasks.key_point_models",
    "LoadOptions": "inference_models.options",
    "MultiLabelClassificationModel": "inference_models.tasks.multi_label_classification",
    "MultiLabelClassificationPrediction": "inference_models.predictions.classification",
    "NegotiationReport": "inference_models.negotiate.report",
    "ObjectDetectionModel": "inference_models.tasks.object_detection",
    "OfflineArtefactStatus": "inference_models.loading.offline",
    "OfflineArtefactVerification": "inference_models.loading.offline",
    "OfflineModelStatus": "inference_models.loading.offline",
    "OfflinePackagePresence": "inference_models.loading.offline",
    "OfflinePackageStatus": "inference_models.loading.offline",
    "OpenVocabularyObjectDetectionModel": "inference_models.tasks.open_vocabulary_object_detection",
    "OrientedDetections": "inference_models.predictions.oriented",
    "OrientedObjectDetectionModel": "inference_models.tasks.oriented_object_detection",
    "PreProcessingOverrides": "inference_models.entities",
    "Quantization": "inference_models.entities",
    "SemanticSegmentationModel": "inference_models.tasks.semantic_segmentation",
    "SemanticSegmentationResult": "inference_models.predictions.semantic_segmentation",
    "StructuredOCRModel": "inference_models.tasks.structured_ocr",
    "SuppliedDependency": "inference_models.loading.dependencies",
    "TextImageEmbeddingModel": "inference_models.tasks.embedding",
    "TextOnlyOCRModel": "inference_models.tasks.text_only_ocr",
    "VideoSampling": "inference_models.tasks.action_recognition",
    "find_cached_model_package_dir": "inference_models.loading.offline",
}
"""Public name -> module that defines it, sorted."""

__all__ = [
    "ActionRecognitionModel",
    "ActionRecognitionPrediction",
    "AnyModel",
    "AutoModel",
    "AutoModelPipeline",
    "BackendType",
    "ClassificationModel",
    "ClassificationPrediction",
    "ColorFormat",
    "Confidence",
    "DependencyModelParameters",
    "DepthEstimationModel",
    "Detections",
    "FeatureMatches",
    "FeatureMatchingModel",
    "GazeDetection",
    "GazeDetectionModel",
    "ImageEmbeddingModel",
    "InstanceDetections",
    "InstanceSegmentationMaskFormat",
    "InstanceSegmentationModel",
    "InstancesRLEMasks",
    "KeyPoints",
    "KeyPointsDetectionModel",
    "LoadOptions",
    "MultiLabelClassificationModel",
    "MultiLabelClassificationPrediction",
    "NegotiationReport",
    "ObjectDetectionModel",
    "OfflineArtefactStatus",
    "OfflineArtefactVerification",
    "OfflineModelStatus",
    "OfflinePackagePresence",
    "OfflinePackageStatus",
    "OpenVocabularyObjectDetectionModel",
    "OrientedDetections",
    "OrientedObjectDetectionModel",
    "PreProcessingOverrides",
    "Quantization",
    "SemanticSegmentationModel",
    "SemanticSegmentationResult",
    "StructuredOCRModel",
    "SuppliedDependency",
    "TextImageEmbeddingModel",
    "TextOnlyOCRModel",
    "VideoSampling",
    "__version__",
    "find_cached_model_package_dir",
]


def __getattr__(name: str) -> object:
    if name == "OFFLINE_MODE":
        from inference_models.config import offline_mode  # noqa: PLC0415 - nothing is read when this is imported

        return offline_mode()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    if _MODULES[name].startswith("inference_models.tasks."):
        importlib.import_module("inference_models.tasks.stages").LoadedModel.load_as = _load_as
    return value


def _load_as(kind: type, model: str, **kwargs: object) -> object:
    """Loads models for the task classes until `inference_models.auto` is imported, which this does."""
    from inference_models.auto import load_as  # noqa: PLC0415 - only when something is loaded

    return load_as(kind, model, **kwargs)


def __dir__() -> list[str]:
    return sorted(__all__)


def _warn_about_namesake() -> None:
    """Say so where the other product with this import name is installed in the same folder: files are then mixed."""
    with os.scandir(os.path.dirname(os.path.dirname(__file__))) as folder:  # noqa: PTH120 - pathlib costs as much as all
        mixed = any(item.name.startswith("inference_models-") and item.name.endswith(".dist-info") for item in folder)
    if mixed:
        text = f"{NAMESAKE!r} and {DISTRIBUTION!r} are two products with one import name, and both are installed here: "
        warnings.warn(f"{text}their files overwrite each other. {SEPARATE}", RuntimeWarning, stacklevel=2)


_warn_about_namesake()

"""The union of everything `AutoModel` can return."""

from __future__ import annotations

from typing import TypeAlias

from inference_models.tasks.action_recognition import ActionRecognitionModel
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

AnyModel: TypeAlias = (
    ActionRecognitionModel
    | ClassificationModel
    | DepthEstimationModel
    | FeatureMatchingModel
    | GazeDetectionModel
    | ImageEmbeddingModel
    | InstanceSegmentationModel
    | KeyPointsDetectionModel
    | MultiLabelClassificationModel
    | ObjectDetectionModel
    | OpenVocabularyObjectDetectionModel
    | OrientedObjectDetectionModel
    | SemanticSegmentationModel
    | StructuredOCRModel
    | TextImageEmbeddingModel
    | TextOnlyOCRModel
)

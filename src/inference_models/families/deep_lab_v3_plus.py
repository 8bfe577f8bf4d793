"""DeepLabV3+: semantic segmentation.

Source: qubvel-org/segmentation_models.pytorch (`DeepLabV3Plus`), MIT. Paper: arXiv 1802.02611.
Export: `torch.onnx.export`: logits (B, C, H, W), or of everything but the class `background`. Weights: its
`state_dict` on a ResNet, ResNeXt or MobileNetV2.
Input of a bare file: that of its encoders, of a picture stretched to the size of the export.
"""

from __future__ import annotations

from inference_models.families import Family, SemanticGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="deep-lab-v3-plus",
    tasks={
        "semantic-segmentation": SemanticGraph(
            confidence=0.5,
            module="inference_models.networks.deep_lab_v3_plus:build",
            preprocess=PreprocessSpec(
                size=None, scaling_factor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
            ),
        )
    },
)

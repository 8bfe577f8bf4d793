"""RF-DETR key points in two stages: a detector, and a head that looks at each object it finds.

Source: roboflow/rf-detr (the detector), project Apache-2.0. Paper: none of its own.
Export: none. A package of the training platform holds `two_stage_config.json`, and names `detector` and `keypointHead`
as the models it is made of.
"""

from __future__ import annotations

from inference_models.families import Family, TwoStageGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="rfdetr-keypoint-two-stage",
    tasks={
        "keypoint-detection": TwoStageGraph(models=("detector", "keypointHead"), preprocess=PreprocessSpec(size=None))
    },
)
"""`rfdetr-keypoint-stage2` is the head."""

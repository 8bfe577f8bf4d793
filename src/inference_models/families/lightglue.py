"""LightGlue and SuperGlue on points of SuperPoint: the places that two pictures share.

Source: huggingface/transformers (`LightGlueForKeypointMatching`, `SuperGlueForKeypointMatching`), project Apache-2.0;
weights: cvg/LightGlue, Apache-2.0; magicleap/SuperGluePretrainedNetwork and SuperPoint for research only. Papers: arXiv
2306.13643, 1911.11763, 1712.07629.
Export: none; the network of transformers takes two grey pictures and gives points as parts of the picture, the number
of the partner of each, and its score.
Input: that of `LightGlueImageProcessor`, stretched to 640 x 480, scaled, then made grey.
"""

from __future__ import annotations

from inference_models.families import Family, MatchingGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="lightglue",
    tasks={
        "feature-matching": MatchingGraph(
            preprocess=PreprocessSpec(size=(480, 640), antialias=True, scaling_factor=255),
        )
    },
)

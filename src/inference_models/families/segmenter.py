"""Any graph whose only output is logits of classes over the input: semantic segmentation.

Source: none of its own; for segmenters whose architecture makes no difference to how they are run (BEiT, DPT,
MobileViT, UperNet, ...), as transformers (`*ForSemanticSegmentation`, project Apache-2.0) exports them; weights by
their own licence. Papers: those of each architecture.
Export: any exporter with one output: (B, C, h, w) logits; transformers 5.24.
Input of a bare file: that of SegFormer.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.segformer import FAMILY as SEGFORMER

FAMILY = Family(architecture="segmenter", tasks=SEGFORMER.tasks)

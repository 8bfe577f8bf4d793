"""L2CS-Net: the gaze of a face.

Source: Ahmednull/L2CS-Net, project MIT; weights trained on Gaze360 only for research. Paper: arXiv 2203.03339.
Export: `torch.onnx.export` of the module: logits (B, 90) of yaw, then of pitch, in bins of 4 degrees from -180
(Gaze360), or (B, 28) in bins of 3 degrees from -42 (MPIIGaze). Wrapped exports hold the expectation: angles (B,) in
radians, yaw first. Names of outputs that say yaw and pitch go before their order.
Input of a bare file: a face crop, stretched by Pillow in one step; `pipeline.py` of the project goes by way of
224 x 224.
"""

from __future__ import annotations

from inference_models.decoders.gaze import AngleBins, GazeLayout
from inference_models.families import Family, GazeGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="l2cs-net",
    tasks={
        "gaze-detection": GazeGraph(
            layout=GazeLayout(bins=(AngleBins(90, 4.0, -180.0), AngleBins(28, 3.0, -42.0))),
            preprocess=PreprocessSpec(
                size=(448, 448),
                antialias=True,
                scaling_factor=255,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            ),
        )
    },
)

"""Heads for crops whose key points are known: the first is the centre of the light of the crop."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import torch

from torch_graphs import network_input

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (64, 48)
NAMES = ["person", "dog"]
POINTS = [["centre", "share"], ["centre"]]
"""The slots of the dog come first."""


class Light(torch.nn.Module):
    """Slots 1 and 0: centre of light, as parts of the window; slot 2: `s_norm` twice."""

    def __init__(self, *, udp: bool) -> None:
        super().__init__()
        height, width = SIZE
        # From the centre of the first pixel to that of the last, or from where pixels begin to where they end.
        down, across = torch.arange(height) / (height - udp), torch.arange(width) / (width - udp)
        places = torch.stack(torch.meshgrid(across, down, indexing="xy"), 2)
        self.register_buffer("places", places.reshape(-1, 2))
        self.register_buffer("sure", torch.tensor([[0.9, 0.8, 0.3]]))

    def forward(self, pixels: torch.Tensor, s_norm: torch.Tensor) -> tuple[torch.Tensor, ...]:
        light = pixels.mean(1) + 1e-6
        # OpenVINO 2026.4 sums the rows of a batch wrongly where the columns are summed first; a product is right.
        light = light.flatten(1)
        centre = light @ self.places / light.sum(1, keepdim=True)
        share = torch.stack([s_norm, s_norm], 1)
        keypoints = torch.stack([centre, centre, share], 1)
        sigmas = torch.ones_like(keypoints) * 0.1
        presence = torch.ones_like(share[:, :1]) * self.sure
        return keypoints, sigmas, presence, torch.ones_like(presence) * 0.5


def package(folder: Path, *, aspect: bool = True, udp: bool = True, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    outputs = changes.pop("outputs", ["keypoints", "sigmas", "presence", "scores"])
    with warnings.catch_warnings():
        # PyTorch 2.9 marks this exporter as deprecated; the new one needs packages of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            Light(udp=udp),
            (torch.rand(2, 3, *SIZE), torch.rand(2)),
            folder / "weights.onnx",
            input_names=["pixels", "s_norm"],
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in ("pixels", "s_norm", *outputs)},
            dynamo=False,
            opset_version=17,
        )
    classes = [{"name": "dog", "offset": 0, "count": 1}, {"name": "person", "offset": 1, "count": 2}]
    top_down = {"context_padding": 1.25, "preserve_aspect": aspect, "udp": udp, "keypoint_classes": classes}
    config = {"network_input": network_input(SIZE, scaling_factor=255), "top_down": {**top_down, **changes}}
    points = [
        {"object_class_id": number, "keypoints": dict(enumerate(names)), "edges": []}
        for number, names in enumerate(POINTS)
    ]
    stated = {"model_architecture": "rfdetr-keypoint-stage2", "task_type": "keypoint-detection", "backend_type": "onnx"}
    (folder / "inference_config.json").write_text(json.dumps(config))
    (folder / "keypoints_metadata.json").write_text(json.dumps(points))
    (folder / "class_names.txt").write_text("\n".join(NAMES))
    (folder / "model_config.json").write_text(json.dumps(stated))
    return folder

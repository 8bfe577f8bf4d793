"""Record what PatchCore and FoundAD of inference-models answer, as fixtures for tests/tasks/test_anomalies.py.

    python tools/record_anomalies.py tests/tasks/recorded

Run it in an environment of its own with inference-models 0.39.6 and timm; nothing is fetched. For each of the two
`NAME.json.gz`: the shapes of its tensors by name, with a backbone that is smaller than the published one, and for
`picture()` what the library's own pre-processing, network and post-processing give: scores, and every eighth of a map.
Recorded on 2026-11-27 with inference-models 0.39.6, torch 2.13.0.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from inference_models.models.common import anomaly_detection as shared
from inference_models.models.foundad import foundad_anomaly_detection_torch as foundad
from inference_models.models.patchcore import patchcore_anomaly_detection_torch as patchcore
from torchvision.models.resnet import BasicBlock, ResNet

SIDE, NEIGHBORS, LAYER, TOP, BANK = 96, 3, 2, 5, 50


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that depend on the name alone, of a size that keeps activations apart."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)


def picture() -> np.ndarray:
    """(H, W, 3) uint8, blue first."""
    return np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8).repeat(14, 0).repeat(12, 1)


def manifest(architecture: str) -> dict[str, Any]:
    """As the platform writes it."""
    config = {"architecture": architecture, "image_size": SIDE, "batch_size": 4, "neighbors": NEIGHBORS}
    return {
        "schema_version": 1,
        "config": {**config, "feature_layer": LAYER, "top_k": TOP},
        "calibration": {"threshold": 0.5, "scale": 0.25},
        "class_names": ["normal", "anomalous"],
        "preprocessing": "rgb-stretch-bilinear-imagenet-v1",
    }


def record(name: str, network: torch.nn.Module, path: Path) -> None:
    """Write what `network` answers."""
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if tensor.ndim}
    network.eval().load_state_dict({k: torch.from_numpy(drawn(k, s)) for k, s in shapes.items()}, strict=False)
    if name == "patchcore":
        network.memory_bank_squared_norms = (network.memory_bank**2).sum(1)
    stated = shared.AnomalyModelManifest.model_validate(manifest(name))
    given = shared.pre_process_anomaly_images([picture()], stated, torch.device("cpu"))
    with torch.no_grad():
        scores, maps = network(given.network_input)
    raw = shared.AnomalyRawPrediction(scores, maps, given.original_sizes_hw)
    threshold = float(scores[0])  # so that the calibration is about these scores
    stated = stated.calibration.model_copy(update={"threshold": threshold * 0.9, "scale": threshold * 0.2})
    answer = shared.post_process_anomaly_scores(raw, stated, True, "best", None)
    fixture = {
        "shapes": shapes,
        "calibration": {"threshold": stated.threshold, "scale": stated.scale},
        "confidence": answer.confidence.tolist(),
        "score": answer.images_metadata[0]["anomaly_score"],
        "map": answer.images_metadata[0]["anomaly_map"][::8, ::8].tolist(),
    }
    print(name, fixture["confidence"], fixture["score"], flush=True)
    path.write_bytes(gzip.compress(json.dumps(fixture, separators=(",", ":")).encode(), mtime=0))


def main(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    bank = torch.zeros(BANK, patchcore.EMBEDDING_DIMENSION)
    network = patchcore.PatchCoreModel(bank, NEIGHBORS, SIDE)
    network.backbone = ResNet(BasicBlock, [1, 1, 1, 1])
    record("patchcore", network, folder / "patchcore.json.gz")
    foundad.timm.create_model = lambda *_, **__: TINY
    record("foundad", foundad.FoundADModel(SIDE, LAYER, TOP), folder / "foundad.json.gz")


TINY = timm.create_model("vit_tiny_patch16_dinov3_qkvb", pretrained=False)

if __name__ == "__main__":
    main(Path(sys.argv[1]))
